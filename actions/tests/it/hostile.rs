//! Text that wants to be more than data, in every field.

use serde_json::json;

use crate::bench::{Bench, REFERENCE, block_text, incident, messages};

const EVIL: [&str; 12] = [
    "<!channel>",
    "<!here|x>",
    "<!everyone>",
    "<@U08MARIALO1>",
    "<!subteam^S08BACKEND1>",
    "<https://evil.example|Runbook>",
    "@here @channel",
    "&lt;!channel&gt;",
    "```<!here>```",
    "\u{1b}[31mred\u{1b}[0m \u{202e}evil",
    "$(id) `id` \"'\\",
    "</script><b>x",
];

#[tokio::test]
async fn hostile_text_in_every_field_notifies_nobody() {
    for (n, evil) in EVIL.into_iter().enumerate() {
        let bench = Bench::demo().await;
        let mut hostile = incident(evil);
        hostile["id"] = json!(format!("{evil}{n}"));
        hostile["description"] = json!(evil);
        hostile["hosts"] = json!([evil, format!("a{evil}")]);
        hostile["tags"] = json!([evil, format!("host:{evil}")]);
        hostile["links"] = json!([
            {"title": evil, "url": "https://ok.example/x"}, {"title": evil, "url": format!("https://h.example/{evil}")},
            {"title": "js", "url": "javascript:alert(1)"}
        ]);
        hostile["monitor"] =
            json!({"id": evil, "name": evil, "query": evil, "threshold": evil, "value": evil});
        hostile["metrics"] = json!({"m": evil, (evil): "1"});
        hostile["notes"] = json!([evil]);
        hostile["source"] = json!(evil);
        let people = json!([
            {"query": evil, "matched": "missing", "score": 0.0, "candidates": [evil], "guest": false, "note": evil},
            {"query": evil, "matched": "ambiguous", "score": 1.0, "candidates": [evil, evil], "guest": false}
        ]);
        let room = bench.room(&hostile, &people, "public").await.unwrap();
        let run = crate::bench::run_id();
        let step = json!({"kind": "step", "run": run, "step": evil, "index": 0, "attempt": 1, "agent": "agt_00000000000000000000000000", "agent_name": evil, "output": evil});
        let finding =
            json!({"host": evil, "check": evil, "level": "critical", "summary": evil, "evidence": step});
        let query = json!({"kind": "query", "source": evil, "query": evil, "from_ms": 0, "to_ms": 60_000, "link": evil});
        let other = json!({"check": evil, "level": "normal", "summary": evil, "evidence": query});
        let item = json!({"step": "memory", "index": 0, "value": evil, "outcome": "failed", "reason": evil, "attempt": 0});
        let params = json!({"room": room.outputs["room"], "text": evil, "findings": [finding, other], "items": [item], "key": evil});
        bench.action("update", "slack/post", params).await.unwrap();
        let channel = bench.channel(&room);
        assert!(channel["topic"]["value"].as_str().unwrap().contains(REFERENCE));
        let brief = &messages(&channel)[0];
        let replies = brief["replies"].as_array().unwrap();
        assert_eq!(replies.len(), 1);
        for message in channel["messages"].as_array().unwrap().iter().chain(replies) {
            assert_eq!(message["mentions"], json!([]), "{evil}: {message}");
            assert_eq!(message["notified_users"], json!([]), "{evil}");
            for link in message["links"].as_array().into_iter().flatten() {
                let url = link["url"].as_str().unwrap();
                assert!(
                    url.starts_with("https://ok.example/") || url.starts_with("https://h.example/"),
                    "{evil}: {url}"
                );
            }
        }
        let visible: String = evil
            .chars()
            .filter(|c| !c.is_control() && *c != '\u{202e}')
            .collect();
        assert!(
            block_text(brief).contains(&visible),
            "the text itself arrives: {evil}"
        );
    }
}

#[tokio::test]
async fn a_title_of_ten_thousand_characters_arrives_whole() {
    let bench = Bench::demo().await;
    let title: String = (0..2_000).map(|n| format!("{n:04}&")).collect();
    let room = bench.room(&incident(&title), &json!([]), "public").await.unwrap();
    let channel = bench.channel(&room);
    let brief = &messages(&channel)[0];
    let mut found = String::new();
    for message in std::iter::once(brief).chain(brief["replies"].as_array().unwrap()) {
        for block in message["blocks"].as_array().unwrap() {
            if block["type"] == "section" && block["text"]["type"] == "plain_text" {
                found.push_str(block["text"]["text"].as_str().unwrap());
            }
        }
    }
    assert!(found.contains(&title));
}
