//! Finding or creating the channel: the name is derived from the incident, so a second try meets `name_taken` and
//! looks whose it is. Where that cannot be seen, the name counts as another's, and the step says so.

use serde_json::{Value, json};
use types::Incident;

use super::{
    channel_name,
    client::{DOUBTS, Repeat, Slack},
    error::SlackError,
    escape,
    identity::Identity,
};
use crate::ActionError;

/// Names that are tried when each belongs to another.
const NAMES: u32 = 9;
/// Pages of channels that are read.
const PAGES: usize = 60;
/// Channels of one page.
const PAGE: usize = 500;
/// Doubtful topics that are looked up and set again.
const TOPICS: u32 = 3;
/// Slack's limit of a topic.
const TOPIC: usize = 250;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    Public,
    Private,
    /// Public; private where the workspace or the token allows no public channel.
    Auto,
}

/// The channel as it stands.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) private: bool,
    /// It was there before and is ours.
    pub(crate) adopted: bool,
    topic: String,
    /// What happened on the way, for people.
    pub(crate) notes: Vec<String>,
    /// What is not as it was asked for.
    pub(crate) degraded: Vec<String>,
}

/// One channel of Slack's answer.
struct Seen {
    id: String,
    name: String,
    creator: String,
    topic: String,
    purpose: String,
    private: bool,
    archived: bool,
}

impl Seen {
    fn read(value: &Value) -> Option<Self> {
        let text = |path: &[&str]| {
            let found = path
                .iter()
                .try_fold(value, |value, key| value.get(*key))
                .and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(false);
        let seen = Self {
            id: text(&["id"]),
            name: text(&["name"]),
            creator: text(&["creator"]),
            topic: text(&["topic", "value"]),
            purpose: text(&["purpose", "value"]),
            private: flag("is_private"),
            archived: flag("is_archived"),
        };
        (!seen.id.is_empty()).then_some(seen)
    }

    /// Ours: we made it, and it carries this incident's reference, or nothing yet (the try before ended there; the
    /// name itself carries the end of the reference).
    fn is_ours(&self, us: &Identity, reference: &str) -> bool {
        let carries = |text: &str| text.contains(reference);
        let blank = self.topic.is_empty() && self.purpose.is_empty();
        let named = self.name.contains(&channel_name::short(reference));
        !us.user_id.is_empty()
            && self.creator == us.user_id
            && (carries(&self.topic) || carries(&self.purpose) || (blank && named))
    }

    fn into_channel(self, adopted: bool) -> Channel {
        Channel {
            id: self.id,
            name: self.name,
            private: self.private,
            adopted,
            topic: self.topic,
            notes: Vec::new(),
            degraded: Vec::new(),
        }
    }
}

/// What is to be told of the way to the channel.
#[derive(Default)]
struct Told {
    notes: Vec<String>,
    degraded: Vec<String>,
}

/// What looking for a channel gave.
#[derive(Default)]
struct Look {
    seen: Option<Seen>,
    /// Why it may be there although it was not seen.
    unsure: Option<String>,
}

enum Tried {
    Done(Channel),
    /// The name is another's.
    Anothers,
    /// The name is taken; why it cannot be seen whose it is.
    Unseen(String),
}

impl Slack<'_> {
    /// The incident's channel.
    pub(crate) async fn channel_of(
        &self,
        incident: &Incident,
        stem: Option<&str>,
        privacy: Privacy,
        us: &Identity,
    ) -> Result<Channel, ActionError> {
        let base = channel_name::name(stem, &incident.id, &incident.title, &incident.reference);
        let mut told = Told::default();
        let mut private = privacy == Privacy::Private;
        let mut n = 1;
        while n <= NAMES {
            let name = channel_name::nth(&base, n);
            match self
                .try_name(&name, private, &incident.reference, us, &mut told.notes)
                .await
            {
                Ok(Tried::Done(mut channel)) => {
                    channel.notes = told.notes;
                    channel.degraded = told.degraded;
                    if privacy != Privacy::Auto && channel.private != (privacy == Privacy::Private) {
                        let is = if channel.private { "private" } else { "public" };
                        channel
                            .degraded
                            .push(format!("the room was there already and is {is}"));
                    }
                    return Ok(channel);
                }
                Ok(Tried::Anothers) => {
                    told.notes
                        .push(format!("the name #{name} belongs to another channel"));
                    n += 1;
                }
                Ok(Tried::Unseen(why)) => {
                    let why = format!("whether #{name} is ours cannot be seen: conversations.list: {why}");
                    told.notes.push(why.clone());
                    told.degraded.push(why);
                    n += 1;
                }
                Err(error) if privacy == Privacy::Auto && !private && forbids_public(&error) => {
                    told.degraded.push(format!(
                        "no public channel can be created ({}): the room is private",
                        error.why()
                    ));
                    private = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(ActionError::action(format!(
            "no free name for the room: {NAMES} names from #{base} on belong to others"
        )))
    }

    async fn try_name(
        &self,
        name: &str,
        private: bool,
        reference: &str,
        us: &Identity,
        notes: &mut Vec<String>,
    ) -> Result<Tried, SlackError> {
        let body = json!({"name": name, "is_private": private});
        let mut doubts = 0;
        loop {
            let error = match self.write("conversations.create", Repeat::LookFirst, &body).await {
                Ok(reply) => match reply.body.get("channel").and_then(Seen::read) {
                    Some(seen) => return Ok(Tried::Done(seen.into_channel(false))),
                    None => return Err(odd_answer()),
                },
                Err(error) => error,
            };
            let taken = error.code() == Some("name_taken");
            // After a doubtful end the channel may be there: the next create would say name_taken, so look now.
            if !taken && !error.may_have_happened() {
                return Err(error);
            }
            if !taken && !self.pause(doubts).await {
                return Err(error);
            }
            let look = self.find_channel(name).await?;
            match look.seen {
                Some(seen) if seen.is_ours(us, reference) => return self.adopt(seen, notes).await,
                Some(_) => return Ok(Tried::Anothers),
                None if taken => {
                    // With nothing unsure it is a private channel that we are not in.
                    return Ok(look.unsure.map_or(Tried::Anothers, Tried::Unseen));
                }
                // Should it be there unseen, the next create says name_taken.
                None if doubts < DOUBTS => doubts += 1,
                None => return Err(error),
            }
        }
    }

    async fn adopt(&self, mut seen: Seen, notes: &mut Vec<String>) -> Result<Tried, SlackError> {
        if seen.archived {
            match self
                .write(
                    "conversations.unarchive",
                    Repeat::Safe,
                    &json!({"channel": seen.id}),
                )
                .await
            {
                Ok(_) => seen.archived = false,
                Err(error) if error.code() == Some("not_archived") => {}
                Err(error) if error.may_pass() => return Err(error),
                Err(error) => {
                    notes.push(format!(
                        "#{} is this incident's but archived, and stays so ({})",
                        seen.name,
                        error.why()
                    ));
                    return Ok(Tried::Anothers);
                }
            }
        }
        Ok(Tried::Done(seen.into_channel(true)))
    }

    /// A channel by its name. Private ones are seen only by their members; what the installation lacks leaves it
    /// unsure.
    async fn find_channel(&self, name: &str) -> Result<Look, SlackError> {
        let size = PAGE.to_string();
        let mut kinds = "public_channel,private_channel";
        let mut look = Look::default();
        let mut cursor = String::new();
        let mut page = 0;
        while page < PAGES {
            let mut query = vec![("types", kinds), ("exclude_archived", "false"), ("limit", &size)];
            if !cursor.is_empty() {
                query.push(("cursor", &cursor));
            }
            let reply = match self.read("conversations.list", &query).await {
                Ok(reply) => reply,
                Err(error) if error.is_lacking() => {
                    look.unsure = Some(error.why());
                    // With only one of the two scopes, each kind is asked for alone.
                    kinds = match kinds {
                        _ if error.code() != Some("missing_scope") || page > 0 => return Ok(look),
                        "public_channel,private_channel" => "private_channel",
                        "private_channel" => "public_channel",
                        _ => return Ok(look),
                    };
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut seen = reply.list("channels").iter().filter_map(Seen::read);
            look.seen = seen.find(|seen| seen.name == name);
            if look.seen.is_some() {
                return Ok(look);
            }
            match reply.next_cursor() {
                Some(next) if next != cursor => cursor = next,
                _ => return Ok(look),
            }
            page += 1;
        }
        look.unsure = Some(format!(
            "only the first {} channels were looked through",
            PAGES * PAGE
        ));
        Ok(look)
    }

    /// Sets the topic once: each call writes a line into the channel. None when all is well.
    pub(crate) async fn set_topic(&self, channel: &Channel, incident: &Incident) -> Option<String> {
        if channel.topic.contains(&incident.reference) {
            return None;
        }
        let topic = topic(incident);
        let body = json!({"channel": channel.id, "topic": topic});
        let mut tries = 0;
        loop {
            let error = match self
                .write("conversations.setTopic", Repeat::LookFirst, &body)
                .await
            {
                Ok(_) => return None,
                Err(error) => error,
            };
            if error.may_have_happened() && tries < TOPICS && self.pause(tries).await {
                tries += 1;
                let info = self.read("conversations.info", &[("channel", &channel.id)]).await;
                let there = info
                    .ok()
                    .and_then(|reply| reply.body.get("channel").and_then(Seen::read));
                if there.is_some_and(|seen| seen.topic.contains(&incident.reference)) {
                    return None;
                }
                continue;
            }
            return Some(format!("the room has no topic: {}", error.why()));
        }
    }
}

/// `severity · title · reference`, escaped, within the limit.
fn topic(incident: &Incident) -> String {
    let head = format!("{} · ", incident.severity);
    let tail = format!(
        " · {}",
        escape::escape_within(&escape::line(&incident.reference), 80)
    );
    let room = TOPIC - head.chars().count() - tail.chars().count();
    format!(
        "{head}{}{tail}",
        escape::escape_within(&escape::line(&incident.title), room)
    )
}

/// Only what creating answers tells: the same words of a look-up are about the look-up.
fn forbids_public(error: &SlackError) -> bool {
    error.method == "conversations.create"
        && matches!(
            error.code(),
            Some("restricted_action" | "missing_scope" | "cannot_create_channel" | "not_authorized")
        )
}

fn odd_answer() -> SlackError {
    let what = "the answer has no channel".to_owned();
    SlackError::new(
        "conversations.create",
        super::error::Kind::Unavailable { what, sent: true },
    )
}
