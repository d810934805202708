//! `slack/archive`: closes the incident's channel. What is archived already stays so.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use types::{Effect, Object, Signature, Trust, Type, WarRoom};

use super::{
    client::{Repeat, Slack},
    error::SlackError,
};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, output, read, required, scopes, signature},
};

pub(crate) struct Archive;

#[derive(Deserialize)]
struct Params {
    room: WarRoom,
}

#[async_trait]
impl Action for Archive {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Writes,
            connection: Some("slack".to_owned()),
            scopes: scopes(&["channels:manage|groups:write"]),
            ..signature(
                "slack/archive",
                "Archives the room: its history stays readable, nobody can write in it. The name stays taken.",
                [("room", required(WarRoom::ty(), Trust::Trusted, "WAR_ROOM."))],
                [(
                    "already",
                    gives(Type::Bool, Trust::Trusted, "Whether it was archived before."),
                )],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let Params { room } = read(params)?;
        let body = json!({"channel": room.channel});
        let sent = Slack::of(context)?
            .write("conversations.archive", Repeat::Safe, &body)
            .await;
        let already = match sent {
            Ok(_) => false,
            Err(error) if error.code() == Some("already_archived") => true,
            Err(error) => return Err(refused(&error, &room.name).unwrap_or_else(|| error.into())),
        };
        Ok(output([("already", json!(already))], Vec::new()))
    }
}

/// What Slack's code means here, where it alone does not say it.
fn refused(error: &SlackError, name: &str) -> Option<ActionError> {
    let words = match error.code()? {
        "not_in_channel" => format!("our bot is not in #{name}: invite it there"),
        "cant_archive_general" => format!("#{name} is the workspace's general channel"),
        "channel_not_found" => format!("#{name} is gone, or private and without our bot"),
        _ => return None,
    };
    Some(ActionError::action(format!("{error}: {words}")))
}
