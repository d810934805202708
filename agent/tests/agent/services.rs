//! Services beside a step: ready before it, ended after it, each started once, whoever dies meanwhile.

use std::{path::Path, time::Duration};

use proto::v1::LogStream;
use types::{FailureKind, Network, Ready, ReadyCheck, Resources, ServiceWork, Verdict, Work, WorkBody};

use super::{
    fake::{Fake, PATIENCE, token},
    process::{Agent, Witness, swept},
    secrets::{gate, private},
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
        files: std::collections::BTreeMap::new(),
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
        &["before the step had ended, service db ended with exit code 4; its last lines: gone"]
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

async fn there(what: &Path) {
    let waits = async {
        while !what.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let came = tokio::time::timeout(PATIENCE, waits).await;
    assert!(came.is_ok(), "{} did not come", what.display());
}

/// Waits at a gate.
fn waits(port: u16) -> String {
    format!("exec 3<>/dev/tcp/127.0.0.1/{port}; read -r go <&3; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_does_after_its_step_takes_nothing_from_it() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let (step_may, db_may) = (tmp.path().join("step"), tmp.path().join("db"));
    let data = tmp.path().join("data");
    let agent = Agent::spawn(&fake.url(), &data);
    let token = token();
    let db = service(&format!("{}echo late >&2; exit 3", waits(gate(&db_may))), None);
    let step = format!("{}{}", waits(gate(&step_may)), witness.say("step"));
    fake.offer(&token, &with(&step, &[("db", db)])).await;
    fake.started(&token).await;
    agent.kill();
    let attempt = data.join("attempts").join(token.as_str());
    std::fs::write(&step_may, "").unwrap();
    there(&attempt.join("exit.json")).await;
    std::fs::write(&db_may, "").unwrap();
    there(&attempt.join("service.db/exit.json")).await;
    let _agent = Agent::spawn(&fake.url(), &data);
    let report = fake.finished(&token).await;
    assert_eq!(report.verdict, Verdict::Succeeded);
    assert!(report.services[0].ended.is_none(), "{:?}", report.services);
    assert_eq!(witness.heard(), ["step"]);
    swept(&data).await;
}

/// The service holds the value of its start; the agent that goes on with it gives the step the one of now.
#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_service_is_masked_also_when_its_secret_was_rotated_meanwhile() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let [data, file, value, go] = ["data", "agent.toml", "value", "go"].map(|name| tmp.path().join(name));
    private(
        &file,
        "[policy]\nnetworks = [\"host\"]\n[secrets.ROTATED]\nfile = \"value\"\n",
    );
    private(&value, "first-hunter2-value");
    let agent = Agent::with_file(&fake.url(), &data, &file, &[]);
    let token = token();
    let says = "echo \"it is $MINE\"; touch /tmp/up; exec sleep 600";
    let mut db = service(
        &format!("{}\n{}{says}", witness.say("up"), waits(gate(&go))),
        Some("test -e /tmp/up"),
    );
    db.secrets.insert("MINE".to_owned(), "ROTATED".to_owned());
    fake.offer(&token, &with(&witness.say("step"), &[("db", db)]))
        .await;
    witness.until("up").await;
    agent.kill();
    private(&value, "second-hunter2-value");
    let _again = Agent::with_file(&fake.url(), &data, &file, &[]);
    // It has asked for the secret anew.
    let knows = async {
        while !kept(token.as_str()).contains("second-hunter2-value") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, knows)
        .await
        .expect("the second value is kept");
    std::fs::write(&go, "").unwrap();
    assert_eq!(fake.finished(&token).await.verdict, Verdict::Succeeded);
    assert_eq!(witness.heard(), ["up", "step"]);
    let out = fake
        .until("end of the service's log", |state| {
            Some(state.log_of(&token, "db", LogStream::Stdout)).filter(|held| held.ended)
        })
        .await;
    assert_eq!(String::from_utf8(out.bytes).unwrap(), "it is ***\n");
    swept(&data).await;
}

/// What an agent keeps of a step in the host's memory.
fn kept(token: &str) -> String {
    let places = ["/run", "/dev/shm"].map(|place| std::fs::read_dir(place).into_iter().flatten().flatten());
    let found = places
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("firehall-agt_"))
        .find_map(|entry| std::fs::read_to_string(entry.path().join(token)).ok());
    found.unwrap_or_default()
}
