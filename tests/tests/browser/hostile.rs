//! What attackers write reaches the pages by every way there is: it is shown as text and does nothing.

use e2e::browser::passes;
use serde_json::{Value, json};

use crate::world::{World, alert, put, until};

/// Each calls `hostile` in the browser if any of it is run.
const TEXTS: [&str; 12] = [
    "<script>hostile('script')</script>",
    "<img src=x onerror=\"hostile('img')\">",
    "</title></style></textarea><svg onload=hostile('svg')>",
    "\"><a autofocus onfocus=hostile('focus') href=javascript:hostile('href')>x</a>",
    "' onmouseover='hostile(1)' x='",
    "[click](javascript:hostile('markdown)')) ![x](http://evil.example/x.png)",
    "<meta http-equiv=refresh content=\"0;url=http://evil.example/\">",
    "{{ constructor.constructor('hostile(1)')() }} ${hostile(1)} <%= 1 %>",
    "\u{202e}gnp.exe \u{2066}isolated\u{2069} \u{200b}zero",
    "\u{1b}[31mred\u{1b}[0m \u{1b}]8;;javascript:hostile('osc')\u{7}link\u{1b}]8;;\u{7} end",
    "&lt;script&gt;hostile('entity')&lt;/script&gt; &#x3c;img&#x3e;",
    "🚒🔥👩🏽‍🚒 مرحبا بالعالم שלום 日本語 Z̸̡̛a̶l̷g̴o̸",
];

/// Prints its input and more, and leaves it as an output.
const ECHOES: &str = r#"
name: echoes
on: { alert: {} }
steps:
  show:
    image: host
    env: { TEXT: "${{ trigger.alert.title }}" }
    run: |
      printf '%s\n' "$TEXT"
      printf '%s\n' "$TEXT" >&2
      printf '\033]0;title\007\033]8;;javascript:hostile(2)\007osc\033]8;;\007\033[2Jcleared\rover\bback\000nul\n'
      printf '\377\376 not UTF-8 \355\240\200\n'
      head -c 1000000 /dev/zero | tr '\0' 'W'
      printf '\n<script>hostile("log")</script>\n'
      printf '{"name":"text","value":%s}\n' "$JSON" >> "$FIREHALL_OUTPUT"
      echo "$JSON" >> "$FIREHALL_DEGRADED"
    outputs: { text: json }
"#;

#[test]
fn hostile_text_is_text_on_every_page() {
    let mut world = World::make();
    let text = TEXTS.join(" ");
    let json_text = serde_json::to_string(&text).unwrap();
    let yaml = ECHOES.replace(
        "env: { TEXT:",
        &format!(
            "env: {{ JSON: {}, TEXT:",
            serde_json::to_string(&json_text).unwrap()
        ),
    );
    put(&world.stack, "echoes.yaml", &yaml);
    let mut incidents = Vec::new();
    for title in [text.clone(), "W".repeat(100_000)] {
        let body = json!({
            "id": title.chars().take(180).collect::<String>(), "title": title, "severity": "critical",
            "description": format!("{title} nul\u{0}end"), "hosts": ["web-1", title], "tags": TEXTS.map(|one| format!("team:{one}")),
            "links": [
                { "title": title, "url": "javascript:hostile('link')" },
                { "title": title, "url": "data:text/html,<script>hostile(1)</script>" },
                { "title": "Runbook", "url": "https://evil.example/\"onclick=hostile(1)" },
                "https://user:password@evil.example/", "//evil.example/x",
            ],
        });
        incidents.push(alert(&world.stack, &body).0);
    }
    let echoes = |world: &World| {
        let runs = world.stack.json(&["runs", "-o", "json"])?;
        runs.as_array()?
            .iter()
            .filter(|run| run["workflow"] == "echoes")
            .map(|run| run["id"].as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
    };
    let runs = echoes(&world).unwrap();
    for run in &runs {
        until(&world.stack, run, "show", "degraded");
    }
    world.given["incidents"] = Value::from(incidents);
    world.given["echoes"] = Value::from(runs);
    world.given["texts"] = json!(TEXTS);
    passes(&world.stack, "hostile", &world.given);
}
