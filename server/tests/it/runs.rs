//! Starting runs.

use std::sync::atomic::Ordering;

use proto::v1::{self, start_run_request::What};
use server::store::{Store, WorkflowRow};
use tonic::Code;

use crate::stack::{ONE, Stack, TWO, soon};

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

/// What an older build kept: every default written out.
const FORMAT_1: &str = r#"{
  "format": 1, "name": "old", "source_digest": "0", "inputs": {},
  "steps": [{
    "key": "only", "needs": [], "when_replaces_edge": false, "runs_on": {},
    "pickup_ms": 300000, "timeout_ms": 600000, "grace_ms": 5000, "disconnect_ms": 600000,
    "retry": {"limit": 0, "delay_ms": 1000, "backoff": 2.0, "max_delay_ms": 60000, "jitter": true, "on": []},
    "allow_failure": false, "if_lost": "fail", "ask_ms": 600000, "outputs": {},
    "body": {
      "kind": "container", "image": {"literal": "host"}, "argv": [{"literal": "true"}],
      "env": {}, "secrets": {}, "resources": {"memory_bytes": 268435456, "pids": 128},
      "network": "none", "host_view": [], "output_from": "file"
    }
  }]
}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_an_older_build_kept_is_pinned_in_the_form_of_today() {
    let stack = Stack::start().await;
    let row = WorkflowRow {
        name: "old".to_owned(),
        version: "0".to_owned(),
        source: "name: old".to_owned(),
        plan: FORMAT_1.to_owned(),
        stored_at: types::Timestamp::from_unix_ms(1),
    };
    stack.store.put_workflow(row).await.unwrap();
    let by_name = v1::StartRunRequest {
        what: Some(What::Workflow("old".to_owned())),
        ..v1::StartRunRequest::default()
    };
    let run = stack
        .runs()
        .await
        .start(by_name)
        .await
        .unwrap()
        .into_inner()
        .run_id;
    let first = soon("the first event", stack.watch(&run, 0).await.message()).await;
    let first = first.unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_str(&first.body_json).unwrap();
    let today = serde_json::json!({
        "format": 2, "name": "old", "source_digest": "0",
        "steps": [{
            "key": "only",
            "body": {"kind": "container", "image": {"literal": "host"}, "argv": [{"literal": "true"}]},
        }],
    });
    assert_eq!((first.version, &body["plan"]), (2, &today));
    stack.stop().await;
}
