#![allow(clippy::unwrap_used, reason = "tests")]
//! The shipped runbook compiles, and its checks measure what they say: run by the host's own shell over a made-up
//! `/proc`, so that every reading is known.

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use workflow::{Body, FanOut, Plan, SourceFile, Template};

fn plan() -> Plan {
    let (name, text) = runbooks::ALL[0];
    let source = SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let compiled = workflow::compile(&source, &actions::Registry::builtin().catalogue());
    let shown = workflow::render_text(&compiled.diagnostics, &source, false);
    assert!(compiled.diagnostics.is_empty(), "{shown}");
    compiled.plan.unwrap()
}

/// The seven of old, in their order.
const SEVEN: [&str; 7] = [
    "parse-incident-event",
    "setup-slack-integration",
    "resolve-slack-users",
    "create-war-room",
    "technical-investigation",
    "update-slack-thread",
    "final-summary",
];

#[test]
fn it_compiles_and_keeps_the_seven_names() {
    let plan = plan();
    assert_eq!(plan.name, "incident-response");
    let kept: Vec<&str> = plan
        .steps
        .iter()
        .map(|step| step.key.as_str())
        .filter(|key| SEVEN.contains(key))
        .collect();
    assert_eq!(kept, SEVEN);
    let handles = plan.inputs["responders"]
        .default
        .as_ref()
        .unwrap()
        .as_array()
        .unwrap();
    assert!(
        handles.iter().any(|who| !who.as_str().unwrap().contains('.')),
        "a handle that is no e-mail"
    );
}

#[test]
fn what_is_independent_is_parallel_and_the_checks_do_not_wait_for_slack() {
    let plan = plan();
    let needs = |key: &str| {
        plan.step(key)
            .unwrap()
            .needs
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
    };
    assert!(needs("parse-incident-event").is_empty() && needs("setup-slack-integration").is_empty());
    assert!(needs("host-checks").is_empty() && needs("reachability").is_empty());
    assert!(!needs("technical-investigation").contains(&"create-war-room"));
}

#[test]
fn the_checks_are_allowed_to_fail_and_wait_three_seconds_for_the_hosts_own_agent() {
    let plan = plan();
    for key in ["host-checks", "reachability"] {
        let step = plan.step(key).unwrap();
        assert!(
            step.allow_failure && step.pickup_ms == 3_000 && step.timeout_ms <= 10_000,
            "{key}"
        );
        assert!(
            step.runs_on.contains_key("host") && matches!(step.fan_out, Some(FanOut::Each { .. })),
            "{key}"
        );
    }
}

#[test]
fn what_asks_slack_is_tried_again() {
    let plan = plan();
    let asks = |body: &Body| matches!(body, Body::Action { action, .. } if action.starts_with("slack/"));
    let steps: Vec<_> = plan.steps.iter().filter(|step| asks(&step.body)).collect();
    assert_eq!(steps.len(), 5);
    for step in steps {
        assert_eq!(
            (step.retry.limit, step.retry.delay_ms),
            (2, 1_000),
            "{}",
            step.key
        );
    }
}

/// A container step's script.
fn script(key: &str) -> String {
    let plan = plan();
    let Body::Container { argv, .. } = &plan.step(key).unwrap().body else {
        panic!("{key} is no container")
    };
    let words: Vec<&str> = argv
        .iter()
        .map(|word| match word {
            Template::Literal(Value::String(text)) => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(words[..3], ["/bin/sh", "-e", "-c"]);
    words[3].to_owned()
}

/// Runs a script with its fixed paths moved below a directory; answers its checks by name.
fn checks(script: &str, dir: &Path) -> Vec<Value> {
    let at = dir.display().to_string();
    let tmp = dir.join("tmp");
    fs_err::create_dir_all(&tmp).unwrap();
    let script = script
        .replace("/tmp/", "\u{1}tmp/")
        .replace("/host/proc", "\u{1}proc")
        .replace('\u{1}', &format!("{at}/"));
    let output = dir.join("output");
    let ran = Command::new("/bin/sh")
        .args(["-e", "-c", &script])
        .env("FIREHALL_OUTPUT", &output)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let lines = fs_err::read_to_string(&output).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let line: Value = serde_json::from_str(&lines).unwrap_or_else(|error| panic!("{error}: {lines}"));
    assert_eq!(line["name"], "checks");
    line["value"].as_array().unwrap().clone()
}

fn check<'a>(checks: &'a [Value], name: &str) -> &'a Value {
    checks
        .iter()
        .find(|one| one["check"] == name)
        .unwrap_or_else(|| panic!("no {name} in {checks:#?}"))
}

fn proc(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = dir.join("proc").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
}

const MEMORY: &str = "MemTotal: 1000000 kB\nMemFree: 10 kB\nMemAvailable: 40000 kB\n";

#[test]
fn readings_become_checks_with_their_level() {
    let dir = tempfile::tempdir().unwrap();
    proc(
        dir.path(),
        &[
            ("loadavg", "4.00 2.00 1.00 1/100 99\n"),
            ("stat", "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n"),
            ("meminfo", MEMORY),
            ("pressure/cpu", "some avg10=0.00 avg60=1.00 avg300=0.00 total=1\n"),
            (
                "pressure/memory",
                "some avg10=60.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=0.00\n",
            ),
            ("7/status", "Name:\tsmall\nPid:\t7\nVmRSS:\t    2048 kB\n"),
            ("8/status", "Name:\tlarge\nPid:\t8\nVmRSS:\t  512000 kB\n"),
            ("9/status", "Name:\tkernel-thread\nPid:\t9\n"),
            ("8/stat", "8 (la) rge) S 1 8 8 0 -1 0 0 0 0 0 300 200 0 0 20 0\n"),
        ],
    );
    let checks = checks(&script("host-checks"), dir.path());
    let of = |name: &str| {
        (
            check(&checks, name)["level"].as_str().unwrap(),
            check(&checks, name)["value"].clone(),
        )
    };
    assert_eq!(of("load"), ("warning", json!(2.0)));
    assert_eq!(of("memory"), ("critical", json!(96.0)));
    assert_eq!(of("pressure-cpu"), ("normal", json!(0.0)));
    assert_eq!(of("pressure-memory"), ("critical", json!(60.5)));
    assert_eq!(of("pressure-io"), ("unknown", Value::Null));
    let top = |name: &str| check(&checks, name)["summary"].as_str().unwrap().to_owned();
    assert_eq!(top("top-memory"), "most memory: large(8) 500 MiB, small(7) 2 MiB");
    assert_eq!(top("top-cpu"), "most processor time since start: la) rge(8) 5 s");
    assert!(
        check(&checks, "disk")["summary"]
            .as_str()
            .unwrap()
            .starts_with("disk of /usr "),
        "{checks:#?}"
    );
}

#[test]
fn what_is_not_there_is_unknown_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir(dir.path().join("proc")).unwrap();
    let checks = checks(&script("host-checks"), dir.path());
    for name in [
        "load",
        "memory",
        "pressure-cpu",
        "pressure-memory",
        "pressure-io",
        "top-memory",
        "top-cpu",
    ] {
        let one = check(&checks, name);
        assert_eq!(
            (&one["level"], &one["value"]),
            (&json!("unknown"), &Value::Null),
            "{name}"
        );
        assert!(one["summary"].as_str().unwrap().contains("/proc"), "{one}");
    }
}

#[test]
fn a_hostile_process_name_stays_text() {
    let dir = tempfile::tempdir().unwrap();
    let evil = "x\"}],\"value\":[{\u{1b}[2J\\u0000$(touch pwned)`id`";
    proc(
        dir.path(),
        &[
            ("7/status", &format!("Name:\t{evil}\nPid:\t7\nVmRSS:\t2048 kB\n")),
            (
                "7/stat",
                &format!("7 ({evil}) S 1 8 8 0 -1 0 0 0 0 0 300 200 0 0 20 0\n"),
            ),
        ],
    );
    let checks = checks(&script("host-checks"), dir.path());
    for name in ["top-memory", "top-cpu"] {
        let summary = check(&checks, name)["summary"].as_str().unwrap();
        assert!(!summary.contains(['"', '\\', '\u{1b}', '$', '`']), "{summary}");
    }
    assert!(!dir.path().join("pwned").exists() && !Path::new("pwned").exists());
}

#[test]
fn a_listening_port_is_asked_and_its_answer_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    // Only this port: what else listens here is not the test's business.
    let line = format!(
        "   0: 0100007F:{port:04X} 00000000:0000 0A 0 0 0\n   1: 0100007F:0001 00000000:0000 01 0 0 0\n"
    );
    fs_err::write(
        dir.path().join("tcp"),
        format!("  sl  local_address rem_address   st\n{line}"),
    )
    .unwrap();
    let ours = |script: String| {
        script
            .replace("/proc/net/tcp6", "/dev/null")
            .replace("/proc/net/tcp", "\u{1}tcp")
    };
    let script = ours(script("reachability"));
    let checks = checks(&script, dir.path());
    assert_eq!(check(&checks, "tcp")["level"], "normal", "{checks:#?}");
    assert_eq!(
        check(&checks, "tcp")["summary"],
        format!("TCP: 1 of 1 ports answer: {port}")
    );
    drop(listener);
    // The table still says that it listens: now it does not answer.
    fs_err::remove_file(dir.path().join("output")).unwrap();
    fs_err::remove_dir_all(dir.path().join("tmp")).unwrap();
    let checks = self::checks(&script, dir.path());
    assert_eq!(check(&checks, "tcp")["level"], "critical", "{checks:#?}");
}
