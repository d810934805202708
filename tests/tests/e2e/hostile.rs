//! Text is never code: what attackers write arrives as data, in Slack, in the terminal and in the container.

use e2e::{Stack, slack::Slack};
use serde_json::json;

use crate::incident::{messages, posted, ready, room};

const HOSTILE: [&str; 9] = [
    "it's \"quoted\" and `ticked`",
    "$(touch /tmp/owned) ${HOME} ; rm -rf /",
    "line one\nline two\r\nresult=forged",
    "\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}",
    "<!channel> <!here> <@U08MARIALO1> <https://evil.example|Runbook>",
    "<script>alert(1)</script> & \u{202e}reversed",
    "مرحبا بالعالم 🔥🚒 日本語",
    "${{ inputs.responders }} {{ secrets.x }}",
    "-n --output=/etc/passwd",
];

#[test]
fn hostile_text_arrives_in_a_container_exactly() {
    let stack = Stack::with_agent();
    let definition = r#"
name: hostile
on: { alert: {} }
steps:
  show:
    image: host
    env: { TITLE: "${{ trigger.alert.title }}" }
    run: printf '%s' "$TITLE"
"#;
    for title in HOSTILE.into_iter().map(str::to_owned).chain(["x".repeat(10_000)]) {
        let payload = stack.file("payload.json", &json!({ "title": title }).to_string());
        let run = stack.start(definition, &["--payload", &payload]);
        assert_eq!(stack.finished(&run)["outcome"], "succeeded");
        assert_eq!(String::from_utf8(stack.logs(&run, "show")).unwrap(), title);
    }
    assert!(!std::path::Path::new("/tmp/owned").exists());
}

#[test]
fn hostile_text_notifies_nobody_in_slack_and_steers_no_terminal() {
    let slack = Slack::start();
    let stack = ready(&slack);
    let title = HOSTILE.join(" ");
    let alert = json!({
        "id": title, "title": title, "severity": "critical", "description": title, "hosts": ["web-1", title],
        "tags": [title, format!("team:{title}")], "links": [{ "title": title, "url": "https://example.com/x" }],
    });
    let run = posted(&stack, &alert);
    let view = stack.finished(&run);
    assert!(
        view["outcome"] == "degraded" || view["outcome"] == "succeeded",
        "{view:#}"
    );
    let room = room(&slack);
    for message in messages(&room) {
        assert_eq!(
            message["notified"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|n| n.as_str().unwrap().starts_with('!'))
                .count(),
            0,
            "{message:#}"
        );
        let links = message["links"].to_string();
        assert!(!links.contains("evil.example"), "{links}");
    }
    assert!(
        room.to_string().contains("touch /tmp/owned"),
        "the words are there, as words"
    );
    for args in [
        vec!["show", run.as_str()],
        vec!["watch", run.as_str()],
        vec!["incidents"],
        vec!["runs"],
    ] {
        let output = stack.cli(&args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}') && !text.contains('\u{202e}'),
            "{args:?}: {text:?}"
        );
    }
    assert!(!std::path::Path::new("/tmp/owned").exists());
}
