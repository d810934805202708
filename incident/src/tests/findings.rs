use serde_json::{Value, json};
use types::{AgentId, CheckItem, Level, RunId, Timestamp};

use crate::{CHECKS_PER_ITEM, conclude, from_items, not_measured};

fn run() -> RunId {
    RunId::new(Timestamp::from_unix_ms(1), [1; 10])
}

fn item(index: u32, outcome: &str, checks: Value) -> CheckItem {
    let agent = AgentId::new(Timestamp::from_unix_ms(1), [2; 10]);
    CheckItem {
        step: "memory".to_owned(),
        index,
        value: json!(format!("api-{index}")),
        outcome: outcome.to_owned(),
        outputs: Some(json!({"checks": checks}).as_object().unwrap().clone()),
        reason: None,
        attempt: 2,
        agent: Some(agent),
        agent_name: Some("agent-a".to_owned()),
    }
}

#[test]
fn each_check_is_a_finding_with_its_place() {
    let checks = json!([
        {"check": "memory", "level": "critical", "summary": "95 % used", "value": 95, "unit": "%"},
        {"check": "load", "level": "normal", "summary": "load is low", "value": "0.2"},
    ]);
    let findings = from_items(&run(), &[item(0, "succeeded", checks)]);
    assert_eq!(findings.len(), 2);
    assert_eq!(findings[0].host.as_deref(), Some("api-0"));
    assert_eq!(
        (findings[0].level, findings[0].summary.as_str()),
        (Level::Critical, "95 % used")
    );
    assert_eq!(findings[1].summary, "load is low (0.2)");
    assert_eq!(
        findings[1].evidence.id(),
        format!("{}/memory[0]#2:checks[1]", run())
    );
}

#[test]
fn malformed_entries_are_unknown_and_named() {
    let checks = json!([
        7, {}, {"check": "x", "level": "fine", "summary": "s"}, {"check": "x", "level": "normal", "summary": ""},
        {"check": 1, "level": "normal", "summary": "s"},
    ]);
    let findings = from_items(&run(), &[item(0, "succeeded", checks)]);
    assert_eq!(findings.len(), 5);
    assert!(findings.iter().all(|f| f.level == Level::Unknown));
    assert!(
        findings[2].summary.contains("level: expected normal"),
        "{}",
        findings[2].summary
    );
    assert_eq!(findings[4].check, "checks[4]");
    for odd in [json!("not json"), json!({"a": 1}), json!(5)] {
        let findings = from_items(&run(), &[item(0, "succeeded", odd)]);
        assert_eq!((findings.len(), findings[0].level), (1, Level::Unknown));
    }
    let text = json!("[{\"check\":\"c\",\"level\":\"normal\",\"summary\":\"s\"}]");
    assert_eq!(
        from_items(&run(), &[item(0, "succeeded", text)])[0].level,
        Level::Normal
    );
    let many = Value::Array(vec![
        json!({"check": "c", "level": "normal", "summary": "s"});
        CHECKS_PER_ITEM + 3
    ]);
    let findings = from_items(&run(), &[item(0, "succeeded", many)]);
    assert_eq!(findings.len(), CHECKS_PER_ITEM + 1);
    assert_eq!(findings[CHECKS_PER_ITEM].level, Level::Unknown);
}

#[test]
fn what_failed_is_no_finding_but_is_told() {
    let good = json!([{"check": "c", "level": "normal", "summary": "s"}]);
    let mut unplaced = item(1, "failed", good.clone());
    unplaced.reason = Some("no agent took it in 3 s".to_owned());
    unplaced.agent = None;
    let mut silent = item(2, "succeeded", Value::Null);
    silent.outputs = None;
    let mut other = unplaced.clone();
    other.step = "reachability".to_owned();
    let items = [item(0, "succeeded", good), unplaced, other, silent];
    assert_eq!(from_items(&run(), &items).len(), 1);
    assert_eq!(
        not_measured(&items),
        [
            "memory of api-1: no agent took it in 3 s",
            "reachability of api-1: no agent took it in 3 s",
            "memory of api-2: ended without the output checks"
        ]
    );
}

#[test]
fn the_conclusion_counts_and_claims_no_more() {
    let checks = |level: &str| json!([{"check": "a", "level": level, "summary": "s"}, {"check": "b", "level": "normal", "summary": "s"}]);
    let of = |levels: &[&str]| {
        let items: Vec<CheckItem> = levels
            .iter()
            .zip(0..)
            .map(|(level, i)| item(i, "succeeded", checks(level)))
            .collect();
        conclude(from_items(&run(), &items), Vec::new(), Vec::new())
    };
    let (quiet, degraded) = of(&["normal", "normal"]);
    assert_eq!(quiet.conclusion, "nothing abnormal in 4 checks on 2 hosts");
    assert_eq!((quiet.evidence_count, degraded.len()), (4, 0));
    let (loud, degraded) = of(&["normal", "warning", "critical", "unknown"]);
    assert_eq!(
        loud.conclusion,
        "2 of 7 checks on 4 hosts abnormal: 1 critical, 1 warning"
    );
    let order: Vec<Level> = loud.findings.iter().map(|f| f.level).take(3).collect();
    assert_eq!(order, [Level::Critical, Level::Warning, Level::Unknown]);
    assert_eq!(degraded, ["1 check gave no reading"]);
    let (none, degraded) = conclude(
        Vec::new(),
        vec!["memory of x: no agent".to_owned()],
        vec!["datadog".to_owned()],
    );
    assert_eq!(
        (none.evidence_count, none.conclusion.as_str()),
        (0, "no evidence: nothing could be measured")
    );
    assert_eq!(
        degraded,
        [
            "no evidence: nothing could be measured",
            "not measured: memory of x: no agent"
        ]
    );
    let (_, degraded) = conclude(Vec::new(), vec!["x".to_owned(); 100], Vec::new());
    assert_eq!((degraded.len(), degraded[31].as_str()), (32, "and 70 more"));
    let value = serde_json::to_value(&loud).unwrap();
    crate::Investigation::ty().check(&value).unwrap();
}
