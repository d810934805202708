//! One connection to one server and its unary calls.

use std::time::Duration;

use proto::v1::{
    CancelRunRequest, CompileRequest, GetIncidentRequest, GetRunRequest, GetWorkflowRequest,
    ListAgentsRequest, ListIncidentsRequest, ListRunsRequest, ListWorkflowsRequest, LogStream,
    PutWorkflowRequest, ResolveRequest, RunLogsRequest, StartRunRequest, WatchRunRequest,
    admin_service_client::AdminServiceClient, event_service_client::EventServiceClient,
    incident_service_client::IncidentServiceClient, run_service_client::RunServiceClient, start_run_request,
    workflow_service_client::WorkflowServiceClient,
};
use tonic::{
    Code, Request, Response, Status, Streaming,
    transport::{Channel, Endpoint},
};
use types::{Object, limits, text::mask_userinfo};

use crate::{
    AgentView, CompileView, Error, IncidentView, RunView, WorkflowView,
    logs::{self, LogPiece},
    watch::Watch,
};

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To open a connection; 3 s by default.
    pub connect: Duration,
    /// For a whole unary call, told to the server as the call's deadline; 30 s by default.
    pub call: Duration,
    /// For a server that is away while something of it is followed; 2 min by default.
    pub away: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            call: Duration::from_secs(30),
            away: Duration::from_secs(120),
        }
    }
}

/// A client. Cheap to clone; all clones share the connection, which reopens itself.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    channel: Channel,
    timeouts: Timeouts,
}

/// What a run is started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A definition's text, and its file's name for messages.
    Source {
        /// The text.
        source: String,
        /// The file's name.
        file: String,
    },
    /// The name of a kept workflow.
    Kept(String),
}

/// A run to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// From what.
    pub what: What,
    /// Inputs by name.
    pub inputs: Object,
    /// An alert's body as a webhook would get it; empty for none.
    pub payload: Vec<u8>,
    /// Same key and request within 7 days: the same run. Empty for none.
    pub idempotency_key: String,
}

/// Which bytes to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsOf {
    /// The run.
    pub run: String,
    /// The step; empty for all in order.
    pub step: String,
    /// The item of a fan-out.
    pub index: Option<u32>,
    /// The try; 0 for the newest.
    pub attempt: u32,
    /// Which stream.
    pub stream: LogStream,
    /// Go on until the attempt has ended.
    pub follow: bool,
    /// Of this service of the step; empty for the step itself.
    pub service: String,
}

type Answer<T> = Result<Response<T>, Status>;

impl Client {
    /// Connects to `http://HOST:PORT` with the usual timeouts.
    ///
    /// # Errors
    /// For another kind of URL, and when nothing answers within three seconds.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::connect_within(url, Timeouts::default()).await
    }

    /// Connects to `http://HOST:PORT`.
    ///
    /// # Errors
    /// For another kind of URL, and when nothing answers within `timeouts.connect`.
    pub async fn connect_within(url: &str, timeouts: Timeouts) -> Result<Self, Error> {
        let endpoint = endpoint(url, timeouts.connect)?;
        let unreachable = |reason: String| Error::Unreachable {
            url: url.to_owned(),
            reason,
        };
        // The endpoint's own timeout is for the TCP connection; one that is accepted and stays silent counts too.
        let channel = tokio::time::timeout(timeouts.connect, endpoint.connect())
            .await
            .map_err(|_| unreachable(format!("no connection within {:?}", timeouts.connect)))?
            .map_err(|error| unreachable(causes(&error)))?;
        Ok(Self {
            url: url.to_owned(),
            channel,
            timeouts,
        })
    }

    /// How long it waits.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// A request with the deadline of a unary call.
    pub(crate) fn unary<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeouts.call);
        request
    }

    /// Where it connects.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel.clone())
            .max_decoding_message_size(limits::ANSWER_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES)
    }

    pub(crate) fn event_service(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone()).max_decoding_message_size(limits::ANSWER_BYTES)
    }

    pub(crate) fn workflows(&self) -> WorkflowServiceClient<Channel> {
        WorkflowServiceClient::new(self.channel.clone())
            .max_decoding_message_size(limits::ANSWER_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES)
    }

    pub(crate) fn incident_service(&self) -> IncidentServiceClient<Channel> {
        IncidentServiceClient::new(self.channel.clone()).max_decoding_message_size(limits::ANSWER_BYTES)
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone()).max_decoding_message_size(limits::ANSWER_BYTES)
    }

    pub(crate) fn take<T>(&self, answer: Answer<T>) -> Result<T, Error> {
        match answer {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(self.refused(&status)),
        }
    }

    pub(crate) fn refused(&self, status: &Status) -> Error {
        match (Error::from_status(&self.url, status), status.code()) {
            // Only unary calls have a deadline.
            (Error::Unreachable { url, .. }, Code::DeadlineExceeded | Code::Cancelled) if is_late(status) => {
                let reason = format!("no answer within {:?}", self.timeouts.call);
                Error::Unreachable { url, reason }
            }
            (error, _) => error,
        }
    }

    /// Starts a run; it is durable when this answers.
    ///
    /// # Errors
    /// See [`Error`]; `Invalid` for a wrong definition, input or payload.
    pub async fn start(&self, start: Start) -> Result<String, Error> {
        let (what, file) = match start.what {
            What::Source { source, file } => (start_run_request::What::Source(source), file),
            What::Kept(name) => (start_run_request::What::Workflow(name), String::new()),
        };
        let request = StartRunRequest {
            what: Some(what),
            file,
            inputs_json: serde_json::Value::Object(start.inputs).to_string(),
            payload: start.payload,
            idempotency_key: start.idempotency_key,
        };
        let answer = self.runs().start(self.unary(request)).await;
        Ok(self.take(answer)?.run_id)
    }

    /// One run with its steps.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` for a malformed id.
    pub async fn run(&self, run: &str) -> Result<RunView, Error> {
        let answer = self
            .runs()
            .get(self.unary(GetRunRequest {
                run_id: run.to_owned(),
            }))
            .await;
        RunView::from_wire(self.take(answer)?)
    }

    /// Runs without their steps, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_runs(&self, limit: u32, before: &str, workflow: &str) -> Result<Vec<RunView>, Error> {
        let request = ListRunsRequest {
            limit,
            before: before.to_owned(),
            workflow: workflow.to_owned(),
            ..ListRunsRequest::default()
        };
        let answer = self.runs().list(self.unary(request)).await;
        self.take(answer)?
            .runs
            .into_iter()
            .map(RunView::from_wire)
            .collect()
    }

    /// Asks for a run's end. False when it had ended already.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cancel(&self, run: &str, reason: &str) -> Result<bool, Error> {
        let request = CancelRunRequest {
            run_id: run.to_owned(),
            reason: reason.to_owned(),
        };
        let answer = self.runs().cancel(self.unary(request)).await;
        Ok(self.take(answer)?.accepted)
    }

    /// A verdict on a step in doubt: `rerun`, `succeeded` or `failed`.
    ///
    /// # Errors
    /// `Precondition` when it is not in doubt.
    pub async fn resolve(
        &self,
        run: &str,
        step: &str,
        index: Option<u32>,
        verdict: &str,
    ) -> Result<(), Error> {
        let request = ResolveRequest {
            run_id: run.to_owned(),
            step: step.to_owned(),
            index,
            verdict: verdict.to_owned(),
        };
        let answer = self.runs().resolve(self.unary(request)).await;
        self.take(answer).map(drop)
    }

    /// A run's history after a position, then live.
    #[must_use]
    pub fn watch(&self, run: &str, after: u64) -> Watch {
        Watch::new(self.clone(), run.to_owned(), after)
    }

    pub(crate) async fn events(&self, run: &str, after: u64) -> Result<Streaming<proto::v1::Event>, Error> {
        let request = WatchRunRequest {
            run_id: run.to_owned(),
            after_seq: after,
        };
        let answer = self.runs().watch(request).await;
        self.take(answer)
    }

    /// A step's bytes, handed to `each` as they come, until the stream ends.
    ///
    /// # Errors
    /// See [`Error`]; and what `each` refuses with.
    pub async fn logs<E: From<Error>>(
        &self,
        of: &LogsOf,
        each: impl FnMut(LogPiece) -> Result<(), E>,
    ) -> Result<(), E> {
        logs::read(self, of, each).await
    }

    pub(crate) async fn log_stream(
        &self,
        of: &LogsOf,
        offset: u64,
    ) -> Result<Streaming<proto::v1::RunLogsResponse>, Error> {
        let request = RunLogsRequest {
            run_id: of.run.clone(),
            step: of.step.clone(),
            index: of.index,
            attempt: of.attempt,
            stream: of.stream.into(),
            follow: of.follow,
            offset,
            service: of.service.clone(),
        };
        let answer = self.runs().logs(request).await;
        self.take(answer)
    }

    /// Compiles a definition with the server's catalogue, without keeping it.
    ///
    /// # Errors
    /// See [`Error`]; a definition's own errors are in the answer.
    pub async fn compile(&self, file: &str, source: &str) -> Result<CompileView, Error> {
        let request = CompileRequest {
            file: file.to_owned(),
            source: source.to_owned(),
        };
        let answer = self.workflows().compile(self.unary(request)).await;
        CompileView::from_wire(self.take(answer)?)
    }

    /// Keeps a definition: its name, its version, and whether that was new.
    ///
    /// # Errors
    /// `Invalid` with the diagnostics when it does not compile.
    pub async fn put_workflow(&self, file: &str, source: &str) -> Result<(String, String, bool), Error> {
        let request = PutWorkflowRequest {
            file: file.to_owned(),
            source: source.to_owned(),
        };
        let answer = self.workflows().put(self.unary(request)).await;
        let put = self.take(answer)?;
        Ok((put.name, put.version, put.changed))
    }

    /// A kept workflow; the newest version when `version` is empty.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn workflow(&self, name: &str, version: &str) -> Result<WorkflowView, Error> {
        let request = GetWorkflowRequest {
            name: name.to_owned(),
            version: version.to_owned(),
        };
        let answer = self.workflows().get(self.unary(request)).await;
        WorkflowView::from_wire(self.take(answer)?)
    }

    /// The kept workflows, without source and plan.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_workflows(&self) -> Result<Vec<WorkflowView>, Error> {
        let answer = self
            .workflows()
            .list(self.unary(ListWorkflowsRequest::default()))
            .await;
        self.take(answer)?
            .workflows
            .into_iter()
            .map(WorkflowView::from_wire)
            .collect()
    }

    /// Incidents without their history, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_incidents(&self, limit: u32) -> Result<Vec<IncidentView>, Error> {
        let answer = self
            .incident_service()
            .list(self.unary(ListIncidentsRequest {
                limit,
                ..ListIncidentsRequest::default()
            }))
            .await;
        self.take(answer)?
            .incidents
            .into_iter()
            .map(IncidentView::from_wire)
            .collect()
    }

    /// One incident with its history.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn incident(&self, id: &str) -> Result<IncidentView, Error> {
        let request = GetIncidentRequest {
            incident_id: id.to_owned(),
        };
        let answer = self.incident_service().get(self.unary(request)).await;
        IncidentView::from_wire(self.take(answer)?)
    }

    /// The agents that the server knows.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn agents(&self) -> Result<Vec<AgentView>, Error> {
        let (mut agents, mut page_token) = (Vec::new(), String::new());
        loop {
            let answer = self
                .admin()
                .list_agents(self.unary(ListAgentsRequest { limit: 0, page_token }))
                .await;
            let page = self.take(answer)?;
            agents.extend(page.agents.into_iter().map(AgentView::from_wire));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(agents);
            }
        }
    }
}

fn endpoint(url: &str, connect: Duration) -> Result<Endpoint, Error> {
    let wrong = |reason: &str| Error::Url {
        url: mask_userinfo(url).into_owned(),
        reason: reason.to_owned(),
    };
    if mask_userinfo(url) != url {
        return Err(wrong("no server asks for a user name or a password"));
    }
    if url.starts_with("https://") {
        return Err(wrong(
            "this version speaks plain http/2 only, for a server on loopback or behind a tunnel",
        ));
    }
    if !url.starts_with("http://") {
        return Err(wrong("it does not begin with http://"));
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| wrong(&error.to_string()))?;
    endpoint
        .connect_timeout(connect)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .user_agent(concat!("firehall/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| wrong(&error.to_string()))
}

/// Whether a call's own time ran out, here or at the server.
fn is_late(status: &Status) -> bool {
    // tonic makes its own TimeoutExpired a Cancelled with these words, and drops the error itself.
    let expired = status.code() == Code::Cancelled && status.message() == "Timeout expired";
    expired || status.code() == Code::DeadlineExceeded
}

/// An error with its causes, each said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        next = cause.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}
