#![allow(clippy::unwrap_used, reason = "tests")]
use askama::Template;
use proto::v1;
use serde_json::json;

use super::Incident;
use crate::{Section, Shell};

const AT: i64 = 1_764_063_662_000;

fn shell() -> Shell {
    Shell {
        title: "x".to_owned(),
        section: Section::Incidents,
        now_ms: AT + 60_000,
        live: None,
    }
}

fn alert(title: &str) -> serde_json::Value {
    json!({
        "source": "generic", "id": "A-1", "state": "firing", "title": title, "severity": "high",
        "links": [{"title": "click", "url": "javascript:alert(1)"}, {"title": "graph", "url": "https://graphs.example/1"}],
    })
}

fn history(title: &str, repeats: usize) -> String {
    let delivery = json!({"key": "k", "state": "firing", "window_ms": 1000});
    let opened = json!({"at": AT, "what": {"kind": "opened", "body": {
        "incident": "inc_00000000000000000000000000", "alert_id": "alr_00000000000000000000000000",
        "delivery": delivery, "alert": alert(title)}}});
    let again = json!({"at": AT + 1, "what": {"kind": "alert_repeated",
        "body": {"alert_id": "alr_00000000000000000000000000"}}});
    let events = std::iter::once(opened).chain(std::iter::repeat_n(again, repeats));
    serde_json::Value::Array(events.collect()).to_string()
}

fn step(key: &str, what: &str, state: &str, outputs: &serde_json::Value) -> v1::Step {
    v1::Step {
        key: key.to_owned(),
        what: what.to_owned(),
        state: state.to_owned(),
        started_at_ms: AT + 10,
        finished_at_ms: AT + 20,
        outputs_json: outputs.to_string(),
        ..v1::Step::default()
    }
}

fn person(query: &str, matched: &str, user: Option<&str>) -> serde_json::Value {
    let mut person =
        json!({"query": query, "matched": matched, "score": 0.5, "candidates": [], "guest": false});
    if let Some(user) = user {
        person["user_id"] = json!(user);
    }
    person
}

fn page(history: String, runs: Vec<v1::Run>) -> String {
    let incident = v1::IncidentInfo {
        id: "inc_00000000000000000000000000".to_owned(),
        state: "open".to_owned(),
        title: "t".to_owned(),
        severity: "high".to_owned(),
        source: "generic".to_owned(),
        opened_at_ms: AT,
        history_json: history,
        ..v1::IncidentInfo::default()
    };
    Incident::new(shell(), incident, runs).unwrap().render().unwrap()
}

fn run(steps: Vec<v1::Step>) -> v1::Run {
    v1::Run {
        id: "run_00000000000000000000000000".to_owned(),
        workflow: "respond".to_owned(),
        started_at_ms: AT + 5,
        finished_at_ms: AT + 30,
        outcome: v1::Outcome::Degraded.into(),
        steps,
        ..v1::Run::default()
    }
}

/// What stands between the tags of a part that holds the word.
fn around<'a>(html: &'a str, word: &str) -> &'a str {
    let at = html.find(word).unwrap_or_else(|| panic!("no {word} in {html}"));
    let end = html[at..].find("</li>").map_or(html.len(), |end| at + end);
    &html[at..end]
}

#[test]
fn each_person_is_in_or_it_says_why_not() {
    let people = json!({"people": [
        person("in@x", "email", Some("U1")), person("refused@x", "email", Some("U2")),
        person("like", "fuzzy", Some("U3")), person("two", "ambiguous", None), person("gone", "missing", None),
    ]});
    let room = json!({"room": {"channel": "C1", "name": "inc-1", "private": true, "adopted": false, "message_ts": "1",
        "link": "https://x.slack.com/archives/C1", "invited": [
            {"user_id": "U1", "name": "in"}, {"user_id": "U2", "name": "refused", "refused": "cant_invite: a guest"}]}});
    let html = page(
        history("t", 0),
        vec![run(vec![
            step("who", "slack/resolve-users", "succeeded", &people),
            step("room", "slack/war-room", "succeeded", &room),
        ])],
    );
    for (who, says) in [
        ("in@x", "in the room"),
        ("refused@x", "cant_invite: a guest"),
        ("like", "50 % alike"),
        ("two", "ambiguous"),
        ("gone", "not found"),
    ] {
        assert!(
            around(&html, &format!("dir=\"auto\">{who}")).contains(says),
            "{who}"
        );
    }
    assert!(html.contains("4 of 5 not in the room"));
    assert!(html.contains("href=\"https://x.slack.com/archives/C1\" rel=\"noreferrer noopener\""));
}

#[test]
fn a_finding_leads_to_its_evidence() {
    let investigation = json!({"investigation": {
        "conclusion": "1 of 2 checks abnormal", "evidence_count": 2, "not_measured": ["db-1: no agent"], "not_asked": [],
        "findings": [
            {"check": "latency", "level": "critical", "summary": "p99 is 4 s", "evidence": {"kind": "query",
                "source": "datadog", "query": "avg:p99{*}", "from_ms": AT, "to_ms": AT + 60_000,
                "link": "https://app.datadoghq.com/x"}},
            {"host": "db-2", "check": "load", "level": "normal", "summary": "load 0.1", "evidence": {"kind": "step",
                "run": "run_00000000000000000000000000", "step": "checks", "index": 1, "attempt": 1,
                "agent": "agt_00000000000000000000000000", "agent_name": "east", "output": "checks[0]"}}]}});
    let html = page(
        history("t", 0),
        vec![run(vec![step(
            "inv",
            "incident/findings",
            "succeeded",
            &investigation,
        )])],
    );
    for says in [
        "1 of 2 checks abnormal",
        "<code dir=\"auto\">avg:p99{*}</code>, 2025-11-25 09:41:02 UTC to 2025-11-25 09:42:02 UTC",
        "href=\"https://app.datadoghq.com/x\"",
        "<summary>1 normal</summary>",
        "href=\"/runs/run_00000000000000000000000000/steps/checks\"",
        "db-1: no agent",
    ] {
        assert!(html.contains(says), "{says}");
    }
}

#[test]
fn what_an_outsider_wrote_is_text() {
    let html = page(history("<img src=x onerror=alert(1)>\u{202e}gnp", 0), Vec::new());
    assert!(!html.contains("<img src=x") && !html.contains('\u{202e}'));
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;\u{fffd}gnp"));
    assert!(!html.contains("href=\"javascript"));
    assert!(html.contains("href=\"https://graphs.example/1\""));
}

#[test]
fn repeats_are_one_line_and_what_is_not_whole_says_why() {
    let mut failed = step("post", "slack/post", "failed", &json!({}));
    failed.reasons = vec!["channel_not_found".to_owned()];
    let html = page(history("t", 900), vec![run(vec![failed])]);
    assert!(html.contains("delivered again, 900 times"));
    assert_eq!(html.matches("delivered again").count(), 1);
    assert!(html.contains("Not everything was done"));
    assert!(around(&html, "/steps/post").contains("channel_not_found"));
}

#[test]
fn a_long_title_is_shortened_and_stands_there_whole() {
    let titled = |title: &str| {
        let incident = v1::IncidentInfo {
            title: title.to_owned(),
            history_json: history(title, 0),
            ..v1::IncidentInfo::default()
        };
        Incident::new(shell(), incident, Vec::new())
            .unwrap()
            .render()
            .unwrap()
    };
    assert!(!titled(&"a".repeat(90)).contains("whole-title"));
    let long = "日".repeat(151);
    let html = titled(&long);
    assert!(
        html.contains(&format!("<h1 class=\"longer\" dir=\"auto\">{long}</h1>")),
        "{html}"
    );
    assert!(html.contains("Show the whole title"));
}
