//! Services beside a step: ready before it, ended after it, each started once, whoever dies meanwhile.

use std::time::Duration;

use types::{FailureKind, Network, Ready, ReadyCheck, Resources, ServiceWork, Verdict, Work, WorkBody};

use super::{
    fake::{Fake, token},
    process::{Agent, Witness, swept},
    work::{container, work},
};

/// A script of bash that is ready when a command says so.
fn service(text: &str, ready: Option<&str>) -> ServiceWork {
    let bash = |text: &str| ["/bin/bash", "-e", "-c", text].map(str::to_owned).to_vec();
    ServiceWork {
        image: "host".to_owned(),
        pull: types::Pull::default(),
        argv: bash(text),
        env: std::collections::BTreeMap::new(),
        secrets: std::collections::BTreeMap::new(),
        secret_files: std::collections::BTreeSet::new(),
        resources: Resources::default(),
        workdir: None,
        user: None,
        ready: ready.map(|look| Ready {
            check: ReadyCheck::Command(bash(look)),
            interval_ms: 50,
            timeout_ms: 30_000,
        }),
    }
}

fn with(text: &str, services: &[(&str, ServiceWork)]) -> Work {
    let mut step = container(text);
    for (name, service) in services {
        step.services.insert((*name).to_owned(), service.clone());
    }
    work(WorkBody::Container(step))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_while_a_service_gets_ready_starts_neither_twice() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let token = token();
    let (db, step) = (witness.say("db"), witness.say("step"));
    let db = service(
        &format!("{db}sleep 1; touch /tmp/up; exec sleep 600"),
        Some("test -e /tmp/up"),
    );
    fake.offer(&token, &with(&step, &[("db", db)])).await;
    witness.until("db").await;
    agent.kill();
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    let report = fake.finished(&token).await;
    assert_eq!(report.verdict, Verdict::Succeeded);
    assert_eq!(witness.heard(), ["db", "step"]);
    let [told] = report.services.as_slice() else {
        panic!("{:?}", report.services)
    };
    assert!(told.ready_ms.is_some() && told.ended.is_none(), "{told:?}");
    swept(tmp.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_ends_while_its_agent_is_away_takes_its_services_with_it() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let token = token();
    let (db, over, step) = (witness.say("db"), witness.say("db-over"), witness.say("step"));
    let db = service(
        &format!(
            "trap '{} exit 0' TERM\n{db}while true; do sleep 0.1; done",
            over.trim_end().to_owned() + ";"
        ),
        None,
    );
    fake.offer(&token, &with(&format!("sleep 1\n{step}"), &[("db", db)]))
        .await;
    fake.started(&token).await;
    witness.until("db").await;
    agent.kill();
    witness.until("step").await;
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    let report = fake.finished(&token).await;
    assert_eq!(report.verdict, Verdict::Succeeded);
    assert_eq!(report.services.len(), 1, "{:?}", report.services);
    assert_eq!(witness.heard(), ["db", "step", "db-over"]);
    swept(tmp.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_dies_meanwhile_degrades_its_step_and_is_told() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    let token = token();
    let db = service("echo gone >&2; sleep 1; exit 4", None);
    let mut work = with("sleep 3; grep -w db /etc/hosts", &[("db", db)]);
    if let WorkBody::Container(step) = &mut work.body {
        step.network = Network::None;
    }
    fake.offer(&token, &work).await;
    let report = fake.finished(&token).await;
    let Verdict::Degraded { reasons } = &report.verdict else {
        panic!("{:?}", report.verdict)
    };
    assert_eq!(
        reasons,
        &["while the step ran, service db ended with exit code 4; its last lines: gone"]
    );
    let ended = report.services[0].ended.as_ref().unwrap();
    assert_eq!(ended.exit.as_ref().unwrap().code, Some(4));
    swept(tmp.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_does_not_start_without_its_service_and_nothing_stays() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    let token = token();
    let db = service("echo no room >&2; exit 7", Some("false"));
    let stays = service(&format!("{}exec sleep 600", witness.say("beside")), None);
    let step = witness.say("step");
    fake.offer(&token, &with(&step, &[("db", db), ("other", stays)]))
        .await;
    let report = fake.finished(&token).await;
    let Verdict::Failed { failure } = &report.verdict else {
        panic!("{:?}", report.verdict)
    };
    assert_eq!(failure.kind, FailureKind::Start);
    let said = "before the step could start, service db ended with exit code 7; its last lines: no room";
    assert_eq!(failure.message, said);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(
        !witness.heard().contains(&"step".to_owned()),
        "{:?}",
        witness.heard()
    );
    swept(tmp.path()).await;
}
