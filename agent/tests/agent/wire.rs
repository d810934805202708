//! The protocol as the server sees it, with an agent in this process that runs actions only.

use std::{collections::BTreeMap, path::Path, time::Duration};

use agent::{AgentError, Config};
use proto::v1::{DeclineReason, report::Body};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use types::{FailureKind, Verdict};

use super::{
    fake::{Fake, PATIENCE, token},
    work::script,
};

pub(crate) struct Inside {
    pub stop: CancellationToken,
    pub running: JoinHandle<Result<(), AgentError>>,
}

/// An agent in this process.
pub(crate) fn inside(server: &str, dir: &Path, actions: actions::Registry) -> Inside {
    let config = Config {
        server: server.to_owned(),
        data_dir: dir.to_owned(),
        name: "inside".to_owned(),
        labels: types::Labels(
            ["host=a", "host=b"]
                .into_iter()
                .map(|l| l.parse().unwrap())
                .collect(),
        ),
        capacity: 2,
        allow: std::collections::BTreeSet::from([agent::Grant::HostNetwork]),
        file: agent::AgentFile::default(),
        secrets: BTreeMap::new(),
        actions,
        vendors: agent::Vendors::fixed(actions::Connections::default()),
        shim: None,
        registries: images::Access::default(),
        choice: agent::RuntimeChoice::Native,
        docker_host: None,
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent::run(config, stop.clone()));
    Inside { stop, running }
}

impl Inside {
    pub(crate) async fn end(self) -> Result<(), AgentError> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running)
            .await
            .unwrap()
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_says_who_it_is_and_credits_are_its_slots() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let agent = inside(&fake.url(), tmp.path(), actions::Registry::builtin());
    fake.session().await;
    {
        let state = fake.state.lock().unwrap();
        let hello = &state.hellos[0];
        assert_eq!(
            (hello.name.as_str(), hello.capacity, hello.protocol, hello.dial),
            ("inside", 2, 1, 1)
        );
        assert!(hello.runtimes.is_empty() && hello.inventory.is_empty());
        assert!(
            hello
                .actions
                .iter()
                .any(|a| a.name == "incident/parse" && !a.digest.is_empty())
        );
        assert_eq!(hello.labels.len(), 2);
        assert_eq!(state.credits, 2);
    }
    fake.until("heartbeat", |s| (s.heartbeats.len() > 2).then_some(()))
        .await;
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_of_another_session_starts_nothing_and_a_container_fails_without_a_runtime() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let agent = inside(&fake.url(), tmp.path(), actions::Registry::builtin());
    let (stale, current) = (token(), token());
    fake.session().await;
    let other = types::SessionId::new(types::Timestamp::from_unix_ms(1), [200; 10]).to_string();
    fake.offer_in(other, &stale, &script("true")).await;
    fake.offer(&current, &script("true")).await;
    let report = fake.finished(&current).await;
    assert!(
        matches!(&report.verdict, Verdict::Failed { failure } if failure.kind == FailureKind::Start
        && failure.message.contains("cannot run containers"))
    );
    assert!(fake.state.lock().unwrap().bodies(&stale).is_empty());
    // Its slot is free again: two offers came, two slots.
    fake.until("credits", |s| (s.credits == 3).then_some(())).await;
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_overtakes_its_offer_keeps_it_from_starting() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let agent = inside(&fake.url(), tmp.path(), actions::Registry::builtin());
    let token = token();
    fake.session().await;
    fake.stop(&token).await;
    let unheard = |body: &Body| matches!(body, Body::Declined(d) if d.reason() == DeclineReason::Unheard);
    fake.until("declined", |s| s.bodies(&token).iter().any(unheard).then_some(()))
        .await;
    fake.offer(&token, &script("true")).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(fake.state.lock().unwrap().bodies(&token).iter().all(unheard));
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_not_understood_is_a_result_and_not_offered_again() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let agent = inside(&fake.url(), tmp.path(), actions::Registry::builtin());
    let token = token();
    let session_id = fake.session().await;
    let offer = proto::v1::Offer {
        attempt: Some(proto::v1::AttemptRef {
            run_id: super::fake::key().run.to_string(),
            step: "s".to_owned(),
            index: Some(0),
            attempt: 1,
        }),
        token: token.to_string(),
        session_id,
        workflow: String::new(),
        work_json: r#"{"kind":"of-tomorrow"}"#.to_owned(),
    };
    fake.send(proto::v1::session_down::Message::Offer(offer)).await;
    let report = fake.finished(&token).await;
    assert!(matches!(&report.verdict, Verdict::Failed { failure } if failure.message.contains("update it")));
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_was_taken_is_raised_and_two_agents_share_no_directory() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let first = inside(&fake.url(), tmp.path(), actions::Registry::builtin());
    fake.session().await;
    let second = inside(&fake.url(), tmp.path(), actions::Registry::builtin());
    let refused = tokio::time::timeout(PATIENCE, second.running)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(refused, Err(AgentError::InUse(_))), "{refused:?}");
    first.end().await.unwrap();
    // An older disk: the counter begins again, the id stays.
    std::fs::remove_file(tmp.path().join("spool")).unwrap();
    let again = inside(&fake.url(), tmp.path(), actions::Registry::builtin());
    let dial = fake
        .until("second Hello", |s| s.hellos.get(1).map(|hello| hello.dial))
        .await;
    assert_eq!(dial, 2);
    again.end().await.unwrap();
}
