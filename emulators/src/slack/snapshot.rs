//! The control API's view of the workspace, which tests, the page and the terminal renderer read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    mentions::{Audience, Mention},
    mrkdwn::{self, Entity, Span},
    state::{Channel, Message, Workspace},
    views::{self, Email, Metadata},
};

/// The whole workspace.
pub(crate) fn workspace(ws: &Workspace) -> Value {
    let users: Vec<Value> = ws
        .users
        .iter()
        .map(|user| views::user(user, &ws.team.id, Email::Shown))
        .collect();
    let groups: Vec<Value> = ws
        .groups
        .iter()
        .map(|group| json!({ "id": group.id, "handle": group.handle, "name": group.name, "users": group.users }))
        .collect();
    let channels: Vec<Value> = ws.channels.iter().map(|one| channel(one, ws)).collect();
    json!({
        "team": { "id": ws.team.id, "name": ws.team.name, "domain": ws.team.domain },
        "bot": { "user_id": ws.bot.user, "bot_id": ws.bot.bot_id },
        "users": users,
        "usergroups": groups,
        "channels": channels,
    })
}

/// One channel, self-contained: `people` names every id that occurs in it.
pub(crate) fn channel(channel: &Channel, ws: &Workspace) -> Value {
    let mut out = views::channel(channel, &ws.bot.user);
    let messages: Vec<Value> = channel
        .messages
        .iter()
        .filter(|one| one.thread.is_none())
        .map(|parent| {
            let mut out = message(parent, channel, ws);
            out["replies"] = channel
                .replies(parent.ts)
                .map(|reply| message(reply, channel, ws))
                .collect();
            out
        })
        .collect();
    out["members"] = json!(channel.members);
    out["pins"] = channel
        .pins
        .iter()
        .map(|pin| Value::from(pin.ts.to_string()))
        .collect();
    out["bookmarks"] = channel
        .bookmarks
        .iter()
        .map(|mark| json!({ "id": mark.id, "title": mark.title, "link": mark.link }))
        .collect();
    out["ephemerals"] = channel
        .ephemerals
        .iter()
        .map(|(user, ephemeral)| json!({ "user": user, "text": ephemeral.content.text }))
        .collect();
    out["messages"] = Value::Array(messages);
    out["people"] = people(channel, ws);
    out
}

fn message(message: &Message, channel: &Channel, ws: &Workspace) -> Value {
    let audience = &message.content.audience;
    let mut out = views::message(message, channel, ws, Metadata::Shown);
    for (shown, id) in out["files"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .zip(&message.files)
    {
        let file = ws.files.iter().find(|file| file.id == *id);
        let bytes = file.and_then(|file| file.bytes.as_deref()).unwrap_or_default();
        shown["content"] = String::from_utf8_lossy(bytes).into();
    }
    out["mentions"] = audience
        .mentions
        .iter()
        .map(|mention| Value::from(mention.label()))
        .collect();
    out["notified"] = json!(audience.notified(ws));
    out["notified_users"] = json!(audience.people(&channel.members, ws));
    out["links"] = audience.links_json();
    out["pinned"] = channel.pins.iter().any(|pin| pin.ts == message.ts).into();
    out["unfurl_links"] = message.unfurl_links.into();
    out["unfurl_media"] = message.unfurl_media.into();
    out
}

/// Names of the members, of the authors, and of everything mentioned.
fn people(channel: &Channel, ws: &Workspace) -> Value {
    let mut names = BTreeMap::new();
    let mut add = |id: &str| {
        if let Some(name) = ws.name_of(id) {
            names.insert(id.to_owned(), name.to_owned());
        }
    };
    channel.members.iter().for_each(|id| add(id.as_str()));
    add(channel.creator.as_str());
    for message in &channel.messages {
        add(message.author.as_str());
        mentioned(&message.content.audience, &mut add);
        channels(&message.content.text, &mut add);
    }
    json!(names)
}

fn mentioned(audience: &Audience, add: &mut impl FnMut(&str)) {
    for mention in &audience.mentions {
        if let Mention::User(id) | Mention::Group(id) = mention {
            add(id);
        }
    }
}

fn channels(text: &str, add: &mut impl FnMut(&str)) {
    for span in mrkdwn::spans(text) {
        if let Span::Entity(Entity::Channel { id, .. } | Entity::User { id, .. }) = span {
            add(id);
        }
    }
}
