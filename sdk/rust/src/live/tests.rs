#![allow(clippy::unwrap_used, reason = "tests")]
//! The fold against bodies as the history stores them.

use serde_json::{Value, json};
use types::{RunOutcome, StepOutcome};

use super::{LiveRun, LiveState};
use crate::Event;

const RUN: &str = "run_01jx0000000000000000000000";

fn events(bodies: &[Value]) -> Vec<Event> {
    let wire = bodies.iter().enumerate().map(|(i, body)| {
        let mut body = body.clone();
        let kind = body["kind"].as_str().unwrap().to_owned();
        if i % 2 == 0 {
            // With the tag in the body or without it: both are read.
            body.as_object_mut().unwrap().remove("kind");
        }
        Event::from_wire(proto::v1::Event {
            run_id: RUN.into(),
            seq: i as u64 + 1,
            cursor: String::new(),
            at_ms: 1_000 + 10 * i as i64,
            kind,
            version: 1,
            body_json: body.to_string(),
            incident_id: String::new(),
        })
        .unwrap()
    });
    wire.collect()
}

fn fold(bodies: &[Value]) -> LiveRun {
    let mut run = LiveRun::default();
    for event in events(bodies) {
        run.apply(&event);
    }
    run
}

fn started() -> Value {
    json!({"kind": "run.started", "run": RUN, "inputs": {}, "trigger": {"by": "t"}, "plan": {
    "format": 1, "name": "w", "source_digest": "0", "inputs": {}, "steps": [
        {"key": "a", "needs": [], "body": {"kind": "action", "action": "slack/post"}},
        {"key": "b", "needs": ["a"], "fan_out": {"kind": "each", "items": {"literal": []}},
         "body": {"kind": "container", "image": {"literal": "host"}}},
    ]}})
}

fn placement(name: &str) -> Value {
    json!({"agent": "agt_01jx0000000000000000000000", "agent_name": name,
        "session": "ses_01jx0000000000000000000000", "token": "lse_01jx0000000000000000000000"})
}

fn finished(step: &str, index: Option<u32>, verdict: Value) -> Value {
    let mut report = json!({"outputs": {}, "usage": {"duration_ms": 42}, "finished_at": 5});
    report
        .as_object_mut()
        .unwrap()
        .extend(verdict.as_object().unwrap().clone());
    json!({"kind": "attempt.finished", "step": step, "index": index, "attempt": 1,
        "token": "lse_01jx0000000000000000000000", "report": report})
}

#[test]
fn one_step_from_queue_to_end() {
    let run = fold(&[
        started(),
        json!({"kind": "attempt.queued", "step": "a", "attempt": 1, "work": {}, "pickup_by": 9}),
        json!({"kind": "attempt.offered", "step": "a", "attempt": 1, "placement": placement("east")}),
        json!({"kind": "attempt.started", "step": "a", "attempt": 1, "token": "lse_01jx0000000000000000000000"}),
    ]);
    let a = run.step("a").unwrap();
    assert_eq!(
        (a.state, a.what.as_str(), a.agents()),
        (LiveState::Running, "slack/post", vec!["east"])
    );
    assert_eq!(run.step("b").unwrap().state, LiveState::Waiting);
    assert_eq!(run.step("b").unwrap().what, "container host");
}

#[test]
fn items_have_their_own_state_and_the_step_shows_the_furthest() {
    let run = fold(&[
        started(),
        json!({"kind": "step.fanned_out", "step": "b", "items": ["h1", "h2"]}),
        json!({"kind": "attempt.queued", "step": "b", "index": 0, "attempt": 1, "work": {}, "pickup_by": 9}),
        json!({"kind": "attempt.offered", "step": "b", "index": 0, "attempt": 1, "placement": placement("east")}),
        json!({"kind": "attempt.started", "step": "b", "index": 0, "attempt": 1,
            "token": "lse_01jx0000000000000000000000"}),
        json!({"kind": "attempt.queued", "step": "b", "index": 1, "attempt": 1, "work": {}, "pickup_by": 9}),
        json!({"kind": "attempt.not_placed", "step": "b", "index": 1, "attempt": 1, "reason": "no agent"}),
    ]);
    let b = run.step("b").unwrap();
    assert_eq!(b.state, LiveState::Running);
    assert_eq!(b.items[1].reasons, ["no agent"]);
    assert_eq!(b.items[1].label.as_deref(), Some("h2"));
}

#[test]
fn doubt_is_told_until_it_is_decided() {
    let mut bodies = vec![
        started(),
        json!({"kind": "attempt.queued", "step": "a", "attempt": 1, "work": {}, "pickup_by": 9}),
        json!({"kind": "attempt.lost", "step": "a", "attempt": 1, "known": "started", "because": "agent_says_so",
            "token": "lse_01jx0000000000000000000000"}),
    ];
    let run = fold(&bodies);
    let a = &run.step("a").unwrap();
    assert_eq!(a.state, LiveState::InDoubt);
    assert_eq!(
        a.items[0].reasons,
        ["may have run, and nobody knows how it ended"]
    );
    bodies.push(
        json!({"kind": "attempt.settled", "step": "a", "attempt": 1, "resolution": "rerun", "by": "ann",
            "token": "lse_01jx0000000000000000000000"}),
    );
    assert_eq!(
        fold(&bodies).step("a").unwrap().items[0].reasons,
        ["decided as rerun by ann"]
    );
    bodies.push(json!({"kind": "attempt.queued", "step": "a", "attempt": 2, "work": {}, "pickup_by": 9}));
    assert!(
        fold(&bodies).step("a").unwrap().items[0].reasons.is_empty(),
        "a new try has no past"
    );
}

#[test]
fn the_end_has_its_outcome_and_reasons() {
    let run = fold(&[
        started(),
        json!({"kind": "attempt.queued", "step": "a", "attempt": 1, "work": {}, "pickup_by": 9}),
        finished("a", None, json!({"verdict": "degraded", "reasons": ["half"]})),
        json!({"kind": "step.ended", "step": "a", "outcome": "degraded", "reasons": ["half"]}),
        json!({"kind": "step.omitted", "step": "b", "because": "a", "ended": "failed"}),
        json!({"kind": "run.ended", "outcome": "degraded", "reasons": [{"step": "a", "message": "half"}]}),
    ]);
    assert_eq!(run.step("a").unwrap().items[0].duration_ms, Some(42));
    assert_eq!(
        run.step("b").unwrap().state,
        LiveState::Ended(StepOutcome::Omitted)
    );
    let end = run.ended.unwrap();
    assert_eq!((end.outcome, end.reasons.len()), (RunOutcome::Degraded, 1));
}

#[test]
fn unknown_kinds_and_unknown_steps_change_nothing() {
    let mut run = fold(&[started()]);
    let before = run.clone();
    for event in events(&[
        json!({"kind": "step.dreamt", "step": "a", "of": "sheep"}),
        json!({"kind": "step.ended", "step": "zzz", "outcome": "failed"}),
        json!({"kind": "item.ended", "step": "b", "index": 900, "outcome": "failed"}),
    ]) {
        run.apply(&event);
    }
    assert_eq!(run.steps, before.steps);
}

#[test]
fn a_body_of_a_known_kind_that_cannot_be_read_is_an_error() {
    let wire = proto::v1::Event {
        kind: "step.ended".into(),
        body_json: r#"{"step":"a","outcome":"splendid"}"#.into(),
        ..Default::default()
    };
    assert!(Event::from_wire(wire).is_err());
}
