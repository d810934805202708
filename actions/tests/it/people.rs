use emulators::slack::{Config, Fault, FaultKind};
use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn the_whole_directory_is_read_whatever_the_pages() {
    let bench = Bench::with(Config::demo().with_generated_users(1_200)).await;
    let state = bench.slack.handle().state();
    let last = state["users"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .find(|user| user["deleted"] != json!(true) && user["profile"]["email"].is_string())
        .unwrap()
        .clone();
    bench
        .slack
        .handle()
        .inject(Fault {
            skip: 3,
            ..Fault::once(
                "users.list",
                FaultKind::Error {
                    code: "invalid_cursor".to_owned(),
                    effect: false,
                },
            )
        })
        .unwrap();
    bench
        .slack
        .handle()
        .inject(Fault::once(
            "users.list",
            FaultKind::RateLimited { retry_after: 1 },
        ))
        .unwrap();
    let email = last["profile"]["email"].as_str().unwrap();
    let people = bench.people(&[email]).await;
    assert_eq!(
        (&people[0]["matched"], &people[0]["user_id"]),
        (&json!("email"), &last["id"])
    );
    let calls = bench.count("users.list");
    assert!(calls > 7, "{calls}");
    bench.people(&["maria"]).await;
    assert_eq!(bench.count("users.list"), calls, "kept for a minute");
}

#[tokio::test]
async fn traps_of_a_real_directory() {
    let bench = Bench::demo().await;
    let people = bench
        .people(&[
            "Sam",
            "maria.lopes@company.com",
            "@oncall-backend",
            "noah.park@acme.example",
            "slackbot",
            "Priya Raman",
            "Maria Lopez",
        ])
        .await;
    let matched: Vec<&str> = people
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["matched"].as_str().unwrap())
        .collect();
    assert_eq!(
        &matched[..6],
        [
            "ambiguous",
            "missing",
            "display_name",
            "email",
            "missing",
            "display_name"
        ]
    );
    assert_eq!(
        people[0]["candidates"],
        json!(["Sam (@sam.okafor)", "Sam (@sam.lindqvist)"])
    );
    assert!(people[1]["note"].as_str().unwrap().contains("deactivated"));
    assert_eq!(people[3]["guest"], json!(true));
    // The deactivated near-namesake is never suggested.
    assert_ne!(people[6]["user_id"], json!("U08MARIALO2"));
}

#[tokio::test]
async fn team_labels_select_from_the_map_only() {
    let bench = Bench::demo().await;
    let params = json!({"users": [], "teams": ["backend", "<!channel>"], "team_responders": {"backend": ["dev.patel@company.com"], "other": ["tom"]}});
    let out = bench
        .action("resolve", "slack/resolve-users", params)
        .await
        .unwrap();
    assert_eq!(out.outputs["people"].as_array().unwrap().len(), 1);
    assert_eq!(out.outputs["people"][0]["user_id"], json!("U08DEVPATE1"));
    let none = bench
        .action("resolve", "slack/resolve-users", json!({}))
        .await
        .unwrap();
    assert_eq!(none.degraded, ["no responder was asked for"]);
}

#[tokio::test]
async fn without_scopes_people_are_missing_and_it_is_said_why() {
    let bench = Bench::with(Config::demo().without_scope("users:read")).await;
    let out = bench
        .action("resolve", "slack/resolve-users", json!({"users": ["maria"]}))
        .await
        .unwrap();
    assert_eq!(
        out.degraded[0],
        "the directory cannot be read: missing_scope (needs users:read)"
    );
    assert_eq!(out.outputs["people"][0]["matched"], json!("missing"));
    let bench = Bench::with(Config::demo().without_scope("users:read.email")).await;
    let people = bench.people(&["maria.lopez@company.com", "maria"]).await;
    assert!(
        people[0]["note"].as_str().unwrap().contains("users:read.email"),
        "{people}"
    );
    assert_eq!(people[1]["user_id"], json!("U08MARIALO1"));
    let connect = bench.action("setup", "slack/connect", json!({})).await.unwrap();
    assert_eq!(
        connect.outputs["connection"]["missing"],
        json!(["users:read.email"])
    );
    assert!(
        connect.degraded[0].contains("users:read.email"),
        "{:?}",
        connect.degraded
    );
}

#[tokio::test]
async fn a_wrong_token_is_named_and_not_shown() {
    let bench = Bench::demo().await;
    let wrong =
        actions::SlackConnection::new(&bench.slack.api_url(), "xoxb-not-this-one".to_owned()).unwrap();
    let bench = Bench {
        connections: actions::Connections {
            slack: Some(wrong),
            ..actions::Connections::default()
        },
        ..bench
    };
    let error = bench
        .action("setup", "slack/connect", json!({}))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        "Slack auth.test: invalid_auth: check SLACK_BOT_TOKEN on the agent"
    );
    let none = Bench {
        connections: actions::Connections::default(),
        ..bench
    };
    let error = none
        .action("setup", "slack/connect", json!({}))
        .await
        .unwrap_err();
    assert!(error.message.contains("holds no Slack connection"), "{error}");
}
