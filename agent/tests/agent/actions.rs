//! Steps that are actions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actions::{Action, ActionContext, ActionError, ActionOutput, Registry};
use proto::v1::{LogStream, report::Body};
use types::{Effect, FailureKind, IfLost, Object, Signature, Verdict};

use super::{
    fake::{Fake, token},
    process::swept,
    wire::inside,
    work,
};

/// Does as its name says, and counts its starts.
struct Acts(&'static str, Arc<AtomicU32>);

#[async_trait::async_trait]
impl Action for Acts {
    fn signature(&self) -> Signature {
        Signature {
            name: self.0.to_owned(),
            major: 1,
            doc: String::new(),
            params: std::collections::BTreeMap::new(),
            outputs: std::collections::BTreeMap::new(),
            effect: Effect::None,
            connection: None,
            connection_by: None,
            scopes: Vec::new(),
            optional_scopes: Vec::new(),
            if_lost: IfLost::Fail,
            timeout_ms: 1_000,
        }
    }

    async fn run(&self, context: &ActionContext, _params: Object) -> Result<ActionOutput, ActionError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        context.log.line(&format!("{} begins", self.0)).await;
        match self.0 {
            "test/waits" => tokio::time::sleep(Duration::from_secs(100)).await,
            "test/panics" => panic!("on purpose"),
            "test/short" => tokio::time::sleep(Duration::from_millis(400)).await,
            _ => {}
        }
        let degraded = if self.0 == "test/degrades" {
            vec!["half of it".to_owned()]
        } else {
            Vec::new()
        };
        Ok(ActionOutput {
            outputs: Object::new(),
            degraded,
        })
    }
}

fn registry() -> (Registry, Arc<AtomicU32>) {
    let starts = Arc::new(AtomicU32::new(0));
    let names = [
        "test/works",
        "test/degrades",
        "test/waits",
        "test/panics",
        "test/short",
    ];
    let registry =
        Registry::new(names.map(|name| Arc::new(Acts(name, Arc::clone(&starts))) as Arc<dyn Action>));
    (registry, starts)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_of_an_action_is_told_apart() {
    let (fake, tmp, (registry, _)) = (Fake::start().await, tempfile::tempdir().unwrap(), registry());
    let agent = inside(&fake.url(), tmp.path(), registry.clone());
    let offer = async |name: &str, timeout_ms: u64| {
        let (token, mut work) = (token(), work::action(&registry, name, Object::new()));
        work.timeout_ms = timeout_ms;
        fake.offer(&token, &work).await;
        (fake.finished(&token).await, token)
    };
    let (report, token) = offer("test/works", 5_000).await;
    assert_eq!(report.verdict, Verdict::Succeeded);
    assert_eq!(
        fake.log(&token, LogStream::Stdout).await.bytes,
        b"test/works begins\n"
    );
    let (report, _) = offer("test/degrades", 5_000).await;
    assert_eq!(
        report.verdict,
        Verdict::Degraded {
            reasons: vec!["half of it".to_owned()]
        }
    );
    for (name, kind, timeout_ms) in [
        ("test/panics", FailureKind::Internal, 20_000),
        ("test/waits", FailureKind::Timeout, 150),
    ] {
        let (report, _) = offer(name, timeout_ms).await;
        assert!(
            matches!(&report.verdict, Verdict::Failed { failure } if failure.kind == kind),
            "{report:?}"
        );
    }
    swept(tmp.path()).await;
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_an_action_also_by_heartbeat() {
    let (fake, tmp, (registry, starts)) = (Fake::start().await, tempfile::tempdir().unwrap(), registry());
    let agent = inside(&fake.url(), tmp.path(), registry.clone());
    let work = work::action(&registry, "test/waits", Object::new());
    let (one, two) = (token(), token());
    fake.offer(&one, &work).await;
    fake.offer(&two, &work).await;
    fake.started(&one).await;
    fake.started(&two).await;
    fake.stop(&one).await;
    fake.state
        .lock()
        .unwrap()
        .stop_at_heartbeat
        .insert(two.to_string());
    for token in [&one, &two] {
        assert_eq!(
            fake.finished(token).await.verdict,
            Verdict::Cancelled { confirmed: true }
        );
    }
    assert_eq!(starts.load(Ordering::SeqCst), 2);
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_whose_agent_died_is_lost_and_not_started_again() {
    let (fake, tmp, (registry, starts)) = (Fake::start().await, tempfile::tempdir().unwrap(), registry());
    let agent = inside(&fake.url(), tmp.path(), registry.clone());
    let token = token();
    fake.offer(&token, &work::action(&registry, "test/waits", Object::new()))
        .await;
    fake.started(&token).await;
    agent.running.abort();
    assert!(agent.running.await.is_err());
    let mut agent = inside(&fake.url(), tmp.path(), registry.clone());
    let told = |fake: &Fake| {
        let state = fake.state.lock().unwrap();
        state.bodies(&token).iter().any(|b| matches!(b, Body::Lost(_)))
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !told(&fake) {
        assert!(std::time::Instant::now() < deadline, "no lost");
        // What the first one had spawned in this process may hold the directory's lock a moment longer.
        if agent.running.is_finished() {
            agent = inside(&fake.url(), tmp.path(), registry.clone());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(starts.load(Ordering::SeqCst), 1);
    // What it had to say and had not written is gone with it.
    assert!(fake.log(&token, LogStream::Stdout).await.end_unknown);
    swept(tmp.path()).await;
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaving_agent_lets_a_short_action_end() {
    let (fake, tmp, (registry, _)) = (Fake::start().await, tempfile::tempdir().unwrap(), registry());
    let agent = inside(&fake.url(), tmp.path(), registry.clone());
    let token = token();
    fake.offer(&token, &work::action(&registry, "test/short", Object::new()))
        .await;
    fake.started(&token).await;
    agent.end().await.unwrap();
    assert_eq!(fake.finished(&token).await.verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_the_log_of_an_action_ended_is_known_to_the_next_agent() {
    let (fake, tmp, (registry, _)) = (Fake::start().await, tempfile::tempdir().unwrap(), registry());
    fake.state.lock().unwrap().hold_logs = true;
    let agent = inside(&fake.url(), tmp.path(), registry.clone());
    let token = token();
    fake.offer(&token, &work::action(&registry, "test/works", Object::new()))
        .await;
    fake.finished(&token).await;
    agent.end().await.unwrap();
    fake.state.lock().unwrap().hold_logs = false;
    let agent = inside(&fake.url(), tmp.path(), registry.clone());
    let held = fake.log(&token, LogStream::Stdout).await;
    assert_eq!(
        (held.bytes.as_slice(), held.lost, held.end_unknown),
        (b"test/works begins\n".as_slice(), 0, false)
    );
    swept(tmp.path()).await;
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_are_refused_keep_nothing_back() {
    let (fake, tmp, (registry, _)) = (Fake::start().await, tempfile::tempdir().unwrap(), registry());
    fake.state.lock().unwrap().refuse_logs = true;
    let agent = inside(&fake.url(), tmp.path(), registry.clone());
    let token = token();
    fake.offer(&token, &work::action(&registry, "test/works", Object::new()))
        .await;
    fake.finished(&token).await;
    swept(tmp.path()).await;
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_an_action_is_not_run() {
    let (fake, tmp, (registry, starts)) = (Fake::start().await, tempfile::tempdir().unwrap(), registry());
    let agent = inside(&fake.url(), tmp.path(), registry.clone());
    let (token, mut work) = (token(), work::action(&registry, "test/works", Object::new()));
    if let types::WorkBody::Action(action) = &mut work.body {
        action.digest = "another".to_owned();
    }
    fake.offer(&token, &work).await;
    let report = fake.finished(&token).await;
    assert!(matches!(&report.verdict, Verdict::Failed { failure } if failure.kind == FailureKind::Start));
    assert_eq!(starts.load(Ordering::SeqCst), 0);
    agent.end().await.unwrap();
}
