//! A server that wants more than the operator of the agent allows. What it asks for is refused with its reason, nothing of
//! it is executed, and the agent goes on.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::{Value, json};
use types::{Failure, FailureKind, Verdict, WorkBody};

use super::{
    fake::{Fake, token},
    process::{Agent, Witness},
    work::{action, container, work},
};

const FILE: &str = r#"
[policy]
images = ["host", "registry.example.com/team/*"]
digest-only = true
networks = ["none", "host"]
actions = ["incident/*", "slack/*"]
deny-actions = ["slack/post"]
users = ["1000-1999"]

[policy.limits]
memory = "512MiB"
pids = 200
cpu = "2"
timeout = "1m"

[secrets.SECRET_ONE]
env = "SECRET_ONE"
workflows = ["deploy-*"]

[secrets.SECRET_TWO]
env = "SECRET_TWO"
images = ["registry.example.com/team/*"]
"#;
const SECRETS: [(&str, &str); 2] = [
    ("SECRET_ONE", "one-hunter2-hunter2"),
    ("SECRET_TWO", "two-hunter2-hunter2"),
];

fn file(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("agent.toml");
    std::fs::write(&path, FILE).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// An offer, and a part of the reason for which it is refused.
struct Case {
    what: &'static str,
    workflow: String,
    step: String,
    work: Value,
    kind: FailureKind,
    says: &'static str,
}

struct Cases {
    good: Value,
    all: Vec<Case>,
}

impl Cases {
    fn add(&mut self, what: &'static str, says: &'static str, change: impl FnOnce(&mut Value)) -> &mut Case {
        let mut work = self.good.clone();
        change(&mut work);
        self.all.push(Case {
            what,
            workflow: "w".to_owned(),
            step: "s".to_owned(),
            work,
            kind: FailureKind::Refused,
            says,
        });
        self.all.last_mut().unwrap()
    }
}

fn cases(good: Value) -> Vec<Case> {
    let mut cases = Cases {
        good,
        all: Vec::new(),
    };
    let digest = format!("@sha256:{}", "a".repeat(64));
    let mut set = |what, says, key: &str, value: Value| {
        cases.add(what, says, |work| work[key] = value);
    };
    set("root", "user: 0: policy.users (", "user", json!(0));
    set(
        "a user outside of the ranges",
        "policy.users (",
        "user",
        json!(2000),
    );
    set(
        "the host's processes",
        "policy.host-views (by default) allows none",
        "host_view",
        json!(["proc"]),
    );
    set(
        "the host's kernel",
        "policy.host-views",
        "host_view",
        json!(["sys"]),
    );
    set("egress", "policy.networks (", "network", json!("egress"));
    set(
        "an image of nobody",
        "policy.images (",
        "image",
        json!(format!("alpine{digest}")),
    );
    set(
        "an image that looks like ours",
        "policy.images (",
        "image",
        json!(format!("registry.example.com.evil.example/team/x{digest}")),
    );
    set(
        "an image by its tag",
        "policy.digest-only (",
        "image",
        json!("registry.example.com/team/app:1"),
    );
    set(
        "an image that is a path",
        "policy.images (",
        "image",
        json!("../../../etc"),
    );
    set("no image", "policy.images (", "image", json!(""));
    set(
        "an image's endless name",
        "policy.images (",
        "image",
        json!("a".repeat(100_000)),
    );
    set(
        "an image in other letters",
        "policy.images (",
        "image",
        json!("h\u{43e}st"),
    );
    set(
        "all memory",
        "policy.limits.memory (",
        "resources",
        json!({"memory_bytes": u64::MAX, "pids": 10}),
    );
    set(
        "a fork bomb",
        "policy.limits.pids (",
        "resources",
        json!({"memory_bytes": 1 << 26, "pids": u32::MAX}),
    );
    set(
        "all processors",
        "policy.limits.cpu (",
        "resources",
        json!({"memory_bytes": 1 << 26, "pids": 10, "cpu_millis": u32::MAX}),
    );
    set(
        "more time than is allowed",
        "policy.limits.timeout (",
        "timeout_ms",
        json!(60_001),
    );
    set("endless time", "has at most", "timeout_ms", json!(u64::MAX));
    set("no time", "timeout is zero", "timeout_ms", json!(0));
    set("endless grace", "its grace is", "grace_ms", json!(u64::MAX));
    set(
        "an endless lease",
        "its disconnect is",
        "disconnect_ms",
        json!(u64::MAX),
    );
    set(
        "a secret of another workflow",
        "secrets.SECRET_ONE.workflows (",
        "secrets",
        json!({"S": "SECRET_ONE"}),
    );
    set(
        "a secret of another image",
        "secrets.SECRET_TWO.images (",
        "secrets",
        json!({"S": "SECRET_TWO"}),
    );
    set(
        "a secret that is not there",
        "no secret named AWS",
        "secrets",
        json!({"S": "AWS"}),
    );
    set(
        "a secret that is a path",
        "no secret named ../../etc/shadow",
        "secrets",
        json!({"S": "../../etc/shadow"}),
    );
    set(
        "a variable that is none",
        "no variable that a step can set",
        "env",
        json!({"A=B": "c"}),
    );
    set(
        "a variable of ours",
        "no variable that a step can set",
        "env",
        json!({"FIREHALL_TOKEN": "mine"}),
    );
    set(
        "a secret in a variable of ours",
        "no variable that a step can set",
        "secrets",
        json!({"FIREHALL_RUN_ID": "SECRET_ONE"}),
    );
    let mut unknown = |what, key: &str, value: Value| {
        let case = cases.add(what, "update it", |work| work[key] = value);
        case.kind = FailureKind::Start;
    };
    unknown("privileged", "privileged", json!(true));
    unknown("a mount", "mounts", json!([{ "source": "/", "target": "/mnt" }]));
    unknown("capabilities", "cap_add", json!(["SYS_ADMIN"]));
    unknown("a network of tomorrow", "network", json!("host-and-more"));
    unknown("a negative time", "timeout_ms", json!(-1));
    unknown("more than fits", "timeout_ms", json!(1e30));
    unknown("a kind of tomorrow", "kind", json!("virtual-machine"));
    cases.add("a step that is a path", "is no name", |_| ()).step = "../../step".to_owned();
    cases
        .add("a step that steers a terminal", "is no name", |_| ())
        .step = "s\u{1b}[2J".to_owned();
    cases.add("a step turned around", "is no name", |_| ()).step = "s\u{202e}petstxet".to_owned();
    cases.add("a step's endless name", "is no name", |_| ()).step = "s".repeat(100_000);
    cases
        .add("a workflow that is a path", "is no name", |_| ())
        .workflow = "a/../../b".to_owned();
    let registry = actions::Registry::builtin();
    let mut act = |what, name: &str, says| {
        let params = types::Object::new();
        let offered = match registry.get(name) {
            Some(_) => serde_json::to_value(action(&registry, name, params)).unwrap(),
            None => {
                let mut offered = serde_json::to_value(action(&registry, "slack/post", params)).unwrap();
                offered["action"] = json!(name);
                offered
            }
        };
        cases.add(what, says, |work| *work = offered);
    };
    act("an action that is denied", "slack/post", "policy.deny-actions (");
    act(
        "an action that is not allowed",
        "datadog/query",
        "policy.actions (",
    );
    act("an action of nobody", "shell/run", "policy.actions (");
    act("an action that is a path", "../../bin/sh", "policy.actions (");
    let endless = cases.add("an action without end", "its timeout is", |_| ());
    endless.work = serde_json::to_value(action(&registry, "incident/summary", types::Object::new())).unwrap();
    endless.work["timeout_ms"] = json!(u64::MAX);
    around(&mut cases);
    cases.all
}

/// What stands beside a step, what is put into it and what is kept of it.
fn around(cases: &mut Cases) {
    let mut service = |what, says, key: &str, value: Value| {
        let mut service = json!({ "image": "host", "argv": ["/bin/sleep", "60"] });
        service[key] = value;
        cases.add(what, says, |work| work["services"] = json!({ "db": service }));
    };
    service(
        "a service of nobody's image",
        "service db: image",
        "image",
        json!("alpine:3"),
    );
    service("a service as root", "service db: user: 0", "user", json!(0));
    service(
        "a service with all memory",
        "policy.limits.memory (",
        "resources",
        json!({"memory_bytes": u64::MAX, "pids": 10}),
    );
    service(
        "a service with another workflow's secret",
        "secrets.SECRET_ONE.workflows (",
        "secrets",
        json!({"S": "SECRET_ONE"}),
    );
    service(
        "a service with another image's secret",
        "secrets.SECRET_TWO.images (",
        "secrets",
        json!({"S": "SECRET_TWO"}),
    );
    service(
        "a service that steers the agent's variables",
        "no variable that a step can set",
        "env",
        json!({"FIREHALL_RUN_ID": "mine"}),
    );
    service(
        "a service with a file over the system's",
        "a file's path",
        "files",
        json!({"/etc/passwd": {"from": {"content": "root::0:0::/:/bin/sh"}}}),
    );
    let mut named = |what, name: &str| {
        let service = json!({ "image": "host", "argv": ["/bin/sleep", "60"] });
        cases.add(what, "is no name of a service", |work| {
            work["services"] = json!({ name: service })
        });
    };
    named("a service that is a path", "../../db");
    named("a service that is another's name", "localhost");
    let mut file = |what, says, path: &str, file: Value| {
        cases.add(what, says, |work| work["files"] = json!({ path: file }));
    };
    let text = json!({"from": {"content": "mine"}});
    file(
        "a file outside",
        "no plain path",
        "/tmp/../../etc/cron.d/x",
        text.clone(),
    );
    file(
        "a file that is relative",
        "no absolute path",
        "etc/cron.d/x",
        text.clone(),
    );
    file(
        "a file in /proc",
        "is within /proc",
        "/proc/sys/kernel/core_pattern",
        text.clone(),
    );
    file(
        "a file over the host's programs",
        "is within /usr",
        "/usr/bin/sh",
        text.clone(),
    );
    file("a file over the names", "a file's path", "/etc/hosts", text);
    file(
        "a program for everybody's user",
        "the mode of a file",
        "/opt/x",
        json!({"from": {"content": "mine"}, "mode": 0o4755}),
    );
    file(
        "an artifact that is a path",
        "of an artifact that is none",
        "/opt/x",
        json!({"from": {"artifact": {"step": "s", "name": "../../x", "sha256": "../../../etc/shadow", "bytes": 1}}}),
    );
    let mut artifact = |what, says, name: &str, path: &str| {
        cases.add(what, says, |work| {
            work["artifacts"] = json!({ name: { "path": path } })
        });
    };
    artifact(
        "what is kept of the host",
        "an artifact's path",
        "x",
        "/proc/1/environ",
    );
    artifact(
        "what is kept from outside",
        "an artifact's path",
        "x",
        "/tmp/../../etc/shadow",
    );
    artifact(
        "what is kept under a path's name",
        "no artifact's name",
        "../../x",
        "/tmp/x",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_hostile_server_asks_for_beyond_the_policy_is_executed() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let data = tmp.path().join("data");
    let mut agent = Agent::with_file(&fake.url(), &data, &file(&tmp), &SECRETS);
    let good = serde_json::to_value(work(WorkBody::Container(container(&witness.say("executed"))))).unwrap();
    // What it is not allowed to do is told apart from what it cannot do: this one is, and is seen.
    let first = token();
    fake.offer_raw(&first, "w", "s", good.clone().to_string()).await;
    assert_eq!(fake.finished(&first).await.verdict, Verdict::Succeeded);
    assert_eq!(witness.heard().len(), 1);
    for case in cases(good.clone()) {
        let token = token();
        fake.offer_raw(&token, &case.workflow, &case.step, case.work.to_string())
            .await;
        // An offer that comes twice is one.
        fake.offer_raw(&token, &case.workflow, &case.step, case.work.to_string())
            .await;
        let report = fake.finished(&token).await;
        let Verdict::Failed {
            failure: Failure { kind, message, .. },
        } = &report.verdict
        else {
            panic!("{}: {report:?}", case.what)
        };
        assert_eq!(*kind, case.kind, "{}: {message}", case.what);
        assert!(message.contains(case.says), "{}: {message}", case.what);
        assert!(
            message.len() < 2_000 && !message.contains("hunter2"),
            "{}: {message}",
            case.what
        );
        assert!(
            !fake.state.lock().unwrap().started(&token),
            "{} was started",
            case.what
        );
        assert!(agent.lives(), "{} ended the agent", case.what);
    }
    // And it still does what it may.
    let last = token();
    fake.offer_raw(&last, "w", "s", good.to_string()).await;
    assert_eq!(fake.finished(&last).await.verdict, Verdict::Succeeded);
    assert_eq!(witness.heard().len(), 2, "{:?}", witness.heard());
    assert_eq!(agent.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_the_host_is_not_for_steps_and_a_refusal_says_the_way_out() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let empty = tmp.path().join("agent.toml");
    std::fs::write(&empty, "").unwrap();
    let _agent = Agent::with_file(&fake.url(), &tmp.path().join("data"), &empty, &[]);
    let token = token();
    fake.offer(
        &token,
        &work(WorkBody::Container(container(&witness.say("executed")))),
    )
    .await;
    let report = fake.finished(&token).await;
    let Verdict::Failed { failure } = &report.verdict else {
        panic!("{report:?}")
    };
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(
        failure.message,
        "agent under-test refuses network: host: policy.networks (by default) allows none, egress. Ask for less, send the \
         step to an agent that takes it, or start it with --allow network:host or add it to policy.networks in its file"
    );
    assert!(witness.heard().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_refuses_it_does_not_offer_to_the_server() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let _agent = Agent::with_file(&fake.url(), &tmp.path().join("data"), &file(&tmp), &SECRETS);
    fake.session().await;
    let hello = fake.state.lock().unwrap().hellos[0].clone();
    let has = |name: &str| hello.actions.iter().any(|action| action.name == name);
    assert!(has("incident/parse") && has("slack/war-room") && !has("slack/post") && !has("datadog/query"));
    assert_eq!(
        (hello.grants, hello.secrets.len()),
        (vec!["network:host".to_owned()], 2)
    );
    let policy: types::Policy = serde_json::from_str(&hello.policy_json).unwrap();
    assert!(policy.digest_only && policy.secrets.contains_key("SECRET_ONE"));
    assert!(!hello.policy_json.contains("hunter2"));
}
