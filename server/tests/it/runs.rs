//! Starting runs.

use std::sync::atomic::Ordering;

use proto::v1::{self, start_run_request::What};
use tonic::Code;

use crate::stack::{ONE, Stack, TWO};

fn request(source: &str, key: &str) -> v1::StartRunRequest {
    v1::StartRunRequest {
        what: Some(What::Source(source.to_owned())),
        idempotency_key: key.to_owned(),
        ..v1::StartRunRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_and_request_is_the_same_run() {
    let stack = Stack::start().await;
    let starts = (0..8).map(|_| async {
        let mut client = stack.runs().await;
        client.start(request(ONE, "k")).await.unwrap().into_inner().run_id
    });
    let ids = futures::future::join_all(starts).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(stack.store.appends.load(Ordering::SeqCst), 1);
    let mut client = stack.runs().await;
    let status = client.start(request(TWO, "k")).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    let other = client.start(request(ONE, "l")).await.unwrap().into_inner().run_id;
    assert_ne!(other, ids[0]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_start_of_a_kept_workflow_does_not_ask_the_newer_definition() {
    let stack = Stack::start().await;
    stack.put(ONE).await;
    let by_name = v1::StartRunRequest {
        what: Some(What::Workflow("one".to_owned())),
        idempotency_key: "k".to_owned(),
        ..v1::StartRunRequest::default()
    };
    let mut client = stack.runs().await;
    let first = client.start(by_name.clone()).await.unwrap().into_inner().run_id;
    stack
        .put(&ONE.replace("steps:", "inputs:\n  who: { type: string }\nsteps:"))
        .await;
    let again = client.start(by_name.clone()).await.unwrap().into_inner().run_id;
    assert_eq!(first, again);
    let fresh = v1::StartRunRequest {
        idempotency_key: String::new(),
        ..by_name
    };
    assert_eq!(
        client.start(fresh).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_are_said_with_their_reason() {
    let stack = Stack::start().await;
    let mut client = stack.runs().await;
    let code =
        |result: Result<tonic::Response<v1::StartRunResponse>, tonic::Status>| result.unwrap_err().code();
    assert_eq!(
        code(client.start(v1::StartRunRequest::default()).await),
        Code::InvalidArgument
    );
    assert_eq!(
        code(client.start(request("steps: 3", "")).await),
        Code::InvalidArgument
    );
    let unknown = v1::StartRunRequest {
        what: Some(What::Workflow("x".repeat(100_000))),
        ..v1::StartRunRequest::default()
    };
    // A long text in a message must not break the connection: it travels in a header.
    assert_eq!(code(client.start(unknown).await), Code::NotFound);
    let inputs = v1::StartRunRequest {
        inputs_json: "{\"nobody\": 1}".to_owned(),
        ..request(ONE, "")
    };
    assert_eq!(code(client.start(inputs).await), Code::InvalidArgument);
    let get = v1::GetRunRequest {
        run_id: "run_x".to_owned(),
    };
    assert_eq!(client.get(get).await.unwrap_err().code(), Code::InvalidArgument);
    let run_id = types::RunId::new(types::Timestamp::from_unix_ms(1), [1; 10]).to_string();
    let get = v1::GetRunRequest { run_id };
    assert_eq!(client.get(get).await.unwrap_err().code(), Code::NotFound);
    stack.stop().await;
}
