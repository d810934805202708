//! `slack/update-message`: says something else in a message that we posted. A second time changes nothing more.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use types::{Effect, Object, Signature, Trust, Type};

use super::{
    client::{Repeat, Slack},
    content::{self, Content, message_type},
    error::SlackError,
};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, output, read, required, scopes, signature},
};

pub(crate) struct UpdateMessage;

#[derive(Deserialize)]
struct Params {
    message: Message,
    #[serde(flatten)]
    content: Content,
}

#[derive(Deserialize)]
struct Message {
    channel: String,
    ts: String,
}

#[async_trait]
impl Action for UpdateMessage {
    fn signature(&self) -> Signature {
        let mut signature = Signature {
            effect: Effect::Writes,
            connection: Some("slack".to_owned()),
            scopes: scopes(&["chat:write"]),
            timeout_ms: 60_000,
            ..signature(
                "slack/update-message",
                "Replaces what a message of ours says; its thread, its pin and its place stay.",
                [(
                    "message",
                    required(
                        message_type(),
                        Trust::Trusted,
                        "SLACK_UPDATE: what slack/post gave as `message`.",
                    ),
                )],
                [
                    (
                        "message",
                        gives(message_type(), Trust::Trusted, "SLACK_UPDATE: the same message."),
                    ),
                    (
                        "whole",
                        gives(
                            Type::Bool,
                            Trust::Trusted,
                            "Whether all of it fits one message; the rest is counted in it.",
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
        let Params { message, content } = read(params)?;
        let (text, pages) = content.render(&context.run);
        let whole = pages.clone().messages(2).len() < 2;
        let Some(blocks) = pages.messages(1).pop() else {
            return Err(ActionError::action(
                "there is nothing to say: give text, findings, items or an investigation",
            ));
        };
        let body = json!({"channel": message.channel, "ts": message.ts, "text": text, "blocks": blocks});
        // The same words once more are the same message: Slack keeps metadata that is not given.
        let sent = Slack::of(context)?
            .write("chat.update", Repeat::Safe, &body)
            .await;
        let reply = sent.map_err(|error| refused(&error).unwrap_or_else(|| error.into()))?;
        let ts = reply.text(&["ts"]).unwrap_or(&message.ts);
        let mut degraded = Vec::new();
        if !whole {
            degraded.push("what goes beyond one message is not shown in it".to_owned());
        }
        let message = json!({"channel": message.channel, "ts": ts});
        Ok(output([("message", message), ("whole", json!(whole))], degraded))
    }
}

/// What Slack's code means here, where it alone does not say it.
fn refused(error: &SlackError) -> Option<ActionError> {
    let words = match error.code()? {
        "cant_update_message" => "the message is not one that this Slack app posted",
        "edit_window_closed" => "the workspace's settings allow no change of a message that old",
        "message_not_found" => "the message is gone",
        "is_archived" => "the channel is archived",
        _ => return None,
    };
    Some(ActionError::action(format!("{error}: {words}")))
}
