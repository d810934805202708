//! `datadog/logs`, `datadog/monitor`, `datadog/events`, `github/deployments` and `github/commits` against emulators.

use std::time::Duration;

use actions::{ActionError, ActionOutput, Connections, DatadogConnection, GithubConnection, Registry};
use emulators::{
    datadog::Datadog,
    github::{Github, Repository},
    stage::{Fault, Reply, Stage},
};
use serde_json::{Value, json};
use types::FailureKind;

use crate::bench::{context, incident, run_id};

type Done = Result<ActionOutput, ActionError>;

async fn run(connections: &Connections, action: &str, params: Value, seconds: u64) -> Done {
    let (context, _lines) = context(
        connections.clone(),
        run_id(),
        "look",
        1,
        Duration::from_secs(seconds),
    );
    let params = params.as_object().unwrap().clone();
    Registry::builtin().run(action, &context, params).await
}

async fn datadog(rules: Datadog) -> (Stage<Datadog>, Connections) {
    let stage = Stage::spawn(rules).await.unwrap();
    let keys = ("api-1".to_owned(), "app-1".to_owned());
    let connection =
        DatadogConnection::new(Some("datadoghq.eu"), Some(&stage.url()), keys.0, keys.1).unwrap();
    let connections = Connections {
        datadog: Some(connection),
        ..Connections::default()
    };
    (stage, connections)
}

fn log(n: usize, message: &str) -> Value {
    json!({"id": format!("AQ{n}"), "type": "log", "attributes": {
        "timestamp": format!("2025-11-23T18:{:02}:00.000Z", n % 60), "message": message, "host": "web-1",
        "service": "checkout", "status": "error", "tags": ["env:prod"], "attributes": {"x": 1}
    }})
}

#[tokio::test]
async fn logs_come_in_pages_with_an_outsiders_values_quoted() {
    let rules = Datadog {
        logs: (0..450)
            .map(|n| log(n, &format!("line {n} \u{1b}[31m<!channel>")))
            .collect(),
        ..Datadog::default()
    };
    let (stage, connections) = datadog(rules).await;
    let params = json!({
        "query": "status:error", "tags": {"host": "web-1\" OR service:\"x"}, "limit": 300, "above": 100
    });
    let out = run(&connections, "datadog/logs", params, 30).await.unwrap();
    assert_eq!(
        (&out.outputs["count"], &out.outputs["limited"]),
        (&json!(300), &json!(true))
    );
    assert_eq!(
        out.outputs["events"][299]["message"],
        json!("line 299 \u{1b}[31m<!channel>")
    );
    let finding = &out.outputs["findings"][0];
    assert_eq!(
        finding["summary"],
        json!("at least 300 log events in 15 min, which is more than 100")
    );
    assert_eq!(finding["level"], json!("critical"));
    let link = finding["evidence"]["link"].as_str().unwrap();
    assert!(
        link.starts_with("https://app.datadoghq.eu/logs?query=status%3Aerror+host%3A%22web-1%5C%22+OR"),
        "{link}"
    );
    let sent: Vec<Value> = stage
        .calls()
        .iter()
        .map(|call| serde_json::from_slice(&call.body).unwrap())
        .collect();
    assert_eq!(
        sent[0]["filter"]["query"],
        json!(r#"status:error host:"web-1\" OR service:\"x""#)
    );
    assert_eq!(
        (&sent[0]["filter"]["from"], &sent[0]["filter"]["to"]),
        (&json!("1763922600000"), &json!("1763923500000"))
    );
    assert_eq!((sent.len(), &sent[1]["page"]["limit"]), (2, &json!(100)));
    assert!(out.degraded.is_empty(), "{:?}", out.degraded);
}

#[tokio::test]
async fn what_datadog_has_not_all_of_is_degraded() {
    let rules = Datadog {
        logs: (0..450).map(|n| log(n, "x")).collect(),
        left: [("/api/v2/logs/events/search", 1)].into(),
        reset: 2_000,
        ..Datadog::default()
    };
    let (stage, connections) = datadog(rules).await;
    let out = run(&connections, "datadog/logs", json!({"limit": 400}), 30)
        .await
        .unwrap();
    assert_eq!(
        (&out.outputs["count"], stage.calls().len()),
        (&json!(200), 1),
        "the header said that it is over"
    );
    assert!(
        out.degraded[0].contains("only the first 200"),
        "{:?}",
        out.degraded
    );
    let error = run(&connections, "datadog/logs", json!({}), 30)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.retry_after_ms),
        (FailureKind::RateLimited, Some(2_000_000))
    );
    stage.state(|rules| {
        rules.left.clear();
        rules.timeout = true;
    });
    let out = run(&connections, "datadog/logs", json!({"limit": 10, "above": 5}), 30)
        .await
        .unwrap();
    assert!(out.degraded[0].contains("ran out of time"), "{:?}", out.degraded);
    assert_eq!(
        out.outputs["limited"],
        json!(true),
        "what was not found is not known"
    );
    // A limit that is new within the step's time is waited for.
    stage.state(|rules| {
        rules.timeout = false;
        rules.left = [("/api/v2/logs/events/search", 1)].into();
        rules.reset = 1;
    });
    stage.inject(Fault::Instead(
        Reply::json(429, &json!({"errors": ["limit"]})).with("x-ratelimit-reset", 1),
    ));
    let out = run(&connections, "datadog/logs", json!({"limit": 10}), 30)
        .await
        .unwrap();
    assert_eq!(out.outputs["count"], json!(10));
    let long = "é".repeat(3_000);
    stage.state(|rules| {
        rules.left.clear();
        rules.logs = (0..100).map(|n| log(n, &long)).collect();
    });
    let out = run(&connections, "datadog/logs", json!({"limit": 100}), 30)
        .await
        .unwrap();
    assert!(
        out.degraded[0].contains("take too much room"),
        "{:?}",
        out.degraded
    );
    assert!(serde_json::to_vec(&out.outputs).unwrap().len() < types::limits::OUTPUTS_BYTES);
}

#[tokio::test]
async fn a_monitor_and_its_groups_stand_worst_first() {
    let group = |status: &str, at: i64| json!({"name": null, "status": status, "last_triggered_ts": at, "last_resolved_ts": 0, "last_nodata_ts": 0});
    let monitor = json!({
        "id": 12345, "name": "p99 \u{202e}high", "type": "query alert", "query": "avg(last_5m):avg:x{*} by {host} > 1",
        "overall_state": "Alert", "message": "@pagerduty",
        "state": {"groups": {"host:web-1": group("OK", 0), "host:web-2": group("Alert", 1_763_923_200), "host:web-3": group("No Data", 0)}}
    });
    let rules = Datadog {
        monitors: [(12_345, monitor)].into(),
        ..Datadog::default()
    };
    let (stage, connections) = datadog(rules).await;
    let mut alert = incident("t");
    alert["monitor"] = json!({"id": "12345"});
    let out = run(&connections, "datadog/monitor", json!({"incident": alert}), 30)
        .await
        .unwrap();
    assert_eq!(out.outputs["state"], json!("Alert"));
    let findings = out.outputs["findings"].as_array().unwrap();
    let seen: Vec<(&str, &str)> = findings
        .iter()
        .map(|one| (one["level"].as_str().unwrap(), one["summary"].as_str().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ("critical", "monitor 12345 (p99 \u{fffd}high) is Alert"),
            ("critical", "host:web-2 is Alert for 5 min 00 s"),
            ("unknown", "host:web-3 is No Data"),
            ("normal", "host:web-1 is OK"),
        ]
    );
    assert_eq!(findings[1]["host"], json!("web-2"));
    assert_eq!(
        findings[1]["evidence"]["link"],
        json!("https://app.datadoghq.eu/monitors/12345")
    );
    let error = run(&connections, "datadog/monitor", json!({"monitor": 7}), 30)
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .contains("HTTP 404: Monitor not found: there is none, or the keys may not see it"),
        "{error}"
    );
    stage.state(|rules| rules.scopes.clear());
    let error = run(&connections, "datadog/monitor", json!({"monitor": 12_345}), 30)
        .await
        .unwrap_err();
    assert!(
        error.message.contains("scope monitors_read") && error.kind == FailureKind::Action,
        "{error}"
    );
    let calls = stage.calls().len();
    for id in ["../../user", "12345/../1", "-1", ""] {
        let mut alert = incident("t");
        alert["monitor"] = json!({"id": id});
        if let Ok(out) = run(&connections, "datadog/monitor", json!({"incident": alert}), 30).await {
            assert!(
                out.outputs["note"].as_str().unwrap().contains("names none"),
                "{id}"
            );
        }
    }
    assert_eq!(stage.calls().len(), calls, "no outsider's text became a path");
}

#[tokio::test]
async fn events_say_what_changed() {
    let event = |title: &str, status: &str| {
        json!({"id": "1", "type": "event", "attributes": {"timestamp": "2025-11-23T18:40:00.000Z", "message": "%%% deployed",
            "tags": ["service:checkout"], "attributes": {"title": title, "status": status, "hostname": "web-1", "service": "checkout"}}})
    };
    let rules = Datadog {
        events: vec![
            event("v1.2 failed\n<!here>", "error"),
            event("v1.1", "success"),
            event("odd", "purple"),
        ],
        ..Datadog::default()
    };
    let (stage, connections) = datadog(rules).await;
    let out = run(
        &connections,
        "datadog/events",
        json!({"query": "source:deployment"}),
        30,
    )
    .await
    .unwrap();
    let levels: Vec<&Value> = out.outputs["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["level"])
        .collect();
    assert_eq!(levels, [&json!("critical"), &json!("normal"), &json!("unknown")]);
    assert_eq!(
        out.outputs["findings"][0]["summary"],
        json!("2025-11-23T18:40:00.000Z: v1.2 failed <!here>")
    );
    assert_eq!(out.outputs["events"][1]["title"], json!("v1.1"));
    stage.inject(Fault::Instead(Reply::json(
        400,
        &json!({"errors": [{"title": "Bad Request", "detail": "bad \u{7}query"}]}),
    )));
    let error = run(&connections, "datadog/events", json!({}), 30)
        .await
        .unwrap_err();
    assert!(error.message.contains("(HTTP 400): bad \u{fffd}query"), "{error}");
    for params in [
        json!({"minutes": 0}),
        json!({"limit": 1_001}),
        json!({"tags": {"a b": "c"}}),
    ] {
        assert!(run(&connections, "datadog/events", params, 30).await.is_err());
    }
}

async fn github(name: &str, repository: Repository) -> (Stage<Github>, Connections) {
    let rules = Github {
        repositories: [(name.to_owned(), repository)].into(),
        ..Github::default()
    };
    let stage = Stage::spawn(rules).await.unwrap();
    let url = stage.url();
    stage.state(|rules| rules.base.clone_from(&url));
    let connections = Connections {
        github: Some(GithubConnection::new(Some(&url), "ghp-1".to_owned()).unwrap()),
        ..Connections::default()
    };
    (stage, connections)
}

fn commit(n: i64, at: &str, message: &str) -> Value {
    json!({"sha": format!("{n:040x}"), "html_url": format!("https://github.example/acme/shop/commit/{n}"),
        "commit": {"message": message, "author": {"name": "Ann", "date": at}, "committer": {"name": "Ann", "date": at}},
        "author": if n == 0 { json!({"login": "ann"}) } else { Value::Null }})
}

#[tokio::test]
async fn commits_of_a_window_are_read_over_pages_and_cost_nothing_twice() {
    let at = |n: i64| format!("2025-11-23T{:02}:{:02}:00Z", 17 - n / 60, 59 - n % 60);
    let repository = Repository {
        visible: true,
        commits: (0..250)
            .map(|n| commit(n, &at(n), &format!("change {n}\n\nbody \u{1b}[31m<b>")))
            .collect(),
        ..Repository::default()
    };
    let (stage, connections) = github("acme/shop", repository).await;
    let params =
        json!({"repository": "acme/shop", "minutes": 180, "limit": 300, "branch": "main", "path": "a b"});
    let out = run(&connections, "github/commits", params.clone(), 30)
        .await
        .unwrap();
    // 18:45 less three hours.
    assert_eq!(
        (&out.outputs["count"], &out.outputs["limited"]),
        (&json!(135), &json!(false))
    );
    assert_eq!(out.outputs["commits"][0]["title"], json!("change 0"));
    assert_eq!(
        (
            &out.outputs["commits"][0]["author"],
            &out.outputs["commits"][1]["author"]
        ),
        (&json!("ann"), &json!("Ann"))
    );
    let finding = &out.outputs["findings"][0];
    assert_eq!(
        (&finding["level"], &finding["summary"]),
        (
            &json!("warning"),
            &json!(
                "135 commits in acme/shop below a b in 180 min; the newest: change 0 (ann, 2025-11-23T17:59:00Z)"
            )
        )
    );
    let calls = stage.calls();
    assert_eq!(
        (calls.len(), calls[0].get("since"), calls[0].get("sha")),
        (2, Some("2025-11-23T15:45:00Z"), Some("main"))
    );
    assert_eq!(calls[0].header("x-github-api-version"), "2022-11-28");
    let left = stage.state(|rules| rules.left);
    let again = run(&connections, "github/commits", params, 30).await.unwrap();
    assert_eq!(
        (again, stage.state(|rules| rules.left)),
        (out, left),
        "the same, by its tag"
    );
    let few = run(
        &connections,
        "github/commits",
        json!({"repository": "acme/shop", "limit": 5}),
        30,
    )
    .await
    .unwrap();
    assert_eq!(
        (&few.outputs["count"], &few.outputs["limited"]),
        (&json!(5), &json!(true))
    );
}

#[tokio::test]
async fn githubs_refusals_and_limits_are_told_apart() {
    let (stage, connections) = github(
        "acme/shop",
        Repository {
            visible: true,
            ..Repository::default()
        },
    )
    .await;
    let ask = |repository: &str| json!({"repository": repository});
    let out = run(&connections, "github/commits", ask("acme/shop"), 30)
        .await
        .unwrap();
    assert_eq!(
        out.outputs["findings"][0]["summary"],
        json!("no commit in acme/shop in 1440 min")
    );
    let error = run(&connections, "github/commits", ask("acme/secret"), 30)
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .contains("no such repository, or the token has no right to it (`contents: read`)"),
        "{error}"
    );
    for repository in ["acme", "acme/../x", "acme/shop?x", "a/b/c"] {
        let error = run(&connections, "github/commits", ask(repository), 30)
            .await
            .unwrap_err();
        assert!(error.message.contains("OWNER/NAME"), "{error}");
    }
    // 18:45:00 is 1763923500.
    stage.state(|rules| (rules.left, rules.reset) = (0, 1_763_924_100));
    let error = run(
        &connections,
        "github/commits",
        json!({"repository": "acme/shop", "minutes": 5}),
        30,
    )
    .await
    .unwrap_err();
    assert_eq!(
        (error.kind, error.retry_after_ms),
        (FailureKind::RateLimited, Some(600_000))
    );
    stage.state(|rules| rules.left = 100);
    for (reply, wait) in [
        (
            Reply::json(
                403,
                &json!({"message": "You have exceeded a secondary rate limit."}),
            ),
            60_000,
        ),
        (
            Reply::json(403, &json!({"message": "slow down"})).with("retry-after", 120),
            120_000,
        ),
        (Reply::json(429, &json!({"message": "slow down"})), 60_000),
    ] {
        stage.inject(Fault::Instead(reply));
        let error = run(
            &connections,
            "github/commits",
            json!({"repository": "acme/shop", "minutes": 6}),
            30,
        )
        .await
        .unwrap_err();
        assert_eq!(
            (error.kind, error.retry_after_ms),
            (FailureKind::RateLimited, Some(wait))
        );
    }
    stage.inject(Fault::Instead(Reply::json(
        403,
        &json!({"message": "Resource protected by SAML \u{1b}[1m"}),
    )));
    let error = run(
        &connections,
        "github/commits",
        json!({"repository": "acme/shop", "minutes": 7}),
        30,
    )
    .await
    .unwrap_err();
    assert!(
        error.kind == FailureKind::Action && error.message.contains("SAML \u{fffd}[1m"),
        "{error}"
    );
    // The token goes to no other place that an answer names.
    let elsewhere = Reply::json(200, &json!([commit(0, "2025-11-23T18:00:00Z", "x")]))
        .with("link", "<http://127.0.0.9:1/x>; rel=\"next\"");
    stage.inject(Fault::Instead(elsewhere));
    let error = run(
        &connections,
        "github/commits",
        json!({"repository": "acme/shop", "minutes": 8}),
        30,
    )
    .await
    .unwrap_err();
    assert!(error.message.contains("another place"), "{error}");
    stage.state(|rules| rules.token = "other".to_owned());
    let error = run(
        &connections,
        "github/commits",
        json!({"repository": "acme/shop", "minutes": 9}),
        30,
    )
    .await
    .unwrap_err();
    assert!(
        error.message.contains("check GITHUB_TOKEN") && !error.message.contains("ghp-1"),
        "{error}"
    );
}

#[tokio::test]
async fn deployments_say_how_they_went() {
    let deployment = |id: i64, at: &str, environment: &str| {
        json!({"id": id, "sha": format!("{id:040x}"), "ref": "main", "environment": environment, "created_at": at,
            "creator": {"login": "bot"}})
    };
    let status = |state: &str, at: &str| {
        json!({"state": state, "created_at": at, "description": "<b>\u{1b}[31m", "log_url": "javascript:alert(1)",
            "target_url": "https://ci.example/1"})
    };
    let repository = Repository {
        visible: true,
        deployments: vec![
            deployment(3, "2025-11-23T18:40:00Z", "production"),
            deployment(2, "2025-11-23T18:00:00Z", "production"),
            deployment(4, "2025-11-23T17:30:00Z", "staging"),
            deployment(1, "2025-11-20T18:00:00Z", "production"),
        ],
        statuses: [
            (
                3,
                vec![
                    status("failure", "2025-11-23T18:41:00Z"),
                    status("in_progress", "2025-11-23T18:40:30Z"),
                ],
            ),
            (2, vec![status("success", "2025-11-23T18:05:00Z")]),
        ]
        .into(),
        ..Repository::default()
    };
    let (stage, connections) = github("acme/shop", repository).await;
    let params = json!({"repository": "acme/shop", "environment": "production"});
    let out = run(&connections, "github/deployments", params.clone(), 30)
        .await
        .unwrap();
    let list = out.outputs["deployments"].as_array().unwrap();
    assert_eq!(
        (list.len(), &list[0]["state"], &list[0]["url"]),
        (2, &json!("failure"), &json!("https://ci.example/1"))
    );
    let findings = out.outputs["findings"].as_array().unwrap();
    assert_eq!(
        (&findings[0]["level"], &findings[1]["level"]),
        (&json!("critical"), &json!("warning"))
    );
    assert_eq!(
        findings[0]["summary"],
        json!("2025-11-23T18:40:00Z: main (000000000000) to production by bot: failure")
    );
    let staging = json!({"repository": "acme/shop", "environment": "staging"});
    let out = run(&connections, "github/deployments", staging, 30)
        .await
        .unwrap();
    assert!(out.outputs["deployments"][0].get("state").is_none());
    assert!(
        out.outputs["findings"][0]["summary"]
            .as_str()
            .unwrap()
            .ends_with("by bot: no status")
    );
    let none = json!({"repository": "acme/shop", "environment": "production", "minutes": 1});
    let out = run(&connections, "github/deployments", none, 30).await.unwrap();
    assert_eq!(out.outputs["findings"][0]["level"], json!("normal"));
    // Where only a status is not to be had, the deployment is told all the same.
    stage.state(|rules| {
        rules
            .repositories
            .get_mut("acme/shop")
            .unwrap()
            .deployments
            .truncate(1)
    });
    let calls = stage.calls().len();
    let params = json!({"repository": "acme/shop", "environment": "production", "limit": 3});
    stage.inject(Fault::Slow(Duration::from_millis(10)));
    stage.inject(Fault::Instead(Reply::json(403, &json!({"message": "no"}))));
    let out = run(&connections, "github/deployments", params, 30).await.unwrap();
    assert_eq!(
        (
            out.outputs["deployments"].as_array().unwrap().len(),
            stage.calls().len() - calls
        ),
        (1, 2)
    );
    assert!(
        out.degraded[0].starts_with("how deployment 3 went is not known"),
        "{:?}",
        out.degraded
    );
}
