//! The outlook: what is known is what a run would have, what is not is named, and no time is said too short.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use types::{Catalogue, Effect, FailureKind, IfLost, Network, Object, Resources, Signature, Type, Value};
use workflow::{Body, Expr, Input, OnAlert, Plan, PlanStep, Template};

use super::bench::{Bench, Shape, failed, first, plan, step, succeeded};
use crate::{
    Event,
    outlook::{EffectKind, FanOutlook, Foreseen, InputFrom, Outlook, Question, WaitKind, outlook},
    placement::Snapshot,
};

fn signature(name: &str, effect: Effect) -> Signature {
    Signature {
        name: name.to_owned(),
        major: 1,
        doc: format!("does {name}"),
        params: BTreeMap::new(),
        outputs: BTreeMap::new(),
        effect,
        connection: Some("chat".to_owned()),
        connection_by: None,
        scopes: vec!["write|admin".to_owned(), "read".to_owned()],
        optional_scopes: vec!["read".to_owned(), "pin".to_owned()],
        if_lost: IfLost::Rerun,
        timeout_ms: 1,
    }
}

fn acts(step: &mut PlanStep, signature: &Signature) {
    step.body = Body::Action {
        action: signature.name.clone(),
        major: 1,
        digest: signature.digest(),
        connection: signature.connection.clone(),
        with: BTreeMap::new(),
    };
}

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

fn input(plan: &mut Plan, name: &str, ty: Type, default: Option<Value>) {
    let input = Input {
        ty,
        default,
        one_of: Vec::new(),
        description: None,
    };
    plan.inputs.insert(name.to_owned(), input);
}

fn ahead(plan: &Plan, inputs: Value, alert: Option<Value>) -> Outlook {
    let question = Question {
        plan,
        catalogue: &Catalogue::new([signature("chat/post", Effect::Writes)]),
        inputs: &object(inputs),
        alert: alert.as_ref(),
        agents: None,
    };
    outlook(&question).unwrap()
}

fn with<'a>(outlook: &'a Outlook, step: usize, name: &str) -> &'a Foreseen {
    match &outlook.steps[step].does {
        crate::outlook::Does::Action { with, .. } => &with[name],
        crate::outlook::Does::Container { env, .. } => &env[name],
    }
}

#[test]
fn what_is_known_is_what_a_run_has() {
    let mut plan = plan(vec![
        step("a", |s| {
            s.param("sum", "inputs.n + size(trigger.alert.hosts)")
                .param("id", "default(trigger.incident_id, \"\")")
                .output("o", Type::Int, false);
        }),
        step("b", |s| {
            s.need(&["a"])
                .param("of", "steps.a.outputs.o")
                .param("own", "inputs.n * 2");
        }),
    ]);
    input(&mut plan, "n", Type::Int, Some(json!(20)));
    let alert = json!({"hosts": ["x", "y"], "state": "firing"});
    let seen = ahead(&plan, json!({}), Some(alert.clone()));
    let mut first = first(plan);
    (first.inputs, first.trigger.alert) = (object(json!({"n": 20})), Some(alert));
    let bench = Bench::of(first);
    let queued = bench.events.iter().find_map(|event| match event {
        Event::AttemptQueued(queued) => Some(queued.work.clone()),
        _ => None,
    });
    let types::WorkBody::Action(work) = queued.unwrap().body else {
        panic!("an action");
    };
    assert_eq!(
        with(&seen, 0, "sum"),
        &Foreseen::Value(work.params["sum"].clone())
    );
    let later = |step, name, path: &str| match with(&seen, step, name) {
        Foreseen::Later { waits_for, .. } => assert_eq!(waits_for, &BTreeSet::from([path.to_owned()])),
        other => panic!("{other:?}"),
    };
    // Absent is not the same as not known: a run may have an incident.
    later(0, "id", "trigger.incident_id");
    later(1, "of", "steps.a.outputs.o");
    assert_eq!(with(&seen, 1, "own"), &Foreseen::Value(json!(40)));
    let read: Vec<&str> = seen.unknown.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(
        read,
        [
            "steps.a.outputs.o",
            "trigger.incident_id",
            "action test/act: not known here"
        ]
    );
}

#[test]
fn items_are_shown_when_they_are_known_and_a_bad_one_is_refused() {
    let mut plan = plan(vec![
        step("each", |s| {
            s.each("inputs.hosts", Some(2));
            let host = Template::Expr(Expr("agent_host(each.value)".to_owned()));
            s.runs_on.insert("host".to_owned(), host);
        }),
        step("later", |s| {
            s.need(&["each"]).each("steps.each.items", None);
        }),
    ]);
    input(
        &mut plan,
        "hosts",
        Type::list(Type::String),
        Some(json!(["web-1", "a b", "web-3"])),
    );
    let seen = ahead(&plan, json!({}), None);
    let Some(FanOutlook::Each { count, items, .. }) = &seen.steps[0].fan_out else {
        panic!("a fan-out");
    };
    assert_eq!((*count, items.len()), (Some(3), 3));
    assert_eq!(items[0].runs_on["host"], Foreseen::Value(json!("web-1")));
    assert_eq!(items[0].refused, None);
    assert!(items[1].refused.as_ref().unwrap().contains("FH07"), "{items:?}");
    // Two rounds of pickup 5 s, timeout 60 s and grace 1 s.
    assert_eq!(seen.steps[0].worst_case_ms, 2 * 66_000);
    let Some(FanOutlook::Each {
        count, most, from, ..
    }) = &seen.steps[1].fan_out
    else {
        panic!("a fan-out");
    };
    assert_eq!((*count, *most), (None, 1_000));
    assert!(matches!(from, Foreseen::Later { .. }), "{from:?}");
    assert!(
        seen.could_wait
            .iter()
            .any(|wait| wait.step == "each" && wait.what == WaitKind::Turn)
    );
}

#[test]
fn a_run_never_takes_longer() {
    let plan = plan(vec![
        step("a", |s| {
            s.tries_again(2, 1_000);
        }),
        step("b", |s| {
            s.need(&["a"]);
            s.timeout_ms = 1_000;
        }),
        step("c", |s| s.timeout_ms = 500_000),
    ]);
    let seen = ahead(&plan, json!({}), None);
    // a: three tries of 66 s with 1 s and 2 s between them; b: 7 s; c alone: 506 s.
    assert_eq!(seen.steps[0].worst_case_ms, 3 * 66_000 + 3_000);
    assert_eq!(
        (seen.worst_case_ms, &*seen.worst_case_path),
        (506_000, &["c".to_owned()][..])
    );
    assert!(seen.worst_case_lost_ms > seen.worst_case_ms);

    // Each try takes all its time, and the last one works: within the bound of its path, and not by much.
    let mut bench = Bench::new(plan.steps[..2].to_vec());
    let most = seen.steps[0].worst_case_ms + seen.steps[1].worst_case_ms;
    for (attempt, timeout_ms) in [("a#1", 60_000), ("a#2", 60_000), ("a#3", 60_000), ("b#1", 1_000)] {
        bench.pass(4_999);
        let token = bench.begin(attempt);
        bench.pass(timeout_ms + 1_000);
        let last = ["a#3", "b#1"].contains(&attempt);
        let body = if last {
            succeeded()
        } else {
            failed(FailureKind::Timeout)
        };
        bench.report(attempt, &token, body);
        if !last {
            bench.until_deadline();
        }
    }
    assert!(bench.ended().is_some());
    let took = bench.now.since(super::bench::T0);
    assert!((most - 10..=most).contains(&took), "{took} of {most}");
}

#[test]
fn effects_come_by_level_and_what_is_certainly_skipped_has_none() {
    let post = signature("chat/post", Effect::Writes);
    let mut plan = plan(vec![
        step("last", |s| acts(s.need(&["run"]), &post)),
        step("never", |s| acts(s.when("inputs.on"), &post)),
        step("perhaps", |s| acts(s.when("failed()"), &post)),
        step("run", |s| {
            s.body = Body::Container {
                action: None,
                image: Template::Literal(json!("host")),
                pull: types::Pull::default(),
                argv: vec![Template::Literal(json!("true"))],
                env: BTreeMap::new(),
                secrets: BTreeMap::from([("T".to_owned(), "token".to_owned())]),
                secret_files: BTreeSet::new(),
                files: BTreeMap::new(),
                artifacts: BTreeMap::new(),
                resources: Resources::default(),
                network: Network::Host,
                host_view: BTreeSet::new(),
                workdir: None,
                user: None,
                output_from: types::OutputFrom::File,
                runtime: None,
                services: BTreeMap::new(),
            };
        }),
    ]);
    input(&mut plan, "on", Type::Bool, Some(json!(false)));
    let seen = ahead(&plan, json!({}), None);
    let effects: Vec<(&str, EffectKind)> = seen.effects.iter().map(|e| (&*e.step, e.effect)).collect();
    assert_eq!(
        effects,
        [
            ("perhaps", EffectKind::Writes),
            ("run", EffectKind::Program),
            ("last", EffectKind::Writes)
        ]
    );
    assert_eq!(seen.effects[0].only_if.as_deref(), Some("failed()"));
    assert!(seen.steps[1].skipped && seen.steps[1].worst_case_ms == 0);
    assert_eq!(
        (&*seen.secrets[0].name, &*seen.grants[0].name),
        ("token", "network:host")
    );
    assert_eq!(seen.connections[0].steps, ["last", "perhaps"]);
    let scopes = &seen.scopes["chat"];
    assert_eq!(
        scopes.required,
        BTreeSet::from(["read".to_owned(), "write|admin".to_owned()])
    );
    assert_eq!(scopes.optional, BTreeSet::from(["pin".to_owned()]));
}

#[test]
fn it_says_whether_the_alert_would_start_it_and_why_not() {
    let mut plan = plan(vec![step("a", |_| {})]);
    let starts = |plan: &Plan, alert: Value| {
        let seen = ahead(plan, json!({}), Some(alert)).triggers;
        (seen.starts, seen.why)
    };
    assert_eq!(starts(&plan, json!({"state": "firing"})).0, Some(false));
    plan.on_alert = Some(OnAlert {
        when: Some(Expr("alert.severity == \"critical\"".to_owned())),
    });
    assert_eq!(
        starts(&plan, json!({"state": "firing", "severity": "critical"})).0,
        Some(true)
    );
    for (alert, why) in [
        (json!({"state": "firing", "severity": "low"}), "does not hold"),
        (json!({"state": "resolved", "severity": "critical"}), "recovery"),
        (json!({"state": "firing"}), "has no value"),
    ] {
        let (starts, said) = starts(&plan, alert);
        assert!(starts == Some(false) && said.contains(why), "{said}");
    }
    assert_eq!(ahead(&plan, json!({}), None).triggers.starts, None);
}

#[test]
fn a_missing_input_is_shown_and_a_wrong_one_is_refused() {
    let mut plan = plan(vec![step("a", |s| {
        s.param("x", "inputs.must");
    })]);
    input(&mut plan, "must", Type::Int, None);
    let seen = ahead(&plan, json!({}), None);
    assert_eq!(
        (seen.inputs[0].from, &seen.inputs[0].value),
        (InputFrom::Missing, &None)
    );
    assert!(matches!(with(&seen, 0, "x"), Foreseen::Later { .. }));
    let wrong = json!({"must": "text", "mist": 1});
    let question = Question {
        plan: &plan,
        catalogue: &Catalogue::default(),
        inputs: &object(wrong),
        alert: None,
        agents: None,
    };
    let errors = outlook(&question).unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:?}");
}

#[test]
fn the_agents_of_now_are_those_that_placement_takes() {
    let plan = plan(vec![step("a", |s| {
        s.runs_on
            .insert("zone".to_owned(), Template::Literal(json!("eu")));
    })]);
    let mut agent = super::place::candidate(1, 1);
    let of = |agents: Vec<crate::placement::Candidate>| {
        let question = Question {
            plan: &plan,
            catalogue: &Catalogue::default(),
            inputs: &Object::new(),
            alert: None,
            agents: Some(&Snapshot { agents }),
        };
        outlook(&question).unwrap().steps[0].place.agents.clone().unwrap()
    };
    let none = of(vec![agent.clone()]);
    assert!(none.takes.is_none() && none.why_none.unwrap().contains("no label zone=eu"));
    agent.labels.0.insert("zone=eu".parse().unwrap());
    assert_eq!(of(vec![agent.clone()]).takes.as_deref(), Some("agent-1"));
    agent.free = 0;
    let busy = of(vec![agent]);
    assert_eq!((busy.fit, busy.takes), (vec!["agent-1".to_owned()], None));
    assert!(busy.why_none.unwrap().contains("busy"));
}

#[test]
fn its_json_form_can_be_read_again_and_does_not_change() {
    let mut plan = plan(vec![step("a", |s| {
        s.param("x", "inputs.n")
            .param("y", "run.outcome")
            .when("always()");
    })]);
    input(&mut plan, "n", Type::Int, Some(json!(1)));
    let seen = ahead(&plan, json!({}), None);
    let json = serde_json::to_value(&seen).unwrap();
    assert_eq!(serde_json::from_value::<Outlook>(json.clone()).unwrap(), seen);
    assert_eq!(json["steps"][0]["does"]["with"]["x"], json!({"value": 1}));
    assert_eq!(
        json["steps"][0]["does"]["with"]["y"],
        json!({"later": {"expression": "${{ run.outcome }}", "waits_for": ["run.outcome"]}})
    );
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/plan.md")).unwrap();
    for key in keys
        .into_iter()
        .chain(json["steps"][0].as_object().unwrap().keys().map(String::as_str))
    {
        assert!(
            page.contains(&format!("`{key}`")),
            "docs/plan.md says nothing of {key}"
        );
    }
}
