//! `slack/war-room`: finds or creates the incident's channel, staffs it and briefs it. Running it again changes
//! nothing that is there.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use types::{Effect, Incident, Match, Object, Person, Signature, Trust, Type, WarRoom as Room};

use super::{
    brief::Brief,
    channel::{Channel, Privacy},
    client::{Repeat, Slack},
    invite::Invited,
    message::{Mark, Place},
};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, optional, output, read, required, scopes, signature},
};

/// Messages of one brief: the first and its spill in the thread.
const MESSAGES: usize = 4;

pub(crate) struct WarRoom;

#[derive(Deserialize)]
struct Params {
    incident: Incident,
    people: Vec<Person>,
    privacy: String,
    name: Option<String>,
}

#[async_trait]
impl Action for WarRoom {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Writes,
            connection: Some("slack".to_owned()),
            scopes: scopes(&["chat:write", "channels:manage|groups:write"]),
            optional_scopes: scopes(&[
                "channels:read",
                "groups:read",
                "channels:history",
                "groups:history",
                "pins:write",
            ]),
            timeout_ms: 120_000,
            ..signature(
                "slack/war-room",
                "Finds or creates the incident's channel, sets the topic, invites, posts the brief once and pins it.",
                [
                    (
                        "incident",
                        required(
                            Incident::ty(),
                            Trust::Untrusted,
                            "INCIDENT_DATA. The name is made of it by a slug.",
                        ),
                    ),
                    (
                        "people",
                        optional(
                            Type::list(Person::ty()),
                            Trust::Trusted,
                            Some(json!([])),
                            "Whom to invite: slack/resolve-users.",
                        ),
                    ),
                    (
                        "privacy",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            Some(json!("auto")),
                            "public, private, or auto: public, and private where no public channel can be created.",
                        ),
                    ),
                    (
                        "name",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            None,
                            "The name's stem, instead of inc-{id}-{title}.",
                        ),
                    ),
                ],
                [(
                    "room",
                    gives(
                        Room::ty(),
                        Trust::Trusted,
                        "WAR_ROOM: channel, brief, who is in and who is not.",
                    ),
                )],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let Params {
            incident,
            people,
            privacy,
            name,
        } = read(params)?;
        let privacy = match privacy.as_str() {
            "public" => Privacy::Public,
            "private" => Privacy::Private,
            "auto" => Privacy::Auto,
            _ => return Err(ActionError::action("privacy: expected public, private or auto")),
        };
        let slack = Slack::of(context)?;
        let us = slack.identity().await?;
        let mut channel = slack.channel_of(&incident, name.as_deref(), privacy, &us).await?;
        let mut degraded = std::mem::take(&mut channel.degraded);
        let (topic, invited) = tokio::join!(
            slack.set_topic(&channel, &incident),
            slack.invite(&channel.id, channel.private, &people, &us)
        );
        let invited = invited?;
        degraded.extend(topic);
        degraded.extend(reasons(&people, &invited, channel.private));
        let brief = Brief {
            incident: &incident,
            people: &people,
            invited: &invited.people,
            private: channel.private,
            notes: &channel.notes,
            run: context.run.as_str(),
        };
        let message_ts = post(&slack, &channel, &brief, &mut degraded).await?;
        let (link, pin) = tokio::join!(
            slack.permalink(&channel.id, &message_ts),
            pin(&slack, &channel.id, &message_ts)
        );
        degraded.extend(pin);
        let link = link.unwrap_or_else(|why| {
            degraded.push(why);
            None
        });
        let room = Room {
            channel: channel.id,
            name: channel.name,
            private: channel.private,
            adopted: channel.adopted,
            message_ts,
            link,
            invited: invited.people,
        };
        Ok(output([("room", args::json(&room)?)], degraded))
    }
}

/// The brief, and in its thread what did not fit. Each has its own mark, so that none is posted twice.
async fn post(
    slack: &Slack<'_>,
    channel: &Channel,
    brief: &Brief<'_>,
    degraded: &mut Vec<String>,
) -> Result<String, ActionError> {
    let look = channel.adopted || slack.context.attempt > 1;
    let text = brief.text();
    let mut first: Option<String> = None;
    for (n, blocks) in brief.pages().messages(MESSAGES).iter().enumerate() {
        let mark = Mark {
            incident: Some(brief.incident.reference.clone()),
            run: brief.run.to_owned(),
            key: if n == 0 {
                "brief".to_owned()
            } else {
                format!("brief-{}", n + 1)
            },
        };
        let place = Place {
            channel: &channel.id,
            thread: first.as_deref(),
        };
        let posted = slack.post_once(place, &mark, &text, blocks, look).await?;
        degraded.extend(posted.doubt);
        // The brief of an earlier run stands whole: its spill is in its thread already, or is looked for there.
        first.get_or_insert(posted.ts);
    }
    first.ok_or_else(|| ActionError::internal("the brief is empty"))
}

async fn pin(slack: &Slack<'_>, channel: &str, ts: &str) -> Option<String> {
    let body = json!({"channel": channel, "timestamp": ts});
    match slack.write("pins.add", Repeat::Safe, &body).await {
        Ok(_) => None,
        Err(error) if error.code() == Some("already_pinned") => None,
        Err(error) => Some(format!("the brief is not pinned: {}", error.why())),
    }
}

/// Why not everybody who was found is in.
fn reasons(people: &[Person], invited: &Invited, private: bool) -> Vec<String> {
    let mut reasons = invited.degraded.clone();
    let out: Vec<String> = invited
        .people
        .iter()
        .filter_map(|invitation| Some(format!("{} ({})", invitation.name, invitation.refused.as_ref()?)))
        .collect();
    let total = invited.people.len();
    if !out.is_empty() {
        let verb = if out.len() == 1 { "is" } else { "are" };
        reasons.push(format!(
            "{} of {total} people {verb} not in the room: {}",
            out.len(),
            out.join(", ")
        ));
    }
    let likely: Vec<&str> = people
        .iter()
        .filter(|person| private && person.matched == Match::Fuzzy)
        .map(|person| person.query.as_str())
        .collect();
    if !likely.is_empty() {
        let were = if likely.len() == 1 { "was" } else { "were" };
        reasons.push(format!(
            "{} found only by likeness {were} not invited to the private room: {}",
            likely.len(),
            likely.join(", ")
        ));
    }
    reasons
}
