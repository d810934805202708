//! `slack/post`: one reply in the room's thread, made once.

use async_trait::async_trait;
use incident::{Investigation, from_items, not_measured};
use serde::Deserialize;
use serde_json::{Value, json};
use types::{CheckItem, Effect, Finding, Object, Signature, Trust, Type, WarRoom};

use super::{
    client::Slack,
    escape,
    message::{Mark, Place},
    pages::Pages,
    render,
};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, may_give, optional, output, read, required, scopes, signature},
};

/// Messages of one reply, when it is long.
const MESSAGES: usize = 4;

pub(crate) struct Post;

#[derive(Deserialize)]
struct Params {
    room: WarRoom,
    text: Option<String>,
    findings: Vec<Finding>,
    items: Vec<CheckItem>,
    investigation: Option<Investigation>,
    key: Option<String>,
}

fn message_type() -> Type {
    Type::record(
        "message",
        [
            ("channel", Type::String),
            ("ts", Type::String),
            ("link?", Type::String),
        ],
    )
}

#[async_trait]
impl Action for Post {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Writes,
            connection: Some("slack".to_owned()),
            scopes: scopes(&["chat:write"]),
            optional_scopes: scopes(&["channels:history", "groups:history"]),
            timeout_ms: 60_000,
            ..signature(
                "slack/post",
                "Replies in the room's thread, once: text, findings, items of checks, or an investigation.",
                [
                    ("room", required(WarRoom::ty(), Trust::Trusted, "WAR_ROOM.")),
                    (
                        "text",
                        optional(
                            Type::String,
                            Trust::Untrusted,
                            None,
                            "Shown as it is: no mention and no layout is read in it.",
                        ),
                    ),
                    (
                        "findings",
                        optional(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            Some(json!([])),
                            "Findings, each with its evidence.",
                        ),
                    ),
                    (
                        "items",
                        optional(
                            Type::Json,
                            Trust::Untrusted,
                            Some(json!([])),
                            "Items of a fan-out whose output is `checks`.",
                        ),
                    ),
                    (
                        "investigation",
                        optional(Investigation::ty(), Trust::Untrusted, None, "INVESTIGATION."),
                    ),
                    (
                        "key",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            None,
                            "Tells two messages of one step apart: each key is posted once a run.",
                        ),
                    ),
                ],
                [
                    (
                        "message",
                        may_give(
                            message_type(),
                            Trust::Trusted,
                            "SLACK_UPDATE: the reply; absent when there was nothing to say.",
                        ),
                    ),
                    (
                        "posted",
                        gives(
                            Type::Int,
                            Trust::Trusted,
                            "Messages that stand in the thread for it.",
                        ),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        let room = params.room.clone();
        let key = key(context, params.key.as_deref());
        let (text, pages) = content(context, params);
        let messages = pages.messages(MESSAGES);
        if messages.is_empty() {
            return Ok(output(
                [("posted", json!(0))],
                vec!["there was nothing to post".to_owned()],
            ));
        }
        let slack = Slack::of(context)?;
        let mut degraded = Vec::new();
        let mut first = None;
        let total = messages.len();
        for (n, blocks) in messages.iter().enumerate() {
            let key = if n == 0 {
                key.clone()
            } else {
                format!("{key}-{}", n + 1)
            };
            let mark = Mark {
                incident: None,
                run: context.run.to_string(),
                key,
            };
            let place = Place {
                channel: &room.channel,
                thread: Some(&room.message_ts),
            };
            let posted = slack
                .post_once(place, &mark, &text, blocks, context.attempt > 1)
                .await?;
            degraded.extend(posted.doubt);
            first.get_or_insert(posted.ts);
        }
        let message = match first {
            Some(ts) => json!({"channel": room.channel, "ts": ts}),
            None => Value::Null,
        };
        Ok(output([("message", message), ("posted", json!(total))], degraded))
    }
}

/// The step and item, and what the workflow adds.
fn key(context: &ActionContext, suffix: Option<&str>) -> String {
    let index = context
        .index
        .map(|index| format!("[{index}]"))
        .unwrap_or_default();
    let suffix = suffix
        .map(|suffix| format!(":{}", escape::cut(&escape::line(suffix), 100)))
        .unwrap_or_default();
    format!("{}{index}{suffix}", context.step)
}

/// The notification's text and the blocks.
fn content(context: &ActionContext, params: Params) -> (String, Pages) {
    let Params {
        text,
        findings: given,
        items,
        investigation,
        ..
    } = params;
    let mut pages = Pages::default();
    let mut headlines: Vec<String> = Vec::new();
    if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
        headlines.push(escape::cut(&escape::clean(&text), 1_000));
        pages.plain(&text);
    }
    let mut findings = from_items(&context.run, &items);
    findings.extend(given);
    let mut lacking: Vec<String> = not_measured(&items);
    if let Some(investigation) = investigation {
        headlines.push(investigation.conclusion.clone());
        pages.plain(&format!("Findings: {}", investigation.conclusion));
        let lines = render::digest(&investigation.findings);
        if !lines.is_empty() {
            pages.plain(&lines.join("\n"));
        }
        lacking.extend(investigation.not_measured);
        lacking.extend(
            investigation
                .not_asked
                .into_iter()
                .map(|what| format!("not asked: {what}")),
        );
    }
    if !findings.is_empty() {
        headlines.push(render::headline(&findings));
        pages.plain(&render::grouped(&findings).join("\n"));
    }
    if !lacking.is_empty() {
        headlines.push(format!("{} not measured", lacking.len()));
        let lines: Vec<String> = lacking
            .iter()
            .map(|what| format!("❔ not measured · {}", escape::line(what)))
            .collect();
        pages.plain(&lines.join("\n"));
    }
    (
        escape::escape_within(&escape::line(&headlines.join(" · ")), 3_000),
        pages,
    )
}
