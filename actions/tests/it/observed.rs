//! `prometheus/query` and `loki/query` against emulators of their APIs.

use std::time::Duration;

use actions::{ActionError, ActionOutput, Connections, Registry};
use emulators::{
    loki::Loki,
    prometheus::{Gives, Prometheus},
    stage::{Fault, Reply, Stage},
};
use serde_json::{Value, json};
use types::FailureKind;

use crate::bench::{context, run_id};

type Done = Result<ActionOutput, ActionError>;

fn connections(vars: &[(&str, &str)]) -> Connections {
    let get = |name: &str| {
        let found = vars.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Connections::from_env(&get).unwrap()
}

async fn run(connections: Connections, action: &str, params: Value) -> Done {
    let (context, _lines) = context(connections, run_id(), "query", 1, Duration::from_secs(30));
    let params = params.as_object().unwrap().clone();
    Registry::builtin().run(action, &context, params).await
}

async fn prometheus(queries: &[(&str, Gives)]) -> Stage<Prometheus> {
    let queries = queries
        .iter()
        .map(|(query, gives)| ((*query).to_owned(), gives.clone()))
        .collect();
    let rules = Prometheus {
        queries,
        ..Prometheus::default()
    };
    Stage::spawn(rules).await.unwrap()
}

async fn ask(stage: &Stage<Prometheus>, params: Value) -> Done {
    run(
        connections(&[("PROMETHEUS_URL", &stage.url())]),
        "prometheus/query",
        params,
    )
    .await
}

#[tokio::test]
async fn each_series_is_judged_worst_first_with_its_evidence() {
    let gives = Gives::Series(vec![
        (vec![("__name__", "load"), ("instance", "web-1:9100")], "0.5"),
        (vec![("__name__", "load"), ("instance", "web-2:9100")], "+Inf"),
        (vec![("__name__", "load"), ("instance", "web-3:9100")], "NaN"),
        (vec![("__name__", "load"), ("instance", "web-4:9100")], "6"),
    ]);
    let stage = prometheus(&[("load{job=\"a\\\"b\"}", gives)]).await;
    let params = json!({
        "query": "load{job=\"$job\"}", "values": {"job": "a\"b"}, "minutes": 60, "above": 10, "warn_above": 5, "check": "load"
    });
    let out = ask(&stage, params).await.unwrap();
    let findings = out.outputs["findings"].as_array().unwrap();
    let seen: Vec<(&str, &str)> = findings
        .iter()
        .map(|one| (one["host"].as_str().unwrap(), one["level"].as_str().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ("web-2", "critical"),
            ("web-4", "warning"),
            ("web-3", "unknown"),
            ("web-1", "normal")
        ]
    );
    assert_eq!(
        findings[0]["summary"],
        json!("load{instance=\"web-2:9100\"}: last of 60 min +Inf, which is above 10")
    );
    let evidence = &findings[0]["evidence"];
    assert_eq!(evidence["query"], json!("load{job=\"a\\\"b\"}"));
    let link = evidence["link"].as_str().unwrap();
    assert!(link.contains("/graph?g0.expr=load%7Bjob%3D"), "{link}");
    assert!(
        link.ends_with("g0.range_input=60m&g0.end_input=2025-11-23+18%3A45%3A00"),
        "{link}"
    );
    assert_eq!(out.outputs["count"], json!(4));
    assert_eq!(out.outputs["series"][1]["points"][0][1], json!("+Inf"));
    assert!(out.outputs.get("value").is_none() && out.degraded.is_empty());
    let call = &stage.calls()[0];
    assert_eq!(
        (call.method.as_str(), call.path.as_str()),
        ("POST", "/api/v1/query_range")
    );
    assert_eq!(
        (call.get("start"), call.get("end")),
        (Some("1763919900.000"), Some("1763923500.000"))
    );
    assert_eq!(call.get("step"), Some("15"));
}

#[tokio::test]
async fn now_a_number_a_text_and_nothing() {
    let stage = prometheus(&[
        ("n", Gives::Scalar("0.25")),
        ("t", Gives::Text("hello \u{1b}[31m<b>")),
        ("none", Gives::Series(Vec::new())),
    ])
    .await;
    stage.state(|rules| {
        rules.warnings = vec!["one store did not answer"];
        rules.infos = vec!["metric might not be a counter"];
    });
    let out = ask(&stage, json!({"query": "n", "below": 0.5})).await.unwrap();
    assert_eq!(out.outputs["value"], json!(0.25));
    assert_eq!(out.outputs["findings"][0]["level"], json!("critical"));
    assert_eq!(out.degraded, ["Prometheus warns: one store did not answer"]);
    assert_eq!(out.outputs["notes"], json!(["metric might not be a counter"]));
    assert_eq!(stage.calls()[0].path, "/api/v1/query");
    let out = ask(&stage, json!({"query": "t"})).await.unwrap();
    assert_eq!(
        (&out.outputs["text"], &out.outputs["findings"]),
        (&json!("hello \u{1b}[31m<b>"), &json!([]))
    );
    for (empty, level) in [("unknown", "unknown"), ("normal", "normal")] {
        let out = ask(&stage, json!({"query": "none", "empty": empty}))
            .await
            .unwrap();
        assert_eq!(out.outputs["findings"][0]["level"], json!(level));
        assert_eq!(out.outputs["findings"][0]["summary"], json!("no series"));
    }
}

#[tokio::test]
async fn what_prometheus_refuses_is_final_and_what_may_pass_is_tried_again() {
    let stage = prometheus(&[
        (
            "bad",
            Gives::Error("execution", "found duplicate series\n\u{1b}[31m<!channel>"),
        ),
        (
            "slow",
            Gives::Error("timeout", "query timed out in expression evaluation"),
        ),
        ("ok", Gives::Scalar("1")),
    ])
    .await;
    let error = ask(&stage, json!({"query": "bad"})).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Action);
    assert!(
        error
            .message
            .contains("(execution, HTTP 422): found duplicate series"),
        "{error}"
    );
    assert!(
        !error.message.chars().any(types::text::is_unsafe) && stage.calls().len() == 1,
        "{error}"
    );
    let error = ask(&stage, json!({"query": "what"})).await.unwrap_err();
    assert!(
        error.message.contains("bad_data") && error.message.contains("parse error"),
        "{error}"
    );
    let error = ask(&stage, json!({"query": "slow"})).await.unwrap_err();
    assert_eq!((error.kind, stage.calls().len()), (FailureKind::Transient, 6));
    for fault in [
        Fault::Drop,
        Fault::Instead(Reply::bytes(200, "text/html", b"<html>\xff<script>")),
        Fault::Instead(Reply::text(502, "bad gateway")),
    ] {
        stage.inject(fault);
    }
    let before = stage.calls().len();
    let out = ask(&stage, json!({"query": "ok"})).await.unwrap();
    assert_eq!(
        (&out.outputs["value"], stage.calls().len() - before),
        (&json!(1.0), 4)
    );
    stage.inject(Fault::Instead(Reply::text(429, "").with("retry-after", 900)));
    let error = ask(&stage, json!({"query": "ok"})).await.unwrap_err();
    assert_eq!(
        (error.kind, error.retry_after_ms),
        (FailureKind::RateLimited, Some(900_000))
    );
    stage.inject(Fault::Instead(Reply::bytes(
        200,
        "application/json",
        &vec![b' '; 9 * 1024 * 1024],
    )));
    let error = ask(&stage, json!({"query": "ok"})).await.unwrap_err();
    assert!(error.message.contains("larger than"), "{error}");
    stage.inject(Fault::Instead(Reply::json(
        200,
        &json!({"status": "success", "data": {"resultType": "vector", "result": [{}]}}),
    )));
    let error = ask(&stage, json!({"query": "ok"})).await.unwrap_err();
    assert!(error.message.contains("documented form"), "{error}");
}

#[tokio::test]
async fn who_we_are_is_said_and_never_shown() {
    let stage = prometheus(&[("up", Gives::Scalar("1"))]).await;
    stage.state(|rules| {
        rules.authorization = "Basic YW5uOmh1c2gtMTIzNA==".to_owned();
        rules.tenant = "team-a".to_owned();
    });
    let url = stage.url();
    let right = [
        ("PROMETHEUS_URL", url.as_str()),
        ("PROMETHEUS_USERNAME", "ann"),
        ("PROMETHEUS_PASSWORD", "hush-1234"),
        ("PROMETHEUS_ORG_ID", "team-a"),
    ];
    let connections_ = connections(&right);
    assert_eq!(connections_.names(), ["prometheus"]);
    assert!(!format!("{connections_:?}").contains("hush"));
    run(connections_, "prometheus/query", json!({"query": "up"}))
        .await
        .unwrap();
    let wrong = [
        ("PROMETHEUS_URL", url.as_str()),
        ("PROMETHEUS_BEARER_TOKEN", "hush-1234"),
    ];
    let error = run(connections(&wrong), "prometheus/query", json!({"query": "up"}))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("PROMETHEUS_BEARER_TOKEN") && !error.message.contains("hush"),
        "{error}"
    );
    let error = run(Connections::default(), "prometheus/query", json!({"query": "up"}))
        .await
        .unwrap_err();
    assert!(
        error.kind == FailureKind::Refused && error.message.contains("PROMETHEUS_URL"),
        "{error}"
    );
}

const NOW: i64 = 1_763_923_500_000_000_000;
const MINUTE: i64 = 60_000_000_000;

async fn loki(lines: &[(i64, &str)]) -> Stage<Loki> {
    let lines = lines
        .iter()
        .map(|(age, line)| (NOW - age * MINUTE, (*line).to_owned()))
        .collect();
    let labels = vec![("app", "a\"b\\c".to_owned()), ("host", "web-1".to_owned())];
    let rules = Loki {
        streams: vec![(labels, lines)],
        ..Loki::default()
    };
    Stage::spawn(rules).await.unwrap()
}

async fn read(stage: &Stage<Loki>, params: Value) -> Done {
    run(connections(&[("LOKI_ADDR", &stage.url())]), "loki/query", params).await
}

#[tokio::test]
async fn lines_are_found_by_values_that_stay_values() {
    let stage = loki(&[
        (90, "too old"),
        (30, "first \u{1b}[31merror\u{1b}[0m"),
        (10, "an error <!channel> \u{202e}x"),
        (5, "fine"),
    ])
    .await;
    let params = json!({
        "query": "{app=\"$app\"} |= \"$text\"", "values": {"app": "a\"b\\c", "text": "error"}, "above": 1
    });
    let out = read(&stage, params).await.unwrap();
    assert_eq!(
        (&out.outputs["count"], &out.outputs["limited"]),
        (&json!(2), &json!(false))
    );
    assert_eq!(
        out.outputs["lines"][0]["line"],
        json!("an error <!channel> \u{202e}x")
    );
    assert_eq!(
        out.outputs["lines"][0]["at_ms"],
        json!((NOW - 10 * MINUTE) / 1_000_000)
    );
    let finding = &out.outputs["findings"][0];
    assert_eq!(finding["level"], json!("critical"));
    let summary = finding["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("2 lines in 60 min, which is above 1; the newest: an error"),
        "{summary}"
    );
    assert!(!summary.chars().any(types::text::is_unsafe), "{summary}");
    // A value that would be more finds nothing more.
    let params = json!({
        "query": "{app=\"$app\"}", "values": {"app": "x\"} or {host=\"web-1"}
    });
    let out = read(&stage, params).await.unwrap();
    assert_eq!(out.outputs["count"], json!(0));
    let limited = read(
        &stage,
        json!({"query": "{host=\"web-1\"}", "limit": 2, "above": 5}),
    )
    .await
    .unwrap();
    assert_eq!(
        (
            &limited.outputs["limited"],
            &limited.outputs["findings"][0]["level"]
        ),
        (&json!(true), &json!("unknown"))
    );
}

#[tokio::test]
async fn lokis_words_are_told_and_its_metric_queries_judged() {
    let long = "x".repeat(5_000);
    let lines: Vec<(i64, &str)> = (0..59)
        .flat_map(|_| [(1, long.as_str()), (2, long.as_str())])
        .collect();
    let stage = loki(&lines).await;
    let out = read(&stage, json!({"query": "{host=\"web-1\"}", "limit": 1000}))
        .await
        .unwrap();
    assert_eq!(out.outputs["count"], json!(118));
    assert!(
        out.degraded[0].contains("take too much room"),
        "{:?}",
        out.degraded
    );
    assert!(serde_json::to_vec(&out.outputs).unwrap().len() < types::limits::OUTPUTS_BYTES);
    stage.state(|rules| {
        rules.metric = Some(("sum(rate({app=\"x\"}[5m]))".to_owned(), "7.5"));
        rules.warnings = vec!["the query was split"];
    });
    let out = read(
        &stage,
        json!({"query": "sum(rate({app=\"x\"}[5m]))", "warn_above": 5}),
    )
    .await
    .unwrap();
    assert_eq!(
        out.outputs["findings"][0]["summary"],
        json!("{app=\"api\"}: 7.5, which is above 5")
    );
    assert_eq!(out.degraded, ["Loki warns: the query was split"]);
    let error = read(&stage, json!({"query": "{host=\"web-1\""}))
        .await
        .unwrap_err();
    assert!(
        error.kind == FailureKind::Action && error.message.contains("(HTTP 400): parse error"),
        "{error}"
    );
    stage.state(|rules| rules.tenant = "a".to_owned());
    let error = read(&stage, json!({"query": "{a=\"b\"}"})).await.unwrap_err();
    assert!(
        error.message.contains("no org id") && error.message.contains("LOKI_ORG_ID"),
        "{error}"
    );
    stage.state(|rules| rules.tenant = String::new());
    stage.inject(Fault::Instead(Reply::text(429, "too many outstanding requests")));
    stage.inject(Fault::Drop);
    read(&stage, json!({"query": "{a=\"b\"}"})).await.unwrap();
}
