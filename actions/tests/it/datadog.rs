//! `datadog/query` against a stub that insists on headers, seconds and the cleaned query.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actions::{ActionError, ActionOutput, Connections, DatadogConnection, Registry};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing,
};
use serde_json::{Value, json};
use types::FailureKind;

use crate::bench::{context, incident, run_id};

#[derive(Clone, Default)]
struct Stub {
    /// Statuses to answer first.
    faults: Arc<Mutex<Vec<u16>>>,
    queries: Arc<Mutex<Vec<String>>>,
}

async fn answer(
    State(stub): State<Stub>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let get = |name: &str| {
        query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    if headers.get("dd-api-key").is_none_or(|v| v != "api-1")
        || headers.get("dd-application-key").is_none_or(|v| v != "app-1")
    {
        return (StatusCode::FORBIDDEN, Json(json!({"errors": ["Forbidden"]}))).into_response();
    }
    if let Some(status) = stub.faults.lock().unwrap().pop() {
        return (
            StatusCode::from_u16(status).unwrap(),
            [("X-RateLimit-Reset", "1")],
            "",
        )
            .into_response();
    }
    let (from, to): (i64, i64) = (get("from").parse().unwrap(), get("to").parse().unwrap());
    assert_eq!((from, to), (1_763_923_500 - 3_600, 1_763_923_500), "seconds");
    let text = get("query");
    stub.queries.lock().unwrap().push(text.clone());
    let points = |value: f64| {
        (0..10)
            .map(|i| json!([(to - 600 + i * 60) as f64 * 1_000.0, value]))
            .chain([json!([to as f64 * 1_000.0, null])])
            .collect::<Value>()
    };
    let series = if text.contains("nothing") {
        json!([])
    } else {
        json!([{"scope": "host:api-1", "pointlist": points(0.05)}, {"scope": "host:api-2", "pointlist": points(0.5)}])
    };
    Json(json!({"status": "ok", "series": series})).into_response()
}

async fn ask(stub: &Stub, key: &str, params: Value) -> Result<ActionOutput, ActionError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/api/v1/query", routing::get(answer))
        .with_state(stub.clone());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let connection = DatadogConnection::new(
        Some("datadoghq.eu"),
        Some(&url),
        key.to_owned(),
        "app-1".to_owned(),
    )
    .unwrap();
    let connections = Connections {
        datadog: Some(connection),
        ..Connections::default()
    };
    let (context, _lines) = context(connections, run_id(), "query", 1, Duration::from_secs(10));
    let result = Registry::builtin()
        .run("datadog/query", &context, params.as_object().unwrap().clone())
        .await;
    server.abort();
    result
}

fn asked(query: &str) -> Value {
    let mut incident = incident("t");
    incident["monitor"] = json!({"id": "12345", "query": query});
    json!({"incident": incident})
}

#[tokio::test]
async fn the_monitors_query_is_asked_and_judged() {
    let stub = Stub::default();
    stub.faults.lock().unwrap().extend([500, 429]);
    let query = "avg(last_5m):avg:system.mem.pct_usable{env:prod} by {host} < 0.1";
    let out = ask(&stub, "api-1", asked(query)).await.unwrap();
    assert_eq!(
        *stub.queries.lock().unwrap(),
        ["avg:system.mem.pct_usable{env:prod} by {host}"]
    );
    let findings = out.outputs["findings"].as_array().unwrap();
    assert_eq!(
        (&findings[0]["host"], &findings[0]["level"]),
        (&json!("api-1"), &json!("critical"))
    );
    assert_eq!(
        findings[0]["summary"],
        json!("host:api-1: avg of the last 5 min is 0.05, which is < 0.1")
    );
    assert_eq!(findings[1]["level"], json!("normal"));
    let evidence = &findings[0]["evidence"];
    assert_eq!(
        evidence["link"],
        json!("https://app.datadoghq.eu/monitors/12345?from_ts=1763919900000&to_ts=1763923500000&live=false")
    );
    assert!(out.degraded.is_empty() && out.outputs["configured"] == json!(true));
}

#[tokio::test]
async fn no_series_is_unknown_and_a_hostile_query_is_not_sent() {
    let stub = Stub::default();
    let out = ask(&stub, "api-1", asked("avg:nothing{*} > 1")).await.unwrap();
    assert_eq!(out.outputs["findings"][0]["level"], json!("unknown"));
    stub.queries.lock().unwrap().clear();
    let out = ask(&stub, "api-1", asked("avg:x{*}) or top(secret{*})"))
        .await
        .unwrap();
    assert_eq!(out.outputs["findings"], json!([]));
    assert!(
        out.degraded[0].starts_with("the monitor's query was not asked"),
        "{:?}",
        out.degraded
    );
    assert!(stub.queries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn keys_that_are_refused_or_absent_are_told() {
    let stub = Stub::default();
    let error = ask(&stub, "wrong-key", asked("avg:x{*} > 1")).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Action);
    assert!(
        error.message.contains("check DD_API_KEY") && !error.message.contains("wrong-key"),
        "{error}"
    );
    let (context, _lines) = context(
        Connections::default(),
        run_id(),
        "query",
        1,
        Duration::from_secs(5),
    );
    let params = asked("avg:x{*} > 1").as_object().unwrap().clone();
    let out = Registry::builtin()
        .run("datadog/query", &context, params)
        .await
        .unwrap();
    assert_eq!(
        (&out.outputs["configured"], &out.outputs["findings"]),
        (&json!(false), &json!([]))
    );
    assert!(
        out.outputs["note"]
            .as_str()
            .unwrap()
            .contains("holds no DD_API_KEY")
            && out.degraded.is_empty()
    );
}
