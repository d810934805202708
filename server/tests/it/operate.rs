//! What operators do: runs repeated, incidents opened by hand and watched, agents drained, the server asked how it is.

use std::collections::BTreeSet;

use proto::v1::{
    self, admin_service_client::AdminServiceClient, incident_service_client::IncidentServiceClient,
};
use serde_json::json;
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt;

use crate::{
    agent::{Agent, Session, accepted, started, succeeded},
    http::post,
    stack::{Stack, TWO, soon},
};

const BOUND: &str = "
name: bound
on:
  alert: {}
inputs:
  users:
    type: list<string>
    default: []
steps:
  only:
    image: host
    run: echo hello
    pickup: 1s
";

async fn incidents(stack: &Stack) -> IncidentServiceClient<Channel> {
    IncidentServiceClient::new(stack.channel().await)
}

async fn admin(stack: &Stack) -> AdminServiceClient<Channel> {
    AdminServiceClient::new(stack.channel().await)
}

fn opening(external_id: &str) -> v1::OpenIncidentRequest {
    v1::OpenIncidentRequest {
        external_id: external_id.to_owned(),
        title: "it burns $(reboot)".to_owned(),
        severity: "critical".to_owned(),
        ..v1::OpenIncidentRequest::default()
    }
}

fn field(status: &tonic::Status) -> String {
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let bad = status.get_details_bad_request().unwrap();
    bad.field_violations[0].field.clone()
}

async fn connected(stack: &Stack, agent: &mut Agent) -> Session {
    agent.connect(stack, Vec::new(), 9).await
}

/// Takes the next offer and does it.
async fn does(session: &mut Session) {
    let offer = session.offer().await;
    for body in [accepted(), started(), succeeded()] {
        session.report(&offer, body).await;
    }
    session.ack(&offer.token).await;
}

async fn rerun(stack: &Stack, run: &str, from: &[&str], key: &str) -> Result<String, tonic::Status> {
    let request = v1::RerunRequest {
        run_id: run.to_owned(),
        from: from.iter().map(|&step| step.to_owned()).collect(),
        idempotency_key: key.to_owned(),
    };
    let answer = stack.runs().await.rerun(request).await?;
    Ok(answer.into_inner().run_id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_opened_by_hand_starts_what_is_bound_once() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    let mut client = incidents(&stack).await;
    let request = v1::OpenIncidentRequest {
        inputs_json: json!({"users": ["a@x"]}).to_string(),
        test: true,
        idempotency_key: "k".to_owned(),
        ..opening("INC-1")
    };
    let opened = client.open(request.clone()).await.unwrap().into_inner();
    assert!(opened.opened);
    assert_eq!(opened.run_ids.len(), 1);
    let again = client.open(request.clone()).await.unwrap().into_inner();
    assert_eq!(again, opened, "the same key and request, the same answer");
    let other = v1::OpenIncidentRequest {
        severity: "low".to_owned(),
        ..request
    };
    assert_eq!(client.open(other).await.unwrap_err().code(), Code::AlreadyExists);

    let run = stack.run(&opened.run_ids[0]).await;
    assert_eq!(run.incident_id, opened.incident_id);
    let get = v1::GetIncidentRequest {
        incident_id: opened.incident_id.clone(),
    };
    let info = client.get(get.clone()).await.unwrap().into_inner();
    assert_eq!(
        (&*info.source, &*info.external_id, &*info.state),
        ("manual", "INC-1", "open")
    );
    assert_eq!(info.title, "[TEST] it burns $(reboot)");
    assert!(info.history_json.contains("\"test\""), "{}", info.history_json);
    let first = stack
        .watch(&opened.run_ids[0], 0)
        .await
        .message()
        .await
        .unwrap()
        .unwrap();
    assert!(first.body_json.contains("a@x"), "{}", first.body_json);

    // Other words of the same incident join it, and start nothing; also after a restart.
    let stack = Stack::on(stack.stop().await, None).await;
    let mut client = incidents(&stack).await;
    let more = v1::OpenIncidentRequest {
        description: "and the disk".to_owned(),
        ..opening("INC-1")
    };
    let joined = client.open(more).await.unwrap().into_inner();
    assert_eq!((joined.opened, joined.incident_id), (false, opened.incident_id));
    assert_eq!(joined.run_ids, [""; 0]);
    let info = client.get(get).await.unwrap().into_inner();
    assert_eq!(info.alerts, 2);
    assert!(info.history_json.contains("and the disk"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_at_once_open_one() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    let opens = (0..20).map(|_| async {
        let mut client = incidents(&stack).await;
        client.open(opening("INC-7")).await.unwrap().into_inner()
    });
    let answers = futures::future::join_all(opens).await;
    assert_eq!(answers.iter().filter(|answer| answer.opened).count(), 1);
    let ids: BTreeSet<&str> = answers.iter().map(|answer| answer.incident_id.as_str()).collect();
    let runs: BTreeSet<&str> = answers
        .iter()
        .flat_map(|a| a.run_ids.iter().map(String::as_str))
        .collect();
    assert_eq!((ids.len(), runs.len()), (1, 1));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_opening_names_its_field() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    let mut client = incidents(&stack).await;
    let inputs = |text: &str| v1::OpenIncidentRequest {
        inputs_json: text.to_owned(),
        ..opening("x")
    };
    let tags = |tags: Vec<String>| v1::OpenIncidentRequest { tags, ..opening("x") };
    for (request, path) in [
        (
            v1::OpenIncidentRequest {
                title: " ".to_owned(),
                ..opening("x")
            },
            "title",
        ),
        (
            v1::OpenIncidentRequest {
                severity: String::new(),
                ..opening("x")
            },
            "severity",
        ),
        (
            v1::OpenIncidentRequest {
                severity: "critcal".to_owned(),
                ..opening("x")
            },
            "severity",
        ),
        (
            v1::OpenIncidentRequest {
                description: "d".repeat(16 * 1024 + 1),
                ..opening("x")
            },
            "description",
        ),
        (opening(&"x".repeat(201)), "external_id"),
        (tags(vec!["ok".to_owned(), String::new()]), "tags[1]"),
        (tags(vec!["t".to_owned(); 101]), "tags"),
        (inputs("["), "inputs_json"),
        (inputs("{\"usrs\": []}"), "inputs_json.usrs"),
        (inputs("{\"users\": \"a@x\"}"), "inputs_json.users"),
    ] {
        let status = client.open(request).await.unwrap_err();
        assert_eq!(field(&status), path, "{status}");
    }
    let list = client
        .list(v1::ListIncidentsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(list.incidents.len(), 0, "nothing was opened");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incidents_are_listed_page_by_page() {
    let stack = Stack::start().await;
    let mut client = incidents(&stack).await;
    for n in 0..5 {
        client.open(opening(&format!("INC-{n}"))).await.unwrap();
    }
    let gone = json!({"id": "g", "title": "t", "severity": "low", "state": "resolved"}).to_string();
    assert_eq!(
        post(&stack, "/webhook/incident-response", gone.as_bytes())
            .await
            .status,
        202
    );
    let mut token = String::new();
    let mut seen = Vec::new();
    loop {
        let request = v1::ListIncidentsRequest {
            limit: 2,
            page_token: token,
            state: "open".to_owned(),
        };
        let page = client.list(request).await.unwrap().into_inner();
        assert!(page.incidents.len() <= 2);
        seen.extend(page.incidents.into_iter().map(|one| one.external_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, ["INC-0", "INC-1", "INC-2", "INC-3", "INC-4"]);
    let wrong = |state: &str, page_token: &str| v1::ListIncidentsRequest {
        state: state.to_owned(),
        page_token: page_token.to_owned(),
        limit: 0,
    };
    assert_eq!(
        field(&client.list(wrong("closed", "")).await.unwrap_err()),
        "state"
    );
    assert_eq!(
        field(&client.list(wrong("", "run_x")).await.unwrap_err()),
        "page_token"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_is_watched_with_runs_that_join_later() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    let mut client = incidents(&stack).await;
    let opened = client.open(opening("INC-1")).await.unwrap().into_inner();
    client.open(opening("INC-2")).await.unwrap();
    let watch = |cursor: &str| v1::WatchIncidentRequest {
        incident_id: opened.incident_id.clone(),
        cursor: cursor.to_owned(),
    };
    let mut stream = client.watch(watch("")).await.unwrap().into_inner();
    // Nobody takes the step: the run ends, and is repeated.
    stack.outcome(&opened.run_ids[0]).await;
    let second = rerun(&stack, &opened.run_ids[0], &[], "").await.unwrap();
    let (mut events, mut ends) = (Vec::new(), 0);
    while ends < 2 {
        let event = soon("an event", stream.message()).await.unwrap().unwrap();
        ends += usize::from(event.kind == "run.ended");
        events.push(event);
    }
    assert!(events.iter().all(|event| event.incident_id == opened.incident_id));
    assert_eq!((&*events[0].kind, events[0].seq), ("opened", 1));
    let cursors: Vec<u64> = events.iter().map(|event| event.cursor.parse().unwrap()).collect();
    assert!(cursors.is_sorted_by(|a, b| a < b), "in commit order, each once");
    for run in [&opened.run_ids[0], &second] {
        let seqs: Vec<u64> = events
            .iter()
            .filter(|e| e.run_id == *run)
            .map(|e| e.seq)
            .collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "without a gap");
    }
    // From the middle on it is the same, after a restart too.
    let stack = Stack::on(stack.stop().await, None).await;
    let mut client = incidents(&stack).await;
    let mut stream = client.watch(watch(&events[2].cursor)).await.unwrap().into_inner();
    for event in &events[3..] {
        assert_eq!(
            soon("an event", stream.message()).await.unwrap().as_ref(),
            Some(event)
        );
    }
    for cursor in ["x", "-1", "99999999"] {
        assert_eq!(field(&client.watch(watch(cursor)).await.unwrap_err()), "cursor");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_repeated_from_a_step_on() {
    let stack = Stack::start().await;
    let mut agent = Agent::new(1);
    let mut session = connected(&stack, &mut agent).await;
    let run = stack.start_run(TWO).await;
    let live = rerun(&stack, &run, &[], "").await.unwrap_err();
    assert_eq!(live.code(), Code::FailedPrecondition, "{live}");
    does(&mut session).await;
    does(&mut session).await;
    stack.outcome(&run).await;
    let all_well = rerun(&stack, &run, &[], "").await.unwrap_err();
    assert_eq!(all_well.code(), Code::FailedPrecondition, "{all_well}");
    let status = rerun(&stack, &run, &["first", "secnd"], "").await.unwrap_err();
    assert_eq!(field(&status), "from[1]");
    assert!(status.message().contains("did you mean \"second\""), "{status}");

    let second = rerun(&stack, &run, &["second"], "k").await.unwrap();
    assert_eq!(rerun(&stack, &run, &["second"], "k").await.unwrap(), second);
    let other = rerun(&stack, &run, &["first"], "k").await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);
    does(&mut session).await;
    assert_eq!(stack.outcome(&second).await, v1::Outcome::Succeeded);
    // Folded from the stored history, by another process.
    let stack = Stack::on(stack.stop().await, None).await;
    let view = stack.run(&second).await;
    assert_eq!(view.rerun_of, run);
    assert_eq!(
        (&*view.steps[0].reused_from, view.steps[0].attempts.len()),
        (&*run, 0)
    );
    assert_eq!(
        (&*view.steps[1].reused_from, view.steps[1].attempts.len()),
        ("", 1)
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_agent_gets_nothing_new_until_it_is_undone() {
    let stack = Stack::start().await;
    let mut agent = Agent::new(1);
    let session = connected(&stack, &mut agent).await;
    let name = stack.agents().await[0].name.clone();
    let drain = |agent: &str, undo| v1::DrainAgentRequest {
        agent: agent.to_owned(),
        undo,
        reason: "kernel".to_owned(),
    };
    let drained = admin(&stack)
        .await
        .drain_agent(drain(&name, false))
        .await
        .unwrap();
    assert!(drained.into_inner().agent.unwrap().draining);
    let unknown = admin(&stack)
        .await
        .drain_agent(drain("nobody", false))
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    drop(session);
    // It outlives the server and the agent's Hello.
    let stack = Stack::on(stack.stop().await, None).await;
    assert!(stack.agents().await[0].draining);
    let mut session = connected(&stack, &mut agent).await;
    assert!(stack.agents().await[0].draining);
    let run = stack.start_run(TWO).await;
    let view = stack.run(&run).await;
    assert!(
        view.steps[0].waits_for.contains("is draining"),
        "{:?}",
        view.steps[0]
    );
    assert_eq!(view.steps[1].waits_for, "the end of first");
    let undone = admin(&stack).await.drain_agent(drain(&name, true)).await.unwrap();
    assert!(!undone.into_inner().agent.unwrap().draining);
    does(&mut session).await;
    does(&mut session).await;
    assert_eq!(stack.outcome(&run).await, v1::Outcome::Succeeded);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_count_and_a_diagnosis_makes_nothing_up() {
    let stack = Stack::start().await;
    let source = || async {
        let listed = admin(&stack)
            .await
            .list_sources(v1::ListSourcesRequest {})
            .await
            .unwrap();
        listed
            .into_inner()
            .sources
            .into_iter()
            .find(|one| one.name == "generic")
            .unwrap()
    };
    let before = source().await;
    assert_eq!(
        (before.accepted, before.refused, before.last_accepted_ms),
        (0, 0, 0)
    );
    stack.put(BOUND).await;
    let good = json!({"id": "a", "title": "t", "severity": "low"}).to_string();
    assert_eq!(post(&stack, &before.path, good.as_bytes()).await.status, 202);
    assert_eq!(post(&stack, &before.path, b"[]").await.status / 100, 4);
    let after = source().await;
    assert_eq!((after.accepted, after.refused), (1, 1));
    assert!(after.last_accepted_ms > 0 && !after.last_refusal.is_empty());
    assert_eq!(after.bound_workflows, ["bound"]);

    let diagnose = || async {
        let told = admin(&stack)
            .await
            .diagnose(v1::DiagnoseRequest {})
            .await
            .unwrap();
        let findings = told.into_inner().findings;
        assert!(
            findings
                .iter()
                .all(|one| (one.level == "ok") == one.help.is_empty()),
            "{findings:?}"
        );
        move |check: &str| {
            findings
                .iter()
                .find(|one| one.check == check)
                .unwrap()
                .level
                .clone()
        }
    };
    let level = diagnose().await;
    assert_eq!(level("store.write"), "ok");
    assert_eq!(
        level("disk.free"),
        "unknown",
        "in memory there is no disk to tell of"
    );
    assert_eq!(level("agents.connected"), "error");
    assert_eq!(level("workflows.bound"), "ok");
    assert_eq!(level("webhook.secret"), "warning");
    let mut agent = Agent::new(1);
    let _session = connected(&stack, &mut agent).await;
    assert_eq!(diagnose().await("agents.connected"), "ok");
    // More than one: what the session still has to write takes some.
    stack
        .store
        .refuse
        .store(1_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(diagnose().await("store.write"), "error");
    stack.store.refuse.store(0, std::sync::atomic::Ordering::SeqCst);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_belongs_to_its_method() {
    let stack = Stack::start().await;
    let start = v1::StartRunRequest {
        what: Some(v1::start_run_request::What::Source(TWO.to_owned())),
        idempotency_key: "k".to_owned(),
        ..v1::StartRunRequest::default()
    };
    let run = stack
        .runs()
        .await
        .start(start.clone())
        .await
        .unwrap()
        .into_inner();
    let open = v1::OpenIncidentRequest {
        idempotency_key: "k".to_owned(),
        ..opening("INC-1")
    };
    let opened = incidents(&stack)
        .await
        .open(open.clone())
        .await
        .unwrap()
        .into_inner();
    // Over a restart, each answers as before.
    let stack = Stack::on(stack.stop().await, None).await;
    assert_eq!(stack.runs().await.start(start).await.unwrap().into_inner(), run);
    assert_eq!(
        incidents(&stack).await.open(open).await.unwrap().into_inner(),
        opened
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_listed_page_by_page() {
    let stack = Stack::start().await;
    for n in 1..=3 {
        drop(connected(&stack, &mut Agent::new(n)).await);
    }
    let (mut ids, mut page_token) = (BTreeSet::new(), String::new());
    for page in 0.. {
        let request = v1::ListAgentsRequest { limit: 2, page_token };
        let answer = admin(&stack)
            .await
            .list_agents(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.agents.len(), [2, 1][page]);
        ids.extend(answer.agents.into_iter().map(|agent| agent.id));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(ids.len(), 3);
    stack.stop().await;
}
