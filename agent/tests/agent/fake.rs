//! A server that does as the test says: it keeps what it hears, answers Hello, takes logs, and offers when told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use proto::v1::{
    self,
    agent_service_server::{AgentService, AgentServiceServer},
    report::Body,
    session_down::Message as Down,
    session_up::Message as Up,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, transport::Server};
use types::{AttemptKey, AttemptReport, LeaseToken, RunId, SessionId, Timestamp, Work, limits};

/// No wait of a test is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

type Answer<T> = ReceiverStream<Result<T, Status>>;

/// What it holds of one stream of logs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    pub bytes: Vec<u8>,
    pub lost: u64,
    pub ended: bool,
    pub end_unknown: bool,
}

#[derive(Default)]
pub(crate) struct State {
    pub hellos: Vec<v1::Hello>,
    pub reports: Vec<v1::Report>,
    pub logs: BTreeMap<(String, i32), Held>,
    pub heartbeats: Vec<Vec<String>>,
    /// As the last of them said.
    pub stats: Option<v1::AgentStats>,
    pub credits: u64,
    pub session: Option<(String, mpsc::Sender<Result<v1::SessionDown, Status>>)>,
    /// Terminal reports are acknowledged at once.
    pub acks: bool,
    pub refuse_logs: bool,
    /// Logs come in and nothing becomes of them: the server's disk hangs.
    pub hold_logs: bool,
    pub silent: bool,
    pub stop_at_heartbeat: BTreeSet<String>,
    last_dial: u64,
    sessions: u8,
}

impl State {
    pub(crate) fn bodies(&self, token: &LeaseToken) -> Vec<Body> {
        self.reports
            .iter()
            .filter(|r| r.token == token.as_str())
            .filter_map(|r| r.body.clone())
            .collect()
    }

    pub(crate) fn finished(&self, token: &LeaseToken) -> Option<AttemptReport> {
        self.bodies(token).into_iter().find_map(|body| match body {
            Body::Finished(report) => Some(serde_json::from_str(&report.report_json).unwrap()),
            _ => None,
        })
    }

    pub(crate) fn started(&self, token: &LeaseToken) -> bool {
        self.bodies(token)
            .iter()
            .any(|body| matches!(body, Body::Started(_)))
    }

    pub(crate) fn log_of(&self, token: &LeaseToken, service: &str, stream: v1::LogStream) -> Held {
        let source = format!("{token}.{service}");
        self.logs
            .get(&(source, stream.into()))
            .cloned()
            .unwrap_or_default()
    }

    /// Without taking a copy: it may be long.
    fn has_ended(&self, token: &LeaseToken, stream: v1::LogStream) -> bool {
        let held = self.logs.get(&(token.to_string(), stream.into()));
        held.is_some_and(|held| held.ended)
    }

    pub(crate) fn log(&self, token: &LeaseToken, stream: v1::LogStream) -> Held {
        self.logs
            .get(&(token.to_string(), stream.into()))
            .cloned()
            .unwrap_or_default()
    }
}

#[derive(Clone)]
struct Service(Arc<Mutex<State>>);

pub(crate) struct Fake {
    pub state: Arc<Mutex<State>>,
    pub address: SocketAddr,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let state = State {
            acks: true,
            ..State::default()
        };
        Self::on(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::new(Mutex::new(state))).await
    }

    async fn on(address: SocketAddr, state: Arc<Mutex<State>>) -> Self {
        let begun = Instant::now();
        let listener = loop {
            match tokio::net::TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{address}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let incoming = TcpListenerStream::new(listener)
            .map(|stream| stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream)));
        let service = AgentServiceServer::new(Service(Arc::clone(&state)))
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES);
        let serving = Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming);
        let stopped = stop.clone();
        let running = tokio::spawn(async move {
            // Dropped, not drained: as a process that is killed.
            tokio::select! {
                served = serving => served.unwrap(),
                () = stopped.cancelled() => {}
            }
        });
        Self {
            state,
            address,
            stop,
            running,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Gone, with all its connections.
    pub(crate) async fn die(self) -> (SocketAddr, Arc<Mutex<State>>) {
        self.stop.cancel();
        let Self {
            state,
            address,
            running,
            ..
        } = self;
        running.await.unwrap();
        let mut held = state.lock().unwrap();
        held.session = None;
        held.credits = 0;
        drop(held);
        (address, state)
    }

    /// Back at the same address with what it had stored.
    pub(crate) async fn back((address, state): (SocketAddr, Arc<Mutex<State>>)) -> Self {
        Self::on(address, state).await
    }

    /// Waits until the state has something.
    pub(crate) async fn until<T>(&self, what: &str, look: impl Fn(&State) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(&self.state.lock().unwrap()) {
                return found;
            }
            if begun.elapsed() > PATIENCE {
                let state = self.state.lock().unwrap();
                let logs: Vec<_> = state
                    .logs
                    .iter()
                    .map(|(of, held)| (of, held.bytes.len(), held.lost, held.ended))
                    .collect();
                panic!("no {what}; logs: {logs:#?}; reports: {:#?}", state.reports);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn session(&self) -> String {
        self.until("session", |s| {
            s.session
                .as_ref()
                .filter(|_| s.credits > 0)
                .map(|(id, _)| id.clone())
        })
        .await
    }

    pub(crate) async fn send(&self, message: Down) {
        let down = self
            .until("session", |s| s.session.as_ref().map(|(_, down)| down.clone()))
            .await;
        down.send(Ok(v1::SessionDown {
            message: Some(message),
        }))
        .await
        .unwrap();
    }

    pub(crate) async fn offer(&self, token: &LeaseToken, work: &Work) {
        let session = self.session().await;
        self.offer_in(session, token, work).await;
    }

    pub(crate) async fn offer_in(&self, session_id: String, token: &LeaseToken, work: &Work) {
        let offer = v1::Offer {
            attempt: Some(reference()),
            token: token.to_string(),
            session_id,
            workflow: "test".to_owned(),
            work_json: serde_json::to_string(work).unwrap(),
        };
        self.send(Down::Offer(offer)).await;
    }

    /// An offer with whatever it says.
    pub(crate) async fn offer_raw(&self, token: &LeaseToken, workflow: &str, step: &str, work_json: String) {
        let attempt = v1::AttemptRef {
            step: step.to_owned(),
            ..reference()
        };
        let offer = v1::Offer {
            attempt: Some(attempt),
            token: token.to_string(),
            session_id: self.session().await,
            workflow: workflow.to_owned(),
            work_json,
        };
        self.send(Down::Offer(offer)).await;
    }

    pub(crate) async fn stop(&self, token: &LeaseToken) {
        let stop = v1::Stop {
            attempt: Some(reference()),
            token: token.to_string(),
            reason: "test".to_owned(),
        };
        self.send(Down::Stop(stop)).await;
    }

    pub(crate) async fn finished(&self, token: &LeaseToken) -> AttemptReport {
        self.until("finished report", |s| s.finished(token)).await
    }

    pub(crate) async fn started(&self, token: &LeaseToken) {
        self.until("started report", |s| s.started(token).then_some(()))
            .await;
    }

    /// The whole of a log, once its end has come.
    pub(crate) async fn log(&self, token: &LeaseToken, stream: v1::LogStream) -> Held {
        self.until("end of a log", |s| {
            s.has_ended(token, stream).then(|| s.log(token, stream))
        })
        .await
    }
}

pub(crate) fn key() -> AttemptKey {
    AttemptKey {
        run: RunId::new(Timestamp::from_unix_ms(1), [7; 10]),
        step: "step".to_owned(),
        index: None,
        attempt: 1,
    }
}

fn reference() -> v1::AttemptRef {
    let key = key();
    v1::AttemptRef {
        run_id: key.run.to_string(),
        step: key.step,
        index: key.index,
        attempt: key.attempt,
    }
}

pub(crate) fn token() -> LeaseToken {
    let mut entropy = [0; 10];
    getrandom::fill(&mut entropy).unwrap();
    LeaseToken::new(Timestamp::from_unix_ms(1), entropy)
}

#[tonic::async_trait]
impl AgentService for Service {
    type SessionStream = Answer<v1::SessionDown>;
    type LogsStream = Answer<v1::LogAck>;
    type PutArtifactStream = Answer<v1::PutArtifactResponse>;
    type GetAttemptArtifactStream = Answer<v1::GetAttemptArtifactResponse>;

    async fn put_artifact(
        &self,
        _: Request<Streaming<v1::PutArtifactRequest>>,
    ) -> Result<Response<Self::PutArtifactStream>, Status> {
        Err(Status::unimplemented("an older server"))
    }

    async fn get_attempt_artifact(
        &self,
        _: Request<v1::GetAttemptArtifactRequest>,
    ) -> Result<Response<Self::GetAttemptArtifactStream>, Status> {
        Err(Status::unimplemented("an older server"))
    }

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionUp>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (down, answers) = mpsc::channel(1_024);
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut up = request.into_inner();
            while let Ok(Some(message)) = up.message().await {
                let answers = hear(&mut state.lock().unwrap(), message.message.unwrap(), &down);
                for answer in answers {
                    // The agent may have been killed with its report on the way.
                    let _gone = down.try_send(Ok(v1::SessionDown {
                        message: Some(answer),
                    }));
                }
            }
            let mut state = state.lock().unwrap();
            if state
                .session
                .as_ref()
                .is_some_and(|(_, open)| open.same_channel(&down))
            {
                state.session = None;
                state.credits = 0;
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn logs(
        &self,
        request: Request<Streaming<v1::LogChunk>>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let (acks, answers) = mpsc::channel(16);
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut chunks = request.into_inner();
            while let Ok(Some(chunk)) = chunks.message().await {
                if state.lock().unwrap().hold_logs {
                    // As a server that is started anew: what came in is gone, and the agent hears that.
                    while state.lock().unwrap().hold_logs {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    return;
                }
                let ack = take(&mut state.lock().unwrap(), &chunk);
                if acks.send(Ok(ack)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let mut state = self.0.lock().unwrap();
        if state.silent {
            return Err(Status::unavailable("silent"));
        }
        let v1::HeartbeatRequest { tokens, stats, .. } = request.into_inner();
        let stop = tokens
            .iter()
            .filter(|token| state.stop_at_heartbeat.contains(*token))
            .cloned()
            .collect();
        state.heartbeats.push(tokens);
        state.stats = stats;
        Ok(Response::new(v1::HeartbeatResponse { stop }))
    }
}

fn hear(state: &mut State, message: Up, down: &mpsc::Sender<Result<v1::SessionDown, Status>>) -> Vec<Down> {
    match message {
        Up::Hello(hello) if hello.dial <= state.last_dial => {
            vec![Down::StaleDial(v1::StaleDial {
                last: state.last_dial,
            })]
        }
        Up::Hello(hello) => {
            state.last_dial = hello.dial;
            state.sessions += 1;
            let session_id = SessionId::new(Timestamp::from_unix_ms(1), [state.sessions; 10]).to_string();
            state.session = Some((session_id.clone(), down.clone()));
            state.credits = 0;
            let done = hello
                .inventory
                .iter()
                .filter(|i| i.phase() == v1::AttemptPhase::Done);
            let forget: Vec<Down> = done
                .map(|i| {
                    Down::Forget(v1::Forget {
                        token: i.token.clone(),
                    })
                })
                .collect();
            state.hellos.push(hello);
            let welcome = v1::Welcome {
                session_id,
                server_version: "fake".to_owned(),
                heartbeat_ms: 200,
            };
            std::iter::once(Down::Welcome(welcome)).chain(forget).collect()
        }
        Up::Credits(credits) => {
            assert!(credits.total > state.credits, "credits only grow");
            state.credits = credits.total;
            Vec::new()
        }
        Up::Report(report) => {
            let terminal = !matches!(report.body, Some(Body::Accepted(_) | Body::Started(_)));
            let ack = v1::Ack {
                attempt: report.attempt.clone(),
                token: report.token.clone(),
            };
            state.reports.push(report);
            if terminal && state.acks {
                vec![Down::Ack(ack)]
            } else {
                Vec::new()
            }
        }
    }
}

/// As the real server: contiguous bytes are kept, overlap is dropped, a hole is refused by a lower offset.
fn take(state: &mut State, chunk: &v1::LogChunk) -> v1::LogAck {
    assert!(chunk.data.len() <= limits::LOG_CHUNK_BYTES);
    let mut ack = v1::LogAck {
        token: chunk.token.clone(),
        stream: chunk.stream,
        service: chunk.service.clone(),
        ..v1::LogAck::default()
    };
    if state.refuse_logs {
        ack.refused = "not wanted".to_owned();
        return ack;
    }
    let source = match chunk.service.as_str() {
        "" => chunk.token.clone(),
        name => format!("{}.{name}", chunk.token),
    };
    let held = state.logs.entry((source, chunk.stream)).or_default();
    let at = held.bytes.len() as u64 + held.lost;
    let end = chunk.offset + chunk.data.len() as u64;
    if chunk.offset - chunk.lost <= at {
        if end > at {
            held.lost += chunk.offset.saturating_sub(at);
            let skip = usize::try_from(at.saturating_sub(chunk.offset)).unwrap();
            held.bytes.extend_from_slice(&chunk.data[skip..]);
        }
        held.ended |= chunk.end;
        held.end_unknown |= chunk.end_unknown;
    }
    ack.offset = held.bytes.len() as u64 + held.lost;
    ack
}
