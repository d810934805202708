//! A run of as many steps as a definition may have.

use std::fmt::Write as _;

use proto::v1::{
    self, incident_service_client::IncidentServiceClient, start_run_request::What,
    workflow_service_client::WorkflowServiceClient,
};
use tonic::Code;
use types::limits::STEPS;

use crate::stack::{Stack, soon};

/// Chains of a hundred steps, side by side; each says what an ordinary step says.
fn chains(name: &str) -> String {
    let mut text = format!("name: {name}\nsteps:\n");
    for n in 0..STEPS {
        write!(text, "  check-{n:05}: {{ image: host, run: 'df -h /srv/{n}'").unwrap();
        if n % 100 > 0 {
            write!(text, ", needs: check-{:05}", n - 1).unwrap();
        }
        text.push_str(" }\n");
    }
    text
}

/// The first event of a run and what its plan says of the last step.
async fn first(stack: &Stack, run: &str, command: &str) -> v1::Event {
    let mut stream = stack.watch(run, 0).await;
    let event = soon("the first event", stream.message()).await.unwrap().unwrap();
    assert_eq!((event.kind.as_str(), event.version), ("run.started", 2));
    let body: serde_json::Value = serde_json::from_str(&event.body_json).unwrap();
    let steps = body["plan"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), STEPS);
    let argv = ["/bin/sh", "-e", "-c", &format!("{command} /srv/9999")]
        .map(|word| serde_json::json!({"literal": word}));
    let last = serde_json::json!({
        "key": "check-09999",
        "needs": ["check-09998"],
        "body": {
            "kind": "container",
            "image": {"literal": "host"},
            "argv": argv,
        },
    });
    assert_eq!(steps[STEPS - 1], last);
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_steps_are_kept_started_seen_cancelled_and_survive_a_restart() {
    let stack = Stack::start().await;
    let source = chains("large");
    stack.put(&source).await;
    let mut workflows = WorkflowServiceClient::new(stack.channel().await);
    let compile = v1::CompileRequest {
        file: String::new(),
        source: source.clone(),
    };
    let compiled = workflows.compile(compile).await.unwrap().into_inner();
    assert!(compiled.diagnostics.is_empty());
    let get = v1::GetWorkflowRequest {
        name: "large".to_owned(),
        version: String::new(),
    };
    let kept = workflows.get(get).await.unwrap().into_inner();
    assert_eq!((&kept.source, &kept.plan_json), (&source, &compiled.plan_json));

    let by_name = v1::StartRunRequest {
        what: Some(What::Workflow("large".to_owned())),
        ..v1::StartRunRequest::default()
    };
    let mut runs = stack.runs().await;
    let cancelled = runs.start(by_name).await.unwrap().into_inner().run_id;
    let live = stack.start_run(&source).await;
    let cancel = v1::CancelRunRequest {
        run_id: cancelled.clone(),
        reason: "enough".to_owned(),
    };
    assert!(runs.cancel(cancel).await.unwrap().into_inner().accepted);
    assert_eq!(stack.outcome(&cancelled).await, v1::Outcome::Cancelled);
    let said = [
        first(&stack, &cancelled, "df -h").await,
        first(&stack, &live, "df -h").await,
    ];
    let told = stack.history(&cancelled).await;

    let stack = Stack::on(stack.stop().await, None).await;
    assert_eq!(
        [
            first(&stack, &cancelled, "df -h").await,
            first(&stack, &live, "df -h").await
        ],
        said
    );
    assert_eq!(stack.history(&cancelled).await, told);
    assert_eq!(told.last().map(String::as_str), Some("run.ended"));
    let shown = stack.run(&live).await;
    assert_eq!(shown.steps.len(), STEPS);
    assert_eq!(shown.outcome(), v1::Outcome::Unspecified);
    let again = v1::RerunRequest {
        run_id: cancelled,
        ..v1::RerunRequest::default()
    };
    let again = stack.runs().await.rerun(again).await.unwrap().into_inner().run_id;
    first(&stack, &again, "df -h").await;
    let listed = stack.runs().await.list(v1::ListRunsRequest::default()).await;
    assert_eq!(listed.unwrap().into_inner().runs.len(), 3);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_too_large_for_its_first_event_is_refused_with_its_size() {
    let stack = Stack::start().await;
    let inputs = "inputs:\n  a: { type: string }\n  b: { type: string }\nsteps:";
    let source = chains("large").replacen("steps:", inputs, 1);
    stack.put(&source.replace("df -h", "df --human-readable")).await;
    let request = |bytes: usize| v1::StartRunRequest {
        what: Some(What::Workflow("large".to_owned())),
        inputs_json: serde_json::json!({"a": "x".repeat(bytes), "b": "x".repeat(bytes)}).to_string(),
        ..v1::StartRunRequest::default()
    };
    let mut runs = stack.runs().await;
    let run = runs.start(request(800_000)).await.unwrap().into_inner().run_id;
    first(&stack, &run, "df --human-readable").await;
    let status = runs.start(request(1_040_000)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("bytes in all, at most 4128768"),
        "{status}"
    );

    // The same for what an alert starts.
    let on_alert = source.replacen("steps:", "on: { alert: {} }\nsteps:", 1);
    let on_alert = on_alert.replace("{ type: string }", "{ type: string, default: '' }");
    stack.put(&on_alert.replace("df -h", "df --human-readable")).await;
    let incidents = IncidentServiceClient::new(stack.channel().await);
    let open = |bytes| {
        let request = v1::OpenIncidentRequest {
            title: "Disk full".to_owned(),
            severity: "high".to_owned(),
            inputs_json: request(bytes).inputs_json,
            ..v1::OpenIncidentRequest::default()
        };
        let mut incidents = incidents.clone();
        async move { incidents.open(request).await }
    };
    let status = open(1_040_000).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().starts_with("inputs_json: the run's plan"),
        "{status}"
    );
    let opened = open(800_000).await.unwrap().into_inner();
    first(&stack, &opened.run_ids[0], "df --human-readable").await;
    stack.stop().await;
}
