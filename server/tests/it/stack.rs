//! A server on a free port, and its clients.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use proto::v1::{
    self, admin_service_client::AdminServiceClient, run_service_client::RunServiceClient,
    start_run_request::What, workflow_service_client::WorkflowServiceClient,
};
use server::{Artifacts, Config, Credentials, Place, ServerError};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use types::Secret;

use crate::faulty::Faulty;

/// No wait in these tests is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited too long for {what}"),
    }
}

pub(crate) struct Stack {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<Faulty>,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), ServerError>>,
    /// Where artifacts are; another server can be started on it.
    pub(crate) artifacts: Arc<TempDir>,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::on(Arc::default(), None).await
    }

    pub(crate) async fn on(store: Arc<Faulty>, secret: Option<&str>) -> Self {
        Self::keeping(store, secret, Arc::new(tempfile::tempdir().unwrap()), None).await
    }

    /// With artifacts in a directory, or in a bucket that this endpoint has.
    pub(crate) async fn keeping(
        store: Arc<Faulty>,
        secret: Option<&str>,
        dir: Arc<TempDir>,
        endpoint: Option<String>,
    ) -> Self {
        let place = match &endpoint {
            None => Place::Directory(dir.path().join("artifacts")),
            Some(_) => "s3://kept/below".parse().unwrap(),
        };
        let credentials = Credentials {
            key: Some(Secret::new("key".to_owned())),
            secret: Some(Secret::new("secret".to_owned())),
            endpoint,
            ..Credentials::default()
        };
        let artifacts = Artifacts::open(&place, dir.path(), &credentials).unwrap();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            insecure: false,
            webhook_secret: secret.map(|text| Secret::new(text.to_owned())),
            catalogue: types::Catalogue::default(),
            seed: Vec::new(),
            healthy_with_agents: 0,
            artifacts: Some(artifacts),
            public_hosts: vec!["firehall.example".to_owned()],
            black_box: None,
        };
        let shutdown = CancellationToken::new();
        let (tx, rx) = oneshot::channel();
        let (shared, token) = (store.clone(), shutdown.clone());
        let served = tokio::spawn(async move {
            server::run(config, shared, token, |address| {
                tx.send(address).unwrap();
            })
            .await
        });
        let address = soon("the server", rx).await.unwrap();
        Self {
            address,
            store,
            shutdown,
            served,
            artifacts: dir,
        }
    }

    /// Stops; answers the store for the next server.
    pub(crate) async fn stop(self) -> Arc<Faulty> {
        self.shutdown.cancel();
        soon("the server's end", self.served).await.unwrap().unwrap();
        self.store
    }

    /// A connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        soon("a connection", endpoint.connect()).await.unwrap()
    }

    pub(crate) async fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel().await)
    }

    pub(crate) async fn start_run(&self, source: &str) -> String {
        let request = v1::StartRunRequest {
            what: Some(What::Source(source.to_owned())),
            ..v1::StartRunRequest::default()
        };
        let started = self.runs().await.start(request).await.unwrap();
        started.into_inner().run_id
    }

    pub(crate) async fn put(&self, source: &str) {
        let request = v1::PutWorkflowRequest {
            file: "test.yaml".to_owned(),
            source: source.to_owned(),
        };
        let mut client = WorkflowServiceClient::new(self.channel().await);
        client.put(request).await.unwrap();
    }

    pub(crate) async fn run(&self, run_id: &str) -> v1::Run {
        let request = v1::GetRunRequest {
            run_id: run_id.to_owned(),
        };
        self.runs().await.get(request).await.unwrap().into_inner()
    }

    /// The first attempt of the first step.
    pub(crate) async fn attempt(&self, run_id: &str) -> v1::Attempt {
        self.run(run_id).await.steps[0].attempts[0].clone()
    }

    /// Waits until the run looks so.
    pub(crate) async fn until(&self, run_id: &str, what: &str, so: impl Fn(&v1::Run) -> bool) -> v1::Run {
        soon(what, async {
            loop {
                let run = self.run(run_id).await;
                if so(&run) {
                    return run;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    pub(crate) async fn outcome(&self, run_id: &str) -> v1::Outcome {
        let run = self
            .until(run_id, "the run's end", |run| {
                run.outcome() != v1::Outcome::Unspecified
            })
            .await;
        run.outcome()
    }

    pub(crate) async fn agents(&self) -> Vec<v1::AgentInfo> {
        let mut client = AdminServiceClient::new(self.channel().await);
        let listed = client
            .list_agents(v1::ListAgentsRequest::default())
            .await
            .unwrap();
        listed.into_inner().agents
    }

    pub(crate) async fn watch(&self, run_id: &str, after_seq: u64) -> tonic::Streaming<v1::Event> {
        let request = v1::WatchRunRequest {
            run_id: run_id.to_owned(),
            after_seq,
        };
        self.runs().await.watch(request).await.unwrap().into_inner()
    }

    /// The kinds of all events, in order; the run has ended.
    pub(crate) async fn history(&self, run_id: &str) -> Vec<String> {
        let mut stream = self.watch(run_id, 0).await;
        let mut kinds = Vec::new();
        while let Some(event) = soon("an event", stream.message()).await.unwrap() {
            kinds.push(event.kind);
        }
        kinds
    }
}

/// How often a kind occurs.
pub(crate) fn count(kinds: &[String], kind: &str) -> usize {
    kinds.iter().filter(|k| *k == kind).count()
}

pub(crate) const ONE: &str = "
name: one
steps:
  only:
    image: host
    run: echo hello
";

pub(crate) const TWO: &str = "
name: two
steps:
  first:
    image: host
    run: echo hello
  second:
    needs: first
    image: host
    run: echo hello
";
