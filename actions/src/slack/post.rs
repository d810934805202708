//! `slack/post`: one reply in the room's thread, made once.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Object, Signature, Trust, Type, WarRoom};

use super::{
    client::Slack,
    content::{self, Content, message_type},
    escape,
    message::{Mark, Place},
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
    #[serde(flatten)]
    content: Content,
    key: Option<String>,
}

#[async_trait]
impl Action for Post {
    fn signature(&self) -> Signature {
        let mut signature = Signature {
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
        };
        signature
            .params
            .extend(content::params().map(|(name, param)| (name.to_owned(), param)));
        signature
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        let room = params.room.clone();
        let key = key(context, params.key.as_deref());
        let (text, pages) = params.content.render(&context.run);
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
