//! Getting people into the channel, and seeing who is in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use types::{Invitation, Match, Person};

use super::{
    client::{Repeat, Slack},
    error::{Kind, SlackError},
    identity::Identity,
};

/// Users in one call: the reference says 100, older prose 1,000.
const BATCH: usize = 100;
/// Pages of members, of 500.
const PAGES: usize = 40;

/// What became of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Invited {
    pub(crate) people: Vec<Invitation>,
    pub(crate) degraded: Vec<String>,
}

/// Those who are to be invited, each once. Likeness alone opens no private room.
fn wanted<'a>(people: &'a [Person], private: bool, us: &Identity) -> Vec<(&'a str, &'a str)> {
    let mut seen = BTreeSet::new();
    let invitable = |person: &&Person| match person.matched {
        Match::Id | Match::Email | Match::DisplayName | Match::Username => true,
        Match::Fuzzy => !private,
        Match::Ambiguous | Match::Missing => false,
    };
    people
        .iter()
        .filter(invitable)
        .filter_map(|person| {
            Some((
                person.user_id.as_deref()?,
                person.name.as_deref().unwrap_or(&person.query),
            ))
        })
        .filter(|(id, _)| *id != us.user_id && seen.insert(*id))
        .collect()
}

impl Slack<'_> {
    /// Invites in batches with `force`, then compares with the members.
    pub(crate) async fn invite(
        &self,
        channel: &str,
        private: bool,
        people: &[Person],
        us: &Identity,
    ) -> Result<Invited, SlackError> {
        let wanted = wanted(people, private, us);
        if wanted.is_empty() {
            return Ok(Invited::default());
        }
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        let mut degraded = Vec::new();
        for batch in wanted.chunks(BATCH) {
            let ids: Vec<&str> = batch.iter().map(|(id, _)| *id).collect();
            let body = json!({"channel": channel, "users": ids.join(","), "force": true});
            match self.write("conversations.invite", Repeat::Safe, &body).await {
                Ok(reply) => refused.extend(errors(reply.list("errors"))),
                Err(SlackError {
                    kind: Kind::Api(api), ..
                }) if api.body.contains_key("errors") => {
                    let list = api
                        .body
                        .get("errors")
                        .and_then(Value::as_array)
                        .map_or(&[][..], Vec::as_slice);
                    refused.extend(errors(list));
                }
                Err(error) if matches!(error.code(), Some("already_in_channel" | "cant_invite_self")) => {}
                Err(error) if matches!(error.kind, Kind::Api(_)) && !error.may_pass() => {
                    let why = words(error.code().unwrap_or_default());
                    refused.extend(ids.iter().map(|id| ((*id).to_owned(), why.clone())));
                    if error.is_lacking() {
                        degraded.push(format!("people cannot be invited: {}", error.why()));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let members = match self.members(channel).await {
            Ok(members) => Some(members),
            // Then Slack's own answer to the invitation has to do.
            Err(error) => {
                degraded.push(format!("who is in the room could not be seen: {}", error.why()));
                None
            }
        };
        let settle = |(id, name): &(&str, &str)| {
            let out = match &members {
                Some(members) => !members.contains(*id),
                None => refused.contains_key(*id),
            };
            let why = || {
                refused
                    .get(*id)
                    .cloned()
                    .unwrap_or_else(|| "not in the room although Slack did not refuse".to_owned())
            };
            Invitation {
                user_id: (*id).to_owned(),
                name: (*name).to_owned(),
                refused: out.then(why),
            }
        };
        Ok(Invited {
            people: wanted.iter().map(settle).collect(),
            degraded,
        })
    }

    async fn members(&self, channel: &str) -> Result<BTreeSet<String>, SlackError> {
        let mut members = BTreeSet::new();
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let mut query = vec![("channel", channel), ("limit", "500")];
            if !cursor.is_empty() {
                query.push(("cursor", &cursor));
            }
            let reply = self.read("conversations.members", &query).await?;
            members.extend(
                reply
                    .list("members")
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned),
            );
            match reply.next_cursor() {
                Some(next) if next != cursor => cursor = next,
                _ => break,
            }
        }
        Ok(members)
    }
}

/// Who was refused and why; what is no harm is left out.
fn errors(list: &[Value]) -> impl Iterator<Item = (String, String)> {
    list.iter().filter_map(|entry| {
        let user = entry.get("user")?.as_str()?;
        let code = entry.get("error").and_then(Value::as_str).unwrap_or("unknown");
        let harmless = matches!(code, "already_in_channel" | "cant_invite_self");
        (!harmless).then(|| (user.to_owned(), words(code)))
    })
}

/// The code with our words.
fn words(code: &str) -> String {
    let code: String = code
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(60)
        .collect();
    let words = match code.as_str() {
        "user_not_found" => "Slack does not know this user",
        "cant_invite" | "user_disabled" => "this account cannot be invited",
        "user_is_restricted" | "user_is_ultra_restricted" => "a guest who may not join this channel",
        "ura_max_channels" => "a single-channel guest who is in a channel already",
        "org_user_not_in_team" => "not in this workspace",
        "missing_scope" => "the Slack app may not invite",
        "is_archived" => "the channel is archived",
        "not_in_channel" => "our bot is not in the channel",
        _ => return code,
    };
    format!("{code}: {words}")
}
