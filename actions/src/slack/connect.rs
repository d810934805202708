//! `slack/connect`: proves the token and says who we are and what we may do. The token itself is no output.

use async_trait::async_trait;
use serde_json::json;
use types::{Effect, Object, Signature, Trust, Type};

use super::client::Slack;
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, output, scopes, signature},
};

/// What the core path needs: one of each line.
const CORE: &[(&[&str], &str)] = &[
    (&["chat:write"], "to post"),
    (&["channels:manage", "groups:write"], "to create a room"),
    (&["users:read"], "to find people"),
    (&["users:read.email"], "to find people by e-mail"),
    (
        &["channels:history", "groups:history"],
        "to see after a failure whether a message was posted",
    ),
    (
        &["channels:read", "groups:read"],
        "to find a room that is already there",
    ),
];

pub(crate) struct Connect;

fn connection_type() -> Type {
    Type::record(
        "slack_connection",
        [
            ("team", Type::String),
            ("team_id", Type::String),
            ("url", Type::String),
            ("bot_user_id", Type::String),
            ("bot_name", Type::String),
            ("scopes", Type::list(Type::String)),
            ("missing", Type::list(Type::String)),
        ],
    )
}

#[async_trait]
impl Action for Connect {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Reads,
            connection: Some("slack".to_owned()),
            optional_scopes: scopes(&[
                "chat:write",
                "channels:manage",
                "groups:write",
                "users:read",
                "users:read.email",
                "channels:read",
                "groups:read",
                "channels:history",
                "groups:history",
            ]),
            ..signature(
                "slack/connect",
                "Proves the agent's Slack token; tells the team, the bot and the granted scopes.",
                [],
                [(
                    "connection",
                    gives(
                        connection_type(),
                        Trust::Trusted,
                        "Who we are and what we may do.",
                    ),
                )],
            )
        }
    }

    async fn run(&self, context: &ActionContext, _: Object) -> Result<ActionOutput, ActionError> {
        let identity = Slack::of(context)?.identify().await?;
        let mut degraded = Vec::new();
        let mut missing = Vec::new();
        match &identity.scopes {
            None => degraded.push("Slack did not say which scopes the token has".to_owned()),
            Some(granted) => {
                for (any, purpose) in CORE {
                    if !any.iter().any(|scope| granted.iter().any(|have| have == scope)) {
                        missing.push(any[0].to_owned());
                        degraded.push(format!(
                            "the Slack app lacks the scope {} ({purpose})",
                            any.join(" or ")
                        ));
                    }
                }
            }
        }
        let connection = json!({
            "team": identity.team, "team_id": identity.team_id, "url": identity.url, "bot_user_id": identity.user_id,
            "bot_name": identity.user, "scopes": identity.scopes.clone().unwrap_or_default(), "missing": missing,
        });
        Ok(output([("connection", connection)], degraded))
    }
}
