//! `firehall doctor`: what works on this host, at the server and at Slack.

use e2e::{
    Stack,
    docker::Operator,
    process,
    slack::{Slack, TOKEN},
};
use emulators::slack::Config;
use serde_json::Value;

/// What the doctor finds beside this stack, with this token.
fn doctor(stack: &Stack, slack: &Slack, token: &str, more: &[&str]) -> (i32, Value) {
    let url = slack.emulator().api_url();
    let mut command = process::firehall();
    command
        .args(["doctor", "-o", "json", "--slack-api-url", &url])
        .args(more)
        .env("FIREHALL_SERVER", stack.url())
        .env("SLACK_BOT_TOKEN", token);
    let ended = process::finish(&mut command);
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(!said.contains(token), "the token is shown: {said}");
    (ended.status.code().unwrap(), serde_json::from_str(&said).unwrap())
}

fn level<'a>(report: &'a Value, check: &str) -> &'a str {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["check"] == check);
    found.unwrap_or_else(|| panic!("no {check}: {report:#}"))["level"]
        .as_str()
        .unwrap()
}

#[test]
fn a_healthy_deployment_is_told_from_the_inside_of_a_container_to_the_scopes_of_slack() {
    let slack = Slack::start();
    let mut stack = Stack::server();
    stack.agent("one", &[], &slack.environment());
    assert!(stack.cli(&["put", "incident-response"]).status.success());
    let data = stack.dir().display().to_string();
    let (code, report) = doctor(&stack, &slack, TOKEN, &["--remote", "--data-dir", &data]);
    for check in [
        "runtime.native",
        "hardening.seccomp",
        "hardening.no-new-privs",
        "hardening.capabilities",
        "hardening.root",
        "hardening.user",
        "hardening.network",
        "hardening.limits",
        "host.disk",
        "server.version",
        "server.clock",
        "webhook.datadog",
        "agents",
        "workflows.bound",
        "slack.token",
        "slack.scopes",
        "server:store.write",
        "server:workflows.connections",
    ] {
        assert_eq!(level(&report, check), "ok", "{check}: {report:#}");
    }
    assert_eq!(level(&report, "webhook.from-outside"), "unknown");
    assert_eq!(level(&report, "server:slack.scopes"), "unknown");
    assert_eq!((code, &report["errors"]), (0, &0.into()), "{report:#}");
    let findings = report["findings"].as_array().unwrap();
    let silent = findings
        .iter()
        .find(|one| (one["level"] == "ok") != one["help"].is_null());
    assert_eq!(silent, None, "each that is not well says what to do");
}

#[test]
fn a_wrong_token_and_missing_scopes_are_errors_with_what_to_do() {
    let mut config = Config::demo();
    config.scopes.remove("chat:write");
    config.scopes.remove("pins:write");
    let slack = Slack::with(config);
    let stack = Stack::server();
    assert!(stack.cli(&["put", "incident-response"]).status.success());
    let (code, report) = doctor(&stack, &slack, TOKEN, &[]);
    assert_eq!((code, level(&report, "agents")), (1, "error"), "{report:#}");
    let text = report.to_string();
    assert!(text.contains("the bound workflows need chat:write"), "{report:#}");
    assert!(text.contains("without pins:write"), "{report:#}");
    let (code, report) = doctor(&stack, &slack, "xoxb-wrong", &[]);
    assert_eq!((code, level(&report, "slack.token")), (1, "error"), "{report:#}");
    assert_eq!(level(&report, "slack.scopes"), "unknown");
}

#[test]
fn what_cannot_be_known_without_a_server_or_a_token_is_unknown() {
    let of = |more: &[&str]| {
        let ended =
            process::run([&["doctor", "-o", "json", "--server", "http://127.0.0.1:9"], more].concat());
        let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
        (ended.status.code().unwrap(), report)
    };
    let (code, report) = of(&[]);
    assert_eq!(
        (code, level(&report, "server.reachable")),
        (0, "warning"),
        "{report:#}"
    );
    for check in [
        "webhooks",
        "agents",
        "workflows.bound",
        "slack.token",
        "slack.scopes",
    ] {
        assert_eq!(level(&report, check), "unknown", "{check}");
    }
    let (code, report) = of(&["--remote"]);
    assert_eq!(
        (code, level(&report, "server.reachable")),
        (4, "error"),
        "{report:#}"
    );
}

/// The daemon of the tests, by a container of it; what starts its containers, as the daemon itself says.
#[test]
fn the_daemons_oci_runtime_is_told_with_its_version_and_commit() {
    let operator = Operator::shared();
    let answer = |path: &str| -> Value {
        let (status, body) = operator.ask("GET", path).unwrap();
        assert_eq!(status, 200, "{path}");
        serde_json::from_slice(&body).unwrap()
    };
    let name = answer("/info")["DefaultRuntime"].as_str().unwrap().to_owned();
    let version = answer("/version");
    let mut components = version["Components"].as_array().unwrap().iter();
    let theirs = components.find(|one| one["Name"] == name.as_str()).unwrap();
    let (version, commit) = (&theirs["Version"], &theirs["Details"]["GitCommit"]);
    let expected = format!(
        "{name} {}, commit: {}",
        version.as_str().unwrap(),
        commit.as_str().unwrap()
    );

    let mut command = process::firehall();
    command
        .args(["doctor", "-o", "json"])
        .env("DOCKER_HOST", operator.host());
    let ended = process::finish(&mut command);
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(level(&report, "docker.oci-runtime"), "ok", "{report:#}");
    assert!(report.to_string().contains(&expected), "{expected}: {report:#}");
}
