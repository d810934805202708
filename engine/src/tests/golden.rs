//! The stored form of each kind of event, as released. A file that was released is never changed: a new form is a new
//! version. `FIREHALL_GOLDEN=write` writes files anew (for a kind that is not released yet).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use protocol::{
    Resolution,
    server::{Known, Lost, Returned, Why},
};
use serde_json::{Value, json};
use types::{
    AttemptReport, ContainerWork, ExitStatus, Failure, FailureKind, HostView, IncidentId, Network, Object,
    OutputDecl, OutputFrom, Placement, Resources, RetryOn, RunOutcome, StepOutcome, Type, Usage, Verdict,
    Work, WorkBody,
};
use workflow::{Body, Expr, FanOut, Input, OnAlert, PlanStep, Template};

use super::bench::{Shape, T0, agent, at, first, plan, session, step, token};
use crate::{
    AttemptQueued, Event, ItemReused, Reason, StepReused,
    history::{self, HistoryError, KINDS},
};

const RUN: &str = "run_01hf7yat0000000000000000g0";

fn run_started() -> Event {
    let expr = |text: &str| Template::Expr(Expr(text.to_owned()));
    let mut first = first(plan(vec![
        step("parse", |s| {
            s.name = Some("Parse the alert".to_owned());
            s.param("alert", "trigger.alert")
                .output("hosts", Type::list(Type::String), false);
            if let Body::Action { connection, with, .. } = &mut s.body {
                *connection = Some("slack".to_owned());
                let parts = vec![Template::Literal(json!("host ")), expr("inputs.host")];
                with.insert("title".to_owned(), Template::Concat(parts));
                with.insert(
                    "list".to_owned(),
                    Template::List(vec![Template::Literal(json!(1.5))]),
                );
                let map = BTreeMap::from([("k".to_owned(), Template::Literal(Value::Null))]);
                with.insert("map".to_owned(), Template::Map(map));
            }
        }),
        step("memory", |s| {
            s.need(&["parse"])
                .when("always()")
                .each("steps.parse.outputs.hosts", Some(4));
            s.tries_again(2, 500).retry.on = vec![RetryOn::ExitCode(3), RetryOn::Timeout];
            s.allow_failure = true;
            s.runs_on
                .insert("host".to_owned(), expr("agent_host(each.value)"));
            s.body = Body::Container {
                action: None,
                image: Template::Literal(json!("host")),
                pull: types::Pull::default(),
                argv: vec![Template::Literal(json!("/bin/true"))],
                env: BTreeMap::from([("HOST".to_owned(), expr("each.value"))]),
                secrets: BTreeMap::from([("TOKEN".to_owned(), "slack-token".to_owned())]),
                secret_files: BTreeSet::new(),
                files: BTreeMap::new(),
                artifacts: BTreeMap::new(),
                resources: Resources {
                    cpu_millis: Some(500),
                    ..Resources::default()
                },
                network: Network::Egress,
                host_view: BTreeSet::from([HostView::Proc, HostView::Sys]),
                workdir: Some("/tmp".to_owned()),
                user: Some(1_000),
                output_from: OutputFrom::StdoutJson,
                runtime: None,
                services: BTreeMap::new(),
            };
        }),
        step("post", |s| {
            s.follow(&["memory"], 300);
        }),
    ]));
    first.plan.description = Some("A sample".to_owned());
    first.plan.on_alert = Some(OnAlert {
        when: Some(Expr("alert.severity == \"critical\"".to_owned())),
    });
    let input = Input {
        ty: Type::String,
        default: Some(json!("web-1")),
        one_of: vec![json!("web-1"), json!("db-1")],
        description: Some("Where".to_owned()),
    };
    first.plan.inputs.insert("host".to_owned(), input);
    first.inputs.insert("host".to_owned(), json!("web-1"));
    first.trigger.alert = Some(json!({"title": "Disk \u{1f525} \"full\"\n$(reboot)"}));
    first.trigger.incident = Some(IncidentId::new(T0, [3; 10]));
    first.trigger.by = "webhook:datadog".to_owned();
    match &mut first.plan.steps[1].fan_out {
        Some(FanOut::Each { .. }) => Event::RunStarted(Box::new(first)),
        other => panic!("{other:?}"),
    }
}

fn queued() -> Event {
    let outputs = BTreeMap::from([(
        "n".to_owned(),
        OutputDecl {
            ty: Type::Int,
            optional: true,
        },
    )]);
    let work = Work {
        body: WorkBody::Container(ContainerWork {
            image: "host".to_owned(),
            pull: types::Pull::default(),
            argv: vec![
                "/bin/sh".to_owned(),
                "-e".to_owned(),
                "-c".to_owned(),
                "free -m".to_owned(),
            ],
            env: BTreeMap::from([("HOST".to_owned(), "web-1".to_owned())]),
            secrets: BTreeMap::from([("TOKEN".to_owned(), "slack-token".to_owned())]),
            secret_files: BTreeSet::new(),
            files: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            resources: Resources {
                cpu_millis: Some(250),
                ..Resources::default()
            },
            network: Network::Host,
            host_view: BTreeSet::from([HostView::Proc]),
            workdir: Some("/tmp".to_owned()),
            user: Some(1_000),
            output_from: OutputFrom::File,
            runtime: None,
            services: BTreeMap::new(),
        }),
        outputs,
        timeout_ms: 20_000,
        grace_ms: 5_000,
        disconnect_ms: 20_000,
    };
    Event::AttemptQueued(Box::new(AttemptQueued {
        at: at("memory[2]#1"),
        work,
        runs_on: BTreeMap::from([("host".to_owned(), "web-1".to_owned())]),
        connection: Some("slack".to_owned()),
        pickup_by: T0.plus(3_000),
    }))
}

fn finished() -> Event {
    let mut failure = Failure::new(FailureKind::Exit, "exit code 3: no space left");
    failure.exit_code = Some(3);
    failure.retry_after_ms = Some(1_500);
    let report = AttemptReport {
        verdict: Verdict::Failed { failure },
        outputs: Object::from_iter([("share".to_owned(), json!(0.1 + 0.2))]),
        artifacts: Vec::new(),
        exit: Some(ExitStatus {
            code: Some(3),
            signal: None,
            oom_kills: 1,
            killed_after_grace: true,
        }),
        usage: Usage {
            duration_ms: 812,
            cpu_ms: 40,
            peak_memory_bytes: 7_340_032,
            stdout_bytes: 12,
            stderr_bytes: 345,
        },
        finished_at: T0.plus(900),
        runtime: Some("native: seccomp, cgroup".to_owned()),
        image_digest: None,
        services: Vec::new(),
    };
    Event::AttemptFinished {
        at: at("memory[2]#1"),
        token: token(1),
        report: Box::new(report),
    }
}

/// One of each kind, with every field that it may have.
fn samples() -> Vec<Event> {
    let name = || "memory".to_owned();
    let this = || at("memory[2]#1");
    let placement = Placement {
        agent: agent(1),
        agent_name: "web-1".to_owned(),
        session: session(1),
        token: token(1),
    };
    let refusal = Failure::new(FailureKind::Expression, "FH0701: there is no field \"hosts\"");
    let reason = |step: Option<String>| Reason {
        step,
        message: "3 of 4 hosts have no agent".to_owned(),
    };
    vec![
        run_started(),
        Event::ItemReused(Box::new(ItemReused {
            step: name(),
            index: Some(2),
            value: Some(json!("web-1")),
            batch: vec![("memory".to_owned(), 1)],
            outcome: StepOutcome::Degraded,
            reasons: vec!["slow".to_owned()],
            outputs: Some(json!({"n": 3}).as_object().unwrap().clone()),
            artifacts: Vec::new(),
            attempts: 2,
            agent: Some(agent(1)),
            agent_name: Some("a-1".to_owned()),
        })),
        Event::StepReused(Box::new(StepReused {
            step: name(),
            from: types::RunId::new(T0, [9; 10]),
            outcome: StepOutcome::Failed,
            began: true,
            allowed: true,
            reasons: vec!["slow".to_owned()],
            omitted_because: Some("memory".to_owned()),
        })),
        Event::StepSkipped { step: name() },
        Event::StepOmitted {
            step: name(),
            because: "parse".to_owned(),
            ended: StepOutcome::Failed,
        },
        Event::StepNotRun { step: name() },
        Event::StepFannedOut {
            step: name(),
            items: vec![json!("web-1"), json!({"port": 443})],
        },
        Event::StepFollowing {
            step: "post".to_owned(),
        },
        Event::StepBatch {
            step: "post".to_owned(),
            index: 0,
            of: vec![(name(), 2), (name(), 0)],
        },
        Event::ItemRefused {
            step: name(),
            index: Some(1),
            failure: refusal,
        },
        queued(),
        Event::AttemptOffered {
            at: this(),
            placement,
        },
        Event::AttemptReturned {
            at: this(),
            token: token(1),
            because: Returned::NotTaken,
            agent_crashes: 0,
        },
        Event::AttemptAccepted {
            at: this(),
            token: token(1),
        },
        Event::AttemptStarted {
            at: at("parse#2"),
            token: token(1),
        },
        Event::ArtifactStored {
            at: this(),
            token: token(1),
            artifact: types::Artifact {
                name: "heap".to_owned(),
                bytes: 3,
                sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
                media_type: "text/plain".to_owned(),
            },
        },
        finished(),
        Event::AttemptLost {
            at: this(),
            token: token(1),
            known: Known::Started,
            because: Lost::AgentSaysSo,
        },
        Event::AttemptSettled {
            at: this(),
            token: token(1),
            resolution: Resolution::Rerun,
            by: "ann".to_owned(),
        },
        Event::AttemptWithdrawn { at: this() },
        Event::AttemptStopping { at: this() },
        Event::AttemptNotPlaced {
            at: this(),
            reason: "not placed in 3000 ms: web-1 is busy".to_owned(),
        },
        Event::RetryScheduled {
            at: this(),
            due: T0.plus(500),
        },
        Event::ReportIgnored {
            at: this(),
            token: token(2),
            agent: agent(2),
            report: protocol::Report::Finished,
            why: Why::AfterResolution,
        },
        Event::ItemEnded {
            step: name(),
            index: 2,
            outcome: StepOutcome::Degraded,
            reasons: vec!["slow".to_owned()],
        },
        Event::StepEnded {
            step: name(),
            outcome: StepOutcome::Failed,
            allowed: true,
            reasons: vec!["slow".to_owned()],
        },
        Event::CancelRequested {
            by: "ann".to_owned(),
            reason: "a drill".to_owned(),
            spared: vec!["tidy".to_owned()],
        },
        Event::RunEnded {
            outcome: RunOutcome::Degraded,
            reasons: vec![reason(Some(name())), reason(None)],
        },
    ]
}

fn folder(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}"))
}

/// The golden body of a kind as this build writes it.
pub(super) fn body(kind: &str) -> Value {
    released(kind, history::current(kind))
}

fn released(kind: &str, version: u32) -> Value {
    let path = folder(version).join(format!("{kind}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["kind"], kind);
    assert_eq!(file["version"], version);
    file["body"].clone()
}

#[test]
fn every_kind_is_known_and_told_once() {
    let kinds: Vec<&str> = samples().iter().map(Event::kind).collect();
    assert_eq!(kinds, KINDS);
    assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), KINDS.len());
    for event in samples() {
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["kind"], event.kind(), "the tag is the kind");
    }
}

#[test]
fn released_forms_are_read_and_written_as_they_are() {
    if std::env::var("FIREHALL_GOLDEN").is_ok_and(|word| word == "write") {
        for event in samples() {
            let stored = history::write(&event);
            let body: Value = serde_json::from_str(&stored.body).unwrap();
            let file = json!({"kind": stored.kind, "version": stored.version, "body": body});
            let text = format!("{}\n", serde_json::to_string_pretty(&file).unwrap());
            fs::create_dir_all(folder(stored.version)).unwrap();
            fs::write(folder(stored.version).join(format!("{}.json", stored.kind)), text).unwrap();
        }
    }
    let mut files = BTreeMap::new();
    for sample in samples() {
        let kind = sample.kind();
        for version in 1..=history::current(kind) {
            *files.entry(version).or_insert(0) += 1;
            let golden = released(kind, version).to_string();
            let event = history::read(kind, version, &golden).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(event, sample, "{kind} {version} means what it meant");
            let written = history::write(&event);
            assert_eq!(written.version, history::current(kind));
            if version == written.version {
                assert_eq!(written.body, golden, "{kind} is written as it was");
            }
        }
    }
    for (version, wanted) in files {
        let files = fs::read_dir(folder(version)).unwrap().count();
        assert_eq!(files, wanted, "no file of a kind that is gone in v{version}");
    }
}

/// What version 1 wrote of a plain container step, and what a plan keeps of it now.
#[test]
fn a_plain_step_is_short_and_means_what_it_meant_written_out() {
    let written_out = json!({
        "key": "s1", "needs": ["s0"], "when_replaces_edge": false, "runs_on": {},
        "pickup_ms": 300_000, "timeout_ms": 600_000, "grace_ms": 5_000, "disconnect_ms": 600_000,
        "retry": {"limit": 0, "delay_ms": 1_000, "backoff": 2.0, "max_delay_ms": 60_000, "jitter": true, "on": []},
        "allow_failure": false, "if_lost": "fail", "ask_ms": 600_000, "outputs": {},
        "body": {
            "kind": "container", "image": {"literal": "host"}, "argv": [{"literal": "true"}],
            "env": {}, "secrets": {}, "resources": {"memory_bytes": 268_435_456, "pids": 128},
            "network": "none", "host_view": [], "output_from": "file",
        },
    });
    let short = json!({
        "key": "s1", "needs": ["s0"],
        "body": {"kind": "container", "image": {"literal": "host"}, "argv": [{"literal": "true"}]},
    });
    let read = |form: &Value| serde_json::from_value::<PlanStep>(form.clone()).unwrap();
    assert_eq!(read(&written_out), read(&short));
    assert_eq!(serde_json::to_value(read(&written_out)).unwrap(), short);
}

#[test]
fn the_image_that_ran_is_in_the_history_where_there_was_one() {
    let Event::AttemptFinished {
        at,
        token,
        mut report,
    } = finished()
    else {
        panic!("not a finish")
    };
    let digest = "registry.example/tool@sha256:e3b0c442".to_owned();
    report.image_digest = Some(digest.clone());
    let event = Event::AttemptFinished { at, token, report };
    let stored = history::write(&event);
    let body: Value = serde_json::from_str(&stored.body).unwrap();
    assert_eq!(body["report"]["image_digest"], json!(digest));
    assert_eq!(
        history::read(&stored.kind, stored.version, &stored.body).unwrap(),
        event
    );
    assert!(
        self::body("attempt.finished")["report"]
            .get("image_digest")
            .is_none()
    );
}

#[test]
fn what_may_be_absent_may_be_absent() {
    for (kind, body) in [
        ("step.ended", json!({"step": "a", "outcome": "succeeded"})),
        (
            "item.ended",
            json!({"step": "a", "index": 0, "outcome": "succeeded"}),
        ),
        ("attempt.withdrawn", json!({"step": "a", "attempt": 1})),
        (
            "item.reused",
            json!({"step": "a", "outcome": "succeeded", "attempts": 1}),
        ),
        (
            "step.reused",
            json!({"step": "a", "from": RUN, "outcome": "skipped"}),
        ),
        ("run.cancel_requested", json!({"by": "ann", "reason": ""})),
        (
            "run.ended",
            json!({"outcome": "failed", "reasons": [{"message": "x"}]}),
        ),
        (
            "step.skipped",
            json!({"step": "a", "of_a_newer_minor_version": 1}),
        ),
    ] {
        history::read(kind, 1, &body.to_string()).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn what_is_newer_or_damaged_is_refused_clearly() {
    let unknown = |kind: &str, version| HistoryError::Unknown {
        kind: kind.to_owned(),
        version,
    };
    for (kind, version) in [
        ("run.teleported", 1),
        ("step.skipped", 2),
        ("step.skipped", 0),
        ("", 1),
    ] {
        let error = history::read(kind, version, "{\"step\":\"a\"}").unwrap_err();
        assert_eq!(error, unknown(kind, version));
        assert!(error.to_string().contains("update Firehall"));
    }
    let bottomless = format!("{{\"step\":\"a\",\"x\":{}", "[".repeat(100_000));
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "{\"step\":1}",
        "{\"step\":\"a\"} x",
        "{\"step\":\"a\"",
        bottomless.as_str(),
    ] {
        let error = history::read("step.skipped", 1, body).unwrap_err();
        assert!(matches!(error, HistoryError::Damaged { .. }), "{error}");
    }
}
