#![allow(clippy::unwrap_used, reason = "tests")]
//! A history followed over interruptions, against a server that interrupts.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use proto::v1::{
    self,
    run_service_server::{RunService, RunServiceServer},
};
use sdk::{Client, Error, LogPiece, LogStream, LogsOf, Notice, Refusal};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

type Script<T> = Arc<Mutex<VecDeque<Vec<Result<T, Status>>>>>;

/// Plays one scripted stream a call, and writes down what it was asked for.
#[derive(Clone, Default)]
struct Fake {
    watches: Script<v1::Event>,
    logs: Script<v1::RunLogsResponse>,
    artifacts: Script<v1::GetArtifactResponse>,
    asked: Arc<Mutex<Vec<u64>>>,
}

type Stream<T> = tokio_stream::Iter<std::vec::IntoIter<Result<T, Status>>>;

impl Fake {
    fn play<T>(&self, script: &Script<T>, from: u64) -> Result<Response<Stream<T>>, Status> {
        self.asked.lock().unwrap().push(from);
        let next = script.lock().unwrap().pop_front();
        Ok(Response::new(tokio_stream::iter(
            next.ok_or_else(|| Status::internal("asked too often"))?,
        )))
    }
}

fn other<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in this test"))
}

#[tonic::async_trait]
impl RunService for Fake {
    type WatchStream = Stream<v1::Event>;
    type LogsStream = Stream<v1::RunLogsResponse>;
    type GetArtifactStream = Stream<v1::GetArtifactResponse>;
    async fn get_artifact(
        &self,
        request: Request<v1::GetArtifactRequest>,
    ) -> Result<Response<Self::GetArtifactStream>, Status> {
        self.play(&self.artifacts, request.get_ref().offset)
    }
    async fn list_artifacts(
        &self,
        _: Request<v1::ListArtifactsRequest>,
    ) -> Result<Response<v1::ListArtifactsResponse>, Status> {
        other()
    }
    async fn watch(
        &self,
        request: Request<v1::WatchRunRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.play(&self.watches, request.get_ref().after_seq)
    }
    async fn logs(&self, request: Request<v1::RunLogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        self.play(&self.logs, request.get_ref().offset)
    }
    async fn start(&self, _: Request<v1::StartRunRequest>) -> Result<Response<v1::StartRunResponse>, Status> {
        Err(Status::invalid_argument("input \"n\": expected int"))
    }
    async fn get(&self, _: Request<v1::GetRunRequest>) -> Result<Response<v1::Run>, Status> {
        other()
    }
    async fn rerun(&self, _: Request<v1::RerunRequest>) -> Result<Response<v1::StartRunResponse>, Status> {
        other()
    }
    async fn list(&self, _: Request<v1::ListRunsRequest>) -> Result<Response<v1::ListRunsResponse>, Status> {
        other()
    }
    async fn cancel(
        &self,
        _: Request<v1::CancelRunRequest>,
    ) -> Result<Response<v1::CancelRunResponse>, Status> {
        other()
    }
    async fn resolve(&self, _: Request<v1::ResolveRequest>) -> Result<Response<v1::ResolveResponse>, Status> {
        other()
    }
}

async fn serve(fake: &Fake) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = RunServiceServer::new(fake.clone());
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    Client::connect(&url).await.unwrap()
}

fn event(seq: u64) -> Result<v1::Event, Status> {
    Ok(v1::Event {
        seq,
        kind: "step.skipped".into(),
        body_json: r#"{"step":"a"}"#.into(),
        ..Default::default()
    })
}

fn last(seq: u64) -> Result<v1::Event, Status> {
    let body_json = r#"{"outcome":"succeeded","reasons":[]}"#.into();
    Ok(v1::Event {
        seq,
        kind: "run.ended".into(),
        body_json,
        ..Default::default()
    })
}

/// What was heard: seqs, `away`, `back`; and the error that ended it.
async fn hear(fake: &Fake) -> (Vec<String>, Option<Error>) {
    let client = serve(fake).await;
    let mut watch = client.watch("run_x", 0);
    let mut heard = Vec::new();
    let all = async {
        loop {
            match watch.next().await {
                Ok(Some(Notice::Event(event))) => heard.push(event.seq.to_string()),
                Ok(Some(Notice::Away(_))) => heard.push("away".into()),
                Ok(Some(Notice::Back)) => heard.push("back".into()),
                Ok(None) => return None,
                Err(error) => return Some(error),
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
    (heard, error)
}

fn script(streams: Vec<Vec<Result<v1::Event, Status>>>) -> Fake {
    let fake = Fake::default();
    *fake.watches.lock().unwrap() = streams.into();
    fake
}

#[tokio::test]
async fn it_goes_on_from_the_last_event_and_says_so() {
    let fake = script(vec![
        vec![event(1), event(2), Err(Status::unavailable("stopping"))],
        // An orderly end that is not the run's.
        vec![event(3)],
        // Overlap is passed over.
        vec![event(3), last(4), event(5)],
    ]);
    let (heard, error) = hear(&fake).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(heard, ["1", "2", "away", "back", "3", "away", "back", "4"]);
    assert_eq!(*fake.asked.lock().unwrap(), [0, 2, 3]);
}

#[tokio::test]
async fn a_slow_reader_goes_on_quietly() {
    let fake = script(vec![
        vec![event(1), Err(Status::resource_exhausted("too slow"))],
        vec![last(2)],
    ]);
    assert_eq!(hear(&fake).await.0, ["1", "2"]);
}

#[tokio::test]
async fn a_gap_is_an_error_never_passed_over() {
    let (heard, error) = hear(&script(vec![vec![event(1), event(3)]])).await;
    assert_eq!(heard, ["1"]);
    assert!(error.unwrap().to_string().contains("jumps from 1 to 3"));
}

#[tokio::test]
async fn a_refusal_ends_it_at_once() {
    let (_, error) = hear(&script(vec![vec![Err(Status::not_found("no such run"))]])).await;
    assert_eq!(error.unwrap().refusal(), Some(Refusal::NotFound));
}

fn piece(attempt: u32, offset: u64, data: &[u8]) -> Result<v1::RunLogsResponse, Status> {
    let run_id = "run_01jx0000000000000000000000".into();
    let attempt = Some(v1::AttemptRef {
        run_id,
        step: "a".into(),
        index: None,
        attempt,
    });
    Ok(v1::RunLogsResponse {
        attempt,
        offset,
        data: data.to_vec(),
        ..Default::default()
    })
}

/// Follows a step's logs; answers the bytes.
async fn followed(fake: &Fake, attempt: u32) -> Vec<u8> {
    let client = serve(fake).await;
    let (run, step) = ("run_x".into(), "a".into());
    let of = LogsOf {
        run,
        step,
        index: None,
        attempt,
        stream: LogStream::Stdout,
        follow: true,
        service: String::new(),
    };
    let mut bytes = Vec::new();
    let print = |piece: LogPiece| -> Result<(), Error> {
        bytes.extend(piece.data);
        Ok(())
    };
    let all = client.logs(&of, print);
    tokio::time::timeout(Duration::from_secs(20), all)
        .await
        .unwrap()
        .unwrap();
    bytes
}

#[tokio::test]
async fn followed_logs_go_on_from_the_last_byte() {
    let gone = || Err(Status::unavailable("stopping"));
    let fake = Fake::default();
    *fake.logs.lock().unwrap() = vec![
        vec![piece(1, 0, b"ab\x00"), piece(1, 3, b"\xff\r"), gone()],
        vec![piece(1, 5, b"\n")],
    ]
    .into();
    assert_eq!(followed(&fake, 1).await, b"ab\x00\xff\r\n");
    assert_eq!(*fake.asked.lock().unwrap(), [0, 5]);
}

#[tokio::test]
async fn followed_logs_of_the_newest_try_go_on_into_the_next_one() {
    let gone = || Err(Status::unavailable("stopping"));
    let fake = Fake::default();
    *fake.logs.lock().unwrap() = vec![
        vec![gone()],
        vec![piece(1, 0, b"one "), gone()],
        vec![piece(1, 4, b"more ")],
        // Asked for the newest again: what is known already is passed over.
        vec![piece(1, 0, b"one more "), piece(2, 0, b"two")],
    ]
    .into();
    assert_eq!(followed(&fake, 0).await, b"one more two");
    assert_eq!(*fake.asked.lock().unwrap(), [0, 0, 4, 0]);
}

fn part(part: v1::get_artifact_response::Part) -> Result<v1::GetArtifactResponse, Status> {
    Ok(v1::GetArtifactResponse { part: Some(part) })
}

#[tokio::test]
async fn an_artifact_is_got_over_interruptions_and_held_against_its_sum() {
    use v1::get_artifact_response::Part;
    let abc = v1::RunArtifact {
        name: "heap".into(),
        attempt: 1,
        bytes: 3,
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
        ..v1::RunArtifact::default()
    };
    let is = || part(Part::Artifact(abc.clone()));
    let data = |text: &str| part(Part::Data(text.as_bytes().to_vec()));
    let gone = || Err(Status::unavailable("stopping"));
    let of = sdk::ArtifactOf {
        run: "run_1".into(),
        step: "s".into(),
        index: None,
        attempt: 0,
        name: "heap".into(),
    };
    let fake = Fake::default();
    *fake.artifacts.lock().unwrap() = vec![vec![is(), data("a"), gone()], vec![is(), data("bc")]].into();
    let mut got = Vec::new();
    let take = |bytes: &[u8]| {
        got.extend_from_slice(bytes);
        Ok::<(), Error>(())
    };
    let artifact = serve(&fake).await.artifact(&of, take).await.unwrap();
    assert_eq!((got.as_slice(), artifact.bytes), (&b"abc"[..], 3));
    assert_eq!(*fake.asked.lock().unwrap(), [0, 1]);
    for wrong in ["abd", "ab", "abcd"] {
        let fake = Fake::default();
        *fake.artifacts.lock().unwrap() = vec![vec![is(), data(wrong)]].into();
        let error = serve(&fake)
            .await
            .artifact(&of, |_: &[u8]| Ok::<(), Error>(()))
            .await;
        assert!(matches!(error, Err(Error::Answer(_))), "{wrong}: {error:?}");
    }
}

#[tokio::test]
async fn refusals_have_their_kind_and_absence_its_own() {
    let client = serve(&Fake::default()).await;
    let what = sdk::What::Kept("w".into());
    let start = sdk::Start {
        what,
        inputs: types::Object::new(),
        payload: Vec::new(),
        idempotency_key: String::new(),
    };
    let error = client.start(start).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Invalid));
    assert_eq!(error.to_string(), "input \"n\": expected int");
    // A port that was just free.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = Client::connect(&format!("http://{free}")).await.unwrap_err();
    assert!(
        error.is_unreachable() && error.to_string().contains(&free.to_string()),
        "{error}"
    );
    assert!(matches!(
        Client::connect("https://x").await.unwrap_err(),
        Error::Url { .. }
    ));
}
