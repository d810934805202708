use std::collections::BTreeSet;

use emulators::slack::{Config, Fault, FaultKind, SeedChannel};
use serde_json::{Value, json};
use types::FailureKind;

use crate::bench::{Bench, REFERENCE, block_text, incident, messages, system};

const PEOPLE: [&str; 4] = [
    "maria.lopez@company.com",
    "Dev Patel",
    "@oncall-backend",
    "jonas.weber@company.com",
];

#[tokio::test]
async fn a_room_is_created_staffed_and_briefed() {
    let bench = Bench::demo().await;
    let resolved = bench
        .action("resolve", "slack/resolve-users", json!({"users": PEOPLE}))
        .await
        .unwrap();
    assert_eq!(
        resolved.degraded,
        ["1 of 4 responders is not in the directory: jonas.weber@company.com"]
    );
    let room = bench
        .room(
            &incident("Checkout <slow> & *sad*"),
            &resolved.outputs["people"],
            "auto",
        )
        .await
        .unwrap();
    assert!(room.degraded.is_empty(), "{:?}", room.degraded);
    let out = &room.outputs["room"];
    assert_eq!((&out["private"], &out["adopted"]), (&json!(false), &json!(false)));
    assert!(
        out["link"]
            .as_str()
            .unwrap()
            .starts_with("https://company.slack.com/archives/"),
        "{out}"
    );
    let channel = bench.channel(&room);
    assert!(
        channel["name"]
            .as_str()
            .unwrap()
            .starts_with("inc-dd-77-checkout-slow-sad-"),
        "{}",
        channel["name"]
    );
    let members: BTreeSet<&str> = channel["members"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        members,
        BTreeSet::from(["U08DEVPATE1", "U08FIREHALL", "U08MARIALO1", "U08ONCALLB1"])
    );
    assert!(channel["topic"]["value"].as_str().unwrap().contains(REFERENCE));
    let brief = &messages(&channel)[0];
    let text = block_text(brief);
    for part in [
        "Checkout <slow> & *sad*",
        "critical",
        "api-1, api-2",
        "env:prod",
        "avg:x{*} > 1",
        "rps: 1247",
        "|Dashboard (dash.example)>",
        "jonas.weber@company.com: not in the directory",
        "found by e-mail",
        "found by display name",
    ] {
        assert!(text.contains(part), "{part} is in:\n{text}");
    }
    assert_eq!(brief["pinned"], json!(true));
    assert_eq!(
        brief["text"],
        json!("🔴 critical: Checkout &lt;slow&gt; &amp; *sad*")
    );
    assert_eq!(brief["metadata"]["event_payload"]["incident"], json!(REFERENCE));
    assert_eq!(
        (&brief["unfurl_links"], &brief["unfurl_media"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test]
async fn a_second_try_adopts_and_changes_nothing() {
    let mut bench = Bench::demo().await;
    let people = bench.people(&PEOPLE).await;
    let first = bench.room(&incident("t"), &people, "public").await.unwrap();
    bench.attempt = 2;
    let second = bench.room(&incident("t"), &people, "public").await.unwrap();
    assert_eq!(second.outputs["room"]["adopted"], json!(true));
    for field in ["channel", "message_ts", "name", "invited", "link"] {
        assert_eq!(
            first.outputs["room"][field], second.outputs["room"][field],
            "{field}"
        );
    }
    let channel = bench.channel(&second);
    assert_eq!(
        (messages(&channel).len(), system(&channel, "channel_topic")),
        (1, 1)
    );
    assert_eq!(channel["pins"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_room_left_half_made_is_finished() {
    let bench = Bench::demo().await;
    let people = bench.people(&PEOPLE[..1]).await;
    let fail = |method: &str| Fault {
        method: method.to_owned(),
        times: 1,
        skip: 0,
        kind: FaultKind::Error {
            code: "invalid_auth".to_owned(),
            effect: false,
        },
    };
    bench
        .slack
        .handle()
        .inject(fail("conversations.setTopic"))
        .unwrap();
    bench.slack.handle().inject(fail("chat.postMessage")).unwrap();
    let error = bench.room(&incident("t"), &people, "public").await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Action);
    assert!(error.message.contains("check SLACK_BOT_TOKEN"), "{error}");
    let room = bench.room(&incident("t"), &people, "public").await.unwrap();
    assert_eq!(room.outputs["room"]["adopted"], json!(true));
    let channel = bench.channel(&room);
    assert_eq!(
        (messages(&channel).len(), system(&channel, "channel_topic")),
        (1, 1)
    );
}

#[tokio::test]
async fn the_name_of_another_is_left_alone() {
    let taken = actions_name();
    let mut config = Config::demo();
    config.channels.push(SeedChannel {
        name: taken.clone(),
        topic: "ours since 2019".to_owned(),
        is_private: false,
        members: vec!["U08GRACEME1".into()],
    });
    config.channels.push(SeedChannel {
        name: format!("{taken}-2"),
        topic: String::new(),
        is_private: true,
        members: vec!["U08GRACEME1".into()],
    });
    let bench = Bench::with(config).await;
    let room = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert_eq!(room.outputs["room"]["name"], json!(format!("{taken}-3")));
    assert_eq!(room.outputs["room"]["adopted"], json!(false));
    let channel = bench.channel(&room);
    let text = block_text(&messages(&channel)[0]);
    assert!(
        text.contains(&format!("the name #{taken} belongs to another channel")),
        "{text}"
    );
    assert_eq!(messages(&bench.slack.handle().channel(&taken).unwrap()).len(), 0);
}

/// The name that the incident of these tests gets.
fn actions_name() -> String {
    "inc-dd-77-t-aaaaabcd".to_owned()
}

#[tokio::test]
async fn where_no_public_channel_is_allowed_auto_goes_private_and_public_fails() {
    let restricted = || Fault {
        method: "conversations.create".to_owned(),
        times: 1,
        skip: 0,
        kind: FaultKind::Error {
            code: "restricted_action".to_owned(),
            effect: false,
        },
    };
    let bench = Bench::demo().await;
    bench.slack.handle().inject(restricted()).unwrap();
    let error = bench
        .room(&incident("t"), &json!([]), "public")
        .await
        .unwrap_err();
    assert!(
        error.message.contains("restricted_action") && error.kind == FailureKind::Action,
        "{error}"
    );
    bench.slack.handle().inject(restricted()).unwrap();
    let room = bench.room(&incident("t"), &json!([]), "auto").await.unwrap();
    assert_eq!(room.outputs["room"]["private"], json!(true));
    assert_eq!(
        room.degraded,
        ["no public channel can be created (restricted_action): the room is private"]
    );
    let only_private = Bench::with(Config::demo().without_scope("channels:manage")).await;
    let room = only_private
        .room(&incident("t"), &json!([]), "auto")
        .await
        .unwrap();
    assert!(room.degraded[0].contains("missing_scope"), "{:?}", room.degraded);
}

#[tokio::test]
async fn likeness_opens_no_private_room() {
    let bench = Bench::demo().await;
    let people = bench.people(&["dev.patle", "tom.becker@company.com"]).await;
    assert_eq!(people[0]["matched"], json!("fuzzy"));
    let private = bench.room(&incident("t"), &people, "private").await.unwrap();
    let channel = bench.channel(&private);
    assert_eq!(channel["members"], json!(["U08FIREHALL", "U08TOMBECK1"]));
    assert_eq!(
        private.degraded,
        ["1 found only by likeness was not invited to the private room: dev.patle"]
    );
    let brief = &messages(&channel)[0];
    assert!(
        block_text(brief).contains("perhaps Dev Patel"),
        "{}",
        block_text(brief)
    );
    assert_eq!(brief["mentions"], json!(["U08TOMBECK1"]));
    let other = Bench::demo().await;
    let public = other
        .room(&incident("t"), &other.people(&["dev.patle"]).await, "public")
        .await
        .unwrap();
    assert!(public.degraded.is_empty(), "{:?}", public.degraded);
    assert_eq!(
        other.channel(&public)["members"],
        json!(["U08FIREHALL", "U08DEVPATE1"])
    );
}

#[tokio::test]
async fn who_cannot_be_invited_is_told_with_the_reason() {
    let bench = Bench::demo().await;
    let mut people = bench
        .people(&["maria.lopez@company.com", "noah.park@acme.example"])
        .await;
    let mut ghost = people[0].clone();
    ghost["user_id"] = json!("U0GHOST0001");
    ghost["name"] = json!("Ghost");
    let mut own = people[0].clone();
    own["user_id"] = json!("U08FIREHALL");
    people.as_array_mut().unwrap().extend([ghost, own]);
    let room = bench.room(&incident("t"), &people, "public").await.unwrap();
    let invited = room.outputs["room"]["invited"].as_array().unwrap();
    assert_eq!(invited.len(), 3, "our own bot is never invited: {invited:?}");
    assert!(invited[0].get("refused").is_none());
    assert!(
        room.degraded[0].contains("Ghost (user_not_found"),
        "{:?}",
        room.degraded
    );
    assert!(
        bench.channel(&room)["members"]
            .as_array()
            .unwrap()
            .contains(&json!("U08MARIALO1"))
    );
}

#[tokio::test]
async fn a_hundred_and_more_are_invited_in_batches() {
    let bench = Bench::with(Config::demo().with_generated_users(250).without_limits()).await;
    let state = bench.slack.handle().state();
    let everybody: Vec<Value> = state["users"].as_array().unwrap().iter()
        .filter(|user| user["deleted"] != json!(true) && user["is_bot"] != json!(true) && user["id"] != "USLACKBOT" && user["is_restricted"] != json!(true))
        .map(|user| json!({"query": user["name"], "matched": "id", "user_id": user["id"], "name": user["name"], "score": 1.0, "candidates": [], "guest": false}))
        .collect();
    assert!(everybody.len() > 200);
    let room = bench
        .room(&incident("t"), &json!(everybody), "public")
        .await
        .unwrap();
    assert!(room.degraded.is_empty(), "{:?}", room.degraded);
    assert_eq!(
        bench.channel(&room)["members"].as_array().unwrap().len(),
        everybody.len() + 1
    );
    assert_eq!(bench.count("conversations.invite"), everybody.len().div_ceil(100));
}

#[tokio::test]
async fn without_optional_scopes_the_room_is_degraded_not_failed() {
    for (scope, said) in [
        (
            "pins:write",
            "the brief is not pinned: missing_scope (needs pins:write)",
        ),
        (
            "channels:read",
            "who is in the room could not be seen: missing_scope",
        ),
    ] {
        let bench = Bench::with(Config::demo().without_scope(scope)).await;
        let people = bench.people(&PEOPLE[..2]).await;
        let room = bench.room(&incident("t"), &people, "public").await.unwrap();
        assert!(
            room.degraded.iter().any(|reason| reason.contains(said)),
            "{scope}: {:?}",
            room.degraded
        );
        assert_eq!(messages(&bench.channel(&room)).len(), 1);
    }
    let bench = Bench::with(Config::demo().without_scope("chat:write")).await;
    let error = bench
        .room(&incident("t"), &json!([]), "public")
        .await
        .unwrap_err();
    assert!(
        error.message.contains("missing_scope (needs chat:write)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_method_that_is_not_there_degrades() {
    for (method, said) in [
        ("pins.add", "not pinned: unknown_method"),
        ("chat.getPermalink", "no link to the message: unknown_method"),
        ("conversations.setTopic", "no topic: unknown_method"),
        ("conversations.members", "could not be seen: unknown_method"),
        ("conversations.invite", "cannot be invited: unknown_method"),
    ] {
        let bench = Bench::demo().await;
        let people = bench.people(&PEOPLE[..1]).await;
        let kind = FaultKind::Error {
            code: "unknown_method".to_owned(),
            effect: false,
        };
        bench
            .slack
            .handle()
            .inject(Fault {
                method: method.to_owned(),
                times: 99,
                skip: 0,
                kind,
            })
            .unwrap();
        let room = bench.room(&incident("t"), &people, "public").await.unwrap();
        assert!(
            room.degraded.iter().any(|reason| reason.contains(said)),
            "{method}: {:?}",
            room.degraded
        );
    }
}

#[tokio::test]
async fn a_stand_in_without_the_method_answers_404_and_the_room_is_degraded() {
    let bench = Bench::demo().await;
    bench
        .slack
        .handle()
        .inject(Fault::once("pins.add", FaultKind::Http { status: 404 }))
        .unwrap();
    let room = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert_eq!(room.degraded, ["the brief is not pinned: unknown_method"]);
}

#[tokio::test]
async fn members_that_cannot_be_read_leave_the_room_standing() {
    let bench = Bench::demo().await;
    let people = bench.people(&PEOPLE[..2]).await;
    let down = Fault {
        times: 9,
        ..Fault::once("conversations.members", FaultKind::Http { status: 500 })
    };
    bench.slack.handle().inject(down).unwrap();
    let room = bench.room(&incident("t"), &people, "public").await.unwrap();
    assert_eq!(room.degraded, ["who is in the room could not be seen: HTTP 500"]);
    assert_eq!(messages(&bench.channel(&room)).len(), 1);
}

#[tokio::test]
async fn an_archived_room_of_ours_is_opened_again() {
    let mut bench = Bench::demo().await;
    let room = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    let url = format!("{}/conversations.archive", bench.slack.api_url());
    let connection = bench.connections.clone();
    assert_eq!(connection.secrets().len(), 1);
    let client = node::egress::Egress::to(&url).client().unwrap();
    let answer: Value = client
        .post(url)
        .bearer_auth(connection.secrets()[0].expose())
        .form(&[("channel", room.outputs["room"]["channel"].as_str().unwrap())])
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["ok"], json!(true), "{answer}");
    bench.attempt = 2;
    // A bot may be refused here: the room then gets the next name, and says why.
    let kind = FaultKind::Error {
        code: "not_in_channel".to_owned(),
        effect: false,
    };
    bench
        .slack
        .handle()
        .inject(Fault::once("conversations.unarchive", kind))
        .unwrap();
    let next = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert_eq!(
        next.outputs["room"]["name"],
        json!(format!("{}-2", actions_name()))
    );
    let text = block_text(&messages(&bench.channel(&next))[0]);
    assert!(text.contains("archived, and stays so (not_in_channel)"), "{text}");
    let again = bench.room(&incident("t"), &json!([]), "public").await.unwrap();
    assert_eq!(again.outputs["room"]["channel"], room.outputs["room"]["channel"]);
    assert_eq!(bench.channel(&again)["is_archived"], json!(false));
}
