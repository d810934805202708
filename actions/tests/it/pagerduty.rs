//! `pagerduty/…` against an account that pages, limits and refuses.

use actions::{Connections, PagerDutyConnection};
use emulators::pagerduty::{Account, Emulator, Fault, spawn};
use serde_json::{Value, json};
use types::FailureKind;

use crate::vendor::{Ask, ask};

fn entry(n: usize, level: i64, email: Value) -> Value {
    json!({
        "user": {"id": format!("PUSER{n}"), "name": format!("Person {n}"), "email": email},
        "schedule": {"id": "PSCHED1", "summary": "Backend"}, "escalation_level": level,
        "escalation_policy": {"id": "PPOLICY1", "summary": "Payments"}, "end": "2025-11-24T08:00:00Z",
    })
}

fn incident() -> Value {
    json!({
        "id": "PT4KHLK", "incident_number": 1234, "title": "checkout <5xx>", "status": "acknowledged", "urgency": "high",
        "priority": {"summary": "P1"}, "service": {"id": "PIJ90N7", "summary": "checkout"},
        "html_url": "https://x.pagerduty.com/incidents/PT4KHLK", "created_at": "2025-11-23T18:40:00Z",
        "assignments": [{"assignee": {"summary": "Ada"}}], "acknowledgements": [{"acknowledger": {"summary": "Sam"}}],
        "notes": [],
    })
}

async fn account(account: Account) -> (Emulator, Connections) {
    let emulator = spawn(Account {
        token: "key-1".to_owned(),
        users: vec!["bot@company.com".to_owned()],
        ..account
    })
    .await
    .unwrap();
    let connections = with(&emulator, Some("bot@company.com"));
    (emulator, connections)
}

fn with(emulator: &Emulator, from: Option<&str>) -> Connections {
    let url = emulator.url();
    let made = PagerDutyConnection::new(Some(&url), "key-1".to_owned(), from.map(str::to_owned));
    Connections {
        pagerduty: Some(made.unwrap()),
        ..Connections::default()
    }
}

#[tokio::test]
async fn who_is_on_call_comes_from_all_pages_with_plain_addresses_only() {
    let mut oncalls: Vec<Value> = (0..130)
        .map(|n| entry(n, 1, json!(format!("p{}@company.com", n % 3))))
        .collect();
    oncalls.push(entry(200, 2, json!("second@company.com")));
    oncalls.push(entry(201, 1, json!("@everyone")));
    let (emulator, connections) = account(Account {
        oncalls,
        ..Account::default()
    })
    .await;
    emulator.account().faults = vec![Fault::Limited(1), Fault::Status(503)];
    let params = json!({"schedules": ["psched1"]});
    let out = ask(&connections, "pagerduty/oncall", params).await.unwrap();
    assert_eq!(
        out.outputs["emails"],
        json!(["p0@company.com", "p1@company.com", "p2@company.com"])
    );
    assert_eq!(
        out.outputs["oncalls"].as_array().unwrap().len(),
        131,
        "only the first level"
    );
    assert_eq!(
        out.degraded,
        ["1 on call without a usable e-mail address: PUSER201"]
    );
    let asked = emulator.account().asked.clone();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked[1].contains("\"offset\", \"100\"") && asked[1].contains("PSCHED1"),
        "{asked:?}"
    );
    let other = json!({"schedules": ["POTHER"]});
    let out = ask(&connections, "pagerduty/oncall", other).await.unwrap();
    assert_eq!(out.degraded, ["nobody is on call there"]);
}

#[tokio::test]
async fn an_incident_is_read_as_it_is() {
    let (emulator, connections) = account(Account {
        incidents: vec![incident()],
        ..Account::default()
    })
    .await;
    let params = json!({"incident": "PT4KHLK"});
    let out = ask(&connections, "pagerduty/incident", params.clone())
        .await
        .unwrap();
    let found = &out.outputs["incident"];
    assert_eq!(
        (
            &found["status"],
            &found["priority"],
            &found["assignees"],
            &found["acknowledged_by"]
        ),
        (
            &json!("acknowledged"),
            &json!("P1"),
            &json!(["Ada"]),
            &json!(["Sam"])
        )
    );
    for (id, said) in [
        ("PNOTHERE", "there is no such thing"),
        ("../users", "expected one of PagerDuty's ids"),
    ] {
        let error = ask(&connections, "pagerduty/incident", json!({"incident": id}))
            .await
            .unwrap_err();
        assert!(error.message.contains(said), "{error}");
    }
    emulator.account().token = "another".to_owned();
    let error = ask(&connections, "pagerduty/incident", params).await.unwrap_err();
    assert!(
        error.message.contains("check PAGERDUTY_TOKEN") && !error.message.contains("key-1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_note_stands_once_though_its_answer_was_lost() {
    let (emulator, connections) = account(Account {
        incidents: vec![incident()],
        faults: vec![Fault::DoneThenLost],
        ..Account::default()
    })
    .await;
    let params = json!({"incident": "PT4KHLK", "text": "war room: #inc-1"});
    let first = ask(&connections, "pagerduty/note", params.clone()).await.unwrap();
    assert_eq!(first.outputs["adopted"], json!(true));
    let again = Ask {
        attempt: 2,
        ..Ask::default()
    };
    let second = again.run(&connections, "pagerduty/note", params).await.unwrap();
    assert_eq!(first.outputs["id"], second.outputs["id"]);
    let notes = emulator.account().incidents[0]["notes"].clone();
    assert_eq!(notes.as_array().unwrap().len(), 1);
    let content = notes[0]["content"].as_str().unwrap();
    assert!(
        content.starts_with("war room: #inc-1\n(Firehall run_") && content.ends_with("/step)"),
        "{content}"
    );
}

#[tokio::test]
async fn who_may_not_write_is_told_why() {
    let (emulator, connections) = account(Account {
        incidents: vec![incident()],
        read_only: true,
        ..Account::default()
    })
    .await;
    let note = |connections: Connections| async move {
        let params = json!({"incident": "PT4KHLK", "text": "x"});
        ask(&connections, "pagerduty/note", params).await.unwrap_err()
    };
    let error = note(connections).await;
    assert!(
        error.message.contains("a key that reads only cannot write"),
        "{error}"
    );
    emulator.account().read_only = false;
    let error = note(with(&emulator, Some("nobody@company.com"))).await;
    assert!(error.message.contains("Requester User Not Found"), "{error}");
    let error = note(with(&emulator, None)).await;
    assert_eq!(error.kind, FailureKind::Refused);
    assert!(error.message.contains("set PAGERDUTY_FROM"), "{error}");
    assert_eq!(emulator.account().incidents[0]["notes"], json!([]));
}
