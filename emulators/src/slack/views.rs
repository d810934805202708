//! The objects of the Web API's answers: user, conversation, message.

use serde_json::{Map, Value, json};

use super::{
    directory::{Account, User},
    ids::UserId,
    state::{Channel, File, Message, Note, Workspace},
};

/// Whether a user's address may be seen (`users:read.email`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Email {
    Shown,
    Hidden,
}

/// Whether a message carries its metadata (`include_all_metadata`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metadata {
    Shown,
    Hidden,
}

/// A `user` object.
pub(crate) fn user(user: &User, team: &str, email: Email) -> Value {
    let mut profile = json!({
        "title": user.title,
        "real_name": user.real_name,
        "real_name_normalized": ascii(&user.real_name),
        "display_name": user.display_name,
        "display_name_normalized": ascii(&user.display_name),
        "team": team,
    });
    if let (Email::Shown, Some(address)) = (email, &user.email) {
        profile["email"] = Value::from(address.as_str());
    }
    json!({
        "id": user.id,
        "team_id": team,
        "name": user.name,
        "real_name": user.real_name,
        "deleted": user.account == Account::Deactivated,
        "tz": user.tz,
        "profile": profile,
        "is_bot": user.account == Account::Bot,
        "is_app_user": false,
        "is_restricted": matches!(user.account, Account::Guest | Account::SingleChannelGuest),
        "is_ultra_restricted": user.account == Account::SingleChannelGuest,
        "updated": 1_763_900_000,
    })
}

/// Slack's `_normalized` names: letters with marks lose them. Only the directory's own are known here.
fn ascii(name: &str) -> String {
    let plain = |c: char| match c {
        'á' => 'a',
        'é' => 'e',
        'í' => 'i',
        'ó' | 'ö' => 'o',
        'ü' | 'ú' => 'u',
        'ñ' => 'n',
        other => other,
    };
    name.chars().map(plain).collect()
}

/// A topic or purpose object.
pub(crate) fn note(note: &Note) -> Value {
    let creator = note.creator.as_ref().map_or("", UserId::as_str);
    json!({ "value": note.value, "creator": creator, "last_set": note.last_set })
}

/// A `conversation` object.
pub(crate) fn channel(channel: &Channel, bot: &UserId) -> Value {
    json!({
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": !channel.is_private,
        "is_group": channel.is_private,
        "is_im": false,
        "is_mpim": false,
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "is_general": channel.name == "general",
        "is_member": channel.has(bot),
        "created": channel.created.seconds(),
        "creator": channel.creator,
        "topic": note(&channel.topic),
        "purpose": note(&channel.purpose),
        "previous_names": channel.previous_names,
        "num_members": channel.members.len(),
    })
}

/// A `file` object.
pub(crate) fn file(file: &File, ws: &Workspace) -> Value {
    let base = format!(
        "https://{}.slack.com/files/{}/{}",
        ws.team.domain, ws.bot.user, file.id
    );
    json!({
        "id": file.id,
        "created": file.created.seconds(),
        "timestamp": file.created.seconds(),
        "name": file.name,
        "title": file.title,
        "mimetype": "text/plain",
        "user": ws.bot.user,
        "size": file.length,
        "is_external": false,
        "permalink": format!("{base}/{}", file.name),
    })
}

/// A `message` object as the Web API gives it.
pub(crate) fn message(message: &Message, channel: &Channel, ws: &Workspace, metadata: Metadata) -> Value {
    let mut out = Map::new();
    let mut set = |key: &str, value: Value| out.insert(key.to_owned(), value);
    set("type", "message".into());
    set("ts", message.ts.to_string().into());
    set("user", message.author.as_str().into());
    set("text", message.content.text.as_str().into());
    set("team", ws.team.id.as_str().into());
    if let Some(subtype) = message.subtype {
        set("subtype", subtype.as_str().into());
    }
    if message.author == ws.bot.user && message.subtype.is_none() {
        set("bot_id", ws.bot.bot_id.as_str().into());
        set("app_id", ws.bot.app_id.as_str().into());
    }
    if let Some(username) = &message.username {
        set("username", username.as_str().into());
    }
    if !message.content.blocks.is_empty() {
        set("blocks", Value::Array(message.content.blocks.clone()));
    }
    if !message.content.attachments.is_empty() {
        set("attachments", Value::Array(message.content.attachments.clone()));
    }
    if !message.files.is_empty() {
        let shared = |id: &String| ws.files.iter().find(|file| file.id == *id);
        let files = message.files.iter().filter_map(shared).map(|one| file(one, ws));
        set("files", files.collect());
        set("upload", false.into());
    }
    if let (Metadata::Shown, Some(value)) = (metadata, &message.content.metadata) {
        set("metadata", value.clone());
    }
    if let Some(edited) = message.edited {
        set(
            "edited",
            json!({ "user": message.author, "ts": edited.to_string() }),
        );
    }
    if let Some(thread) = message.thread {
        set("thread_ts", thread.to_string().into());
        let parent = channel.message(thread).map(|parent| parent.author.to_string());
        set("parent_user_id", parent.into());
    } else if let Some(last) = channel.replies(message.ts).next_back() {
        let count = channel.replies(message.ts).count();
        let mut people: Vec<&UserId> = Vec::new();
        for reply in channel.replies(message.ts) {
            if !people.contains(&&reply.author) {
                people.push(&reply.author);
            }
        }
        set("thread_ts", message.ts.to_string().into());
        set("reply_count", count.into());
        set("reply_users_count", people.len().into());
        set("reply_users", json!(people));
        set("latest_reply", last.ts.to_string().into());
    }
    Value::Object(out)
}
