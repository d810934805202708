//! `WorkflowService.Plan` over the wire: the outlook, the agents of now, and what it refuses.

use std::time::Duration;

use proto::v1::{self, plan_request::What, workflow_service_client::WorkflowServiceClient};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    agent::Agent,
    stack::{Stack, soon},
};

const BOUND: &str = "
name: bound
on:
  alert:
    when: alert.severity == \"critical\"
inputs:
  n: { type: int, default: 1 }
steps:
  check:
    foreach: ${{ trigger.alert.hosts }}
    image: host
    env: { HOST: \"${{ each.value }}\", N: \"${{ inputs.n }}\" }
    run: echo hello
";

async fn plan(stack: &Stack, request: v1::PlanRequest) -> Result<(Vec<v1::Diagnostic>, Value), Status> {
    let mut client = WorkflowServiceClient::new(stack.channel().await);
    let answer = client.plan(request).await?.into_inner();
    let outlook = match answer.outlook_json.as_str() {
        "" => Value::Null,
        json => serde_json::from_str(json).unwrap(),
    };
    Ok((answer.diagnostics, outlook))
}

fn of(source: &str) -> v1::PlanRequest {
    v1::PlanRequest {
        what: Some(What::Source(source.to_owned())),
        file: "bound.yaml".to_owned(),
        ..v1::PlanRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_knows_the_alert_and_the_agents_of_now_and_starts_nothing() {
    let stack = Stack::start().await;
    let payload = json!({"title": "it burns", "severity": "critical", "hosts": ["web-1", "web-2"]});
    let request = v1::PlanRequest {
        payload: payload.to_string().into_bytes(),
        inputs_json: json!({"n": 7}).to_string(),
        ..of(BOUND)
    };
    let (diagnostics, seen) = plan(&stack, request.clone()).await.unwrap();
    assert!(diagnostics.is_empty());
    assert_eq!(
        (&seen["name"], &seen["triggers"]["starts"]),
        (&json!("bound"), &json!(true))
    );
    // It says nothing of Datadog.
    assert_eq!(seen["triggers"]["alert"]["source"], "generic");
    let step = &seen["steps"][0];
    assert_eq!(step["fan_out"]["items"][1]["value"], json!({"value": "web-2"}));
    assert_eq!(step["does"]["env"]["N"], json!({"value": "7"}));
    let why = step["where"]["agents"]["why_none"].as_str().unwrap();
    assert!(why.contains("no agent has ever connected"), "{why}");

    let mut agent = Agent::new(1);
    let session = agent.connect(&stack, Vec::new(), 9).await;
    soon("the agent's credits", async {
        loop {
            let (_, seen) = plan(&stack, request.clone()).await.unwrap();
            let agents = &seen["steps"][0]["where"]["agents"];
            assert_eq!(agents["fit"], json!(["scripted"]));
            if agents["takes"] == "scripted" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    drop(session);

    // The same of a kept one; without a payload its alert is not known.
    stack.put(BOUND).await;
    let kept = v1::PlanRequest {
        what: Some(What::Workflow("bound".to_owned())),
        ..v1::PlanRequest::default()
    };
    let (_, seen) = plan(&stack, kept).await.unwrap();
    assert_eq!(seen["steps"][0]["fan_out"]["count"], Value::Null);
    assert_eq!(seen["unknown"][0]["what"], "trigger.alert.hosts");
    let runs = stack
        .runs()
        .await
        .list(v1::ListRunsRequest::default())
        .await
        .unwrap();
    assert!(runs.into_inner().runs.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_definition_is_an_answer_and_a_wrong_request_names_its_field() {
    let stack = Stack::start().await;
    let (diagnostics, seen) = plan(&stack, of("name: w\nsteps: 7\n")).await.unwrap();
    assert_eq!((diagnostics[0].line, seen), (2, Value::Null));
    let refused = async |request: v1::PlanRequest| {
        let status = plan(&stack, request).await.unwrap_err();
        let bad = status.get_details_bad_request();
        let fields = bad.map(|bad| bad.field_violations.into_iter().map(|one| one.field).collect());
        (status.code(), fields.unwrap_or_else(Vec::new).join(" "))
    };
    let wrong = [
        (v1::PlanRequest::default(), "what"),
        (
            v1::PlanRequest {
                inputs_json: "[".to_owned(),
                ..of(BOUND)
            },
            "inputs_json",
        ),
        (
            v1::PlanRequest {
                inputs_json: "{\"n\": \"x\", \"m\": 1}".to_owned(),
                ..of(BOUND)
            },
            "inputs_json.m inputs_json.n",
        ),
        (
            v1::PlanRequest {
                payload: b"no json".to_vec(),
                ..of(BOUND)
            },
            "payload",
        ),
    ];
    for (request, field) in wrong {
        assert_eq!(refused(request).await, (Code::InvalidArgument, field.to_owned()));
    }
    let unknown = v1::PlanRequest {
        what: Some(What::Workflow("nobody".to_owned())),
        ..v1::PlanRequest::default()
    };
    assert_eq!(refused(unknown).await.0, Code::NotFound);

    // Ten thousand steps have an outlook that fits into no message: said, not cut and not INTERNAL.
    let many = (0..10_000).map(|n| format!("  s{n}: {{ image: host, run: 'true' }}\n"));
    let many = format!("name: many\nsteps:\n{}", many.collect::<String>());
    assert_eq!(
        refused(of(&many)).await,
        (Code::InvalidArgument, "what".to_owned())
    );
    stack.stop().await;
}
