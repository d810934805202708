//! `chat.postMessage`, `.update`, `.postEphemeral` and `.getPermalink`.

use serde_json::Value;

use super::{
    super::{
        errors::{Code, Failure},
        ids::Ts,
        state::{Message, Subtype, Workspace},
        views::{self, Metadata},
    },
    Answer, Call, Draft, answer, draft,
};

/// Characters of `text` that `chat.update` takes; more is an error there.
const UPDATE_CHARS: usize = 4000;

/// Posts a message, or a reply when `thread_ts` names the parent.
pub(super) fn post_message(call: &mut Call<'_>) -> Answer {
    let place = postable(call)?;
    let Draft { content, truncated } = draft(call.args, call.ws)?;
    let mut message = Message::new(call.ws.bot.user.clone(), content);
    message.thread = call
        .args
        .text("thread_ts")
        .map(|text| parent(call.ws, place, &text))
        .transpose()?;
    if message.thread.is_some() && call.args.flag("reply_broadcast") {
        message.subtype = Some(Subtype::ThreadBroadcast);
    }
    message.unfurl_links = call.args.flag_or("unfurl_links", true);
    message.unfurl_media = call.args.flag_or("unfurl_media", true);
    message.username = call.args.text("username").map(|name| name.into_owned());
    let ts = call.ws.channels[place].push(call.now, message);
    let mut body = posted(call.ws, place, ts)?;
    if truncated {
        body.insert("warning".to_owned(), "message_truncated".into());
    }
    Ok(body)
}

fn posted(ws: &Workspace, place: usize, ts: Ts) -> Answer {
    let channel = &ws.channels[place];
    let message = channel.message(ts).ok_or(Failure::from(Code::MessageNotFound))?;
    answer([
        ("channel", channel.id.as_str().into()),
        ("ts", ts.to_string().into()),
        ("message", views::message(message, channel, ws, Metadata::Shown)),
    ])
}

/// The channel to post into: by id, or by name with or without `#`; a public one may be posted into from
/// outside with `chat:write.public`.
fn postable(call: &Call<'_>) -> Result<usize, Failure> {
    let wanted = call
        .args
        .text("channel")
        .ok_or(Failure::from(Code::ChannelNotFound))?;
    let place = find(call.ws, &wanted).ok_or(Failure::from(Code::ChannelNotFound))?;
    let channel = &call.ws.channels[place];
    if channel.is_archived {
        return Err(Code::IsArchived.into());
    }
    let outside = !channel.is_private && call.scopes.contains("chat:write.public");
    if channel.has(&call.ws.bot.user) || outside {
        Ok(place)
    } else {
        Err(Code::NotInChannel.into())
    }
}

/// A channel by id or by name, as `chat.postMessage` takes both.
pub(crate) fn find(ws: &Workspace, wanted: &str) -> Option<usize> {
    let name = wanted.strip_prefix('#').unwrap_or(wanted);
    let by_name = || {
        let channel = ws.channels.iter().find(|channel| channel.name == name)?;
        ws.visible(channel.id.as_str())
    };
    ws.visible(wanted).or_else(by_name)
}

/// The parent a `thread_ts` names; a reply's own `ts` is not one.
fn parent(ws: &Workspace, place: usize, text: &str) -> Result<Ts, Failure> {
    let message = Ts::parse(text).and_then(|ts| ws.channels[place].message(ts));
    match message {
        Some(message) if message.thread.is_none() && message.subtype.is_none() => Ok(message.ts),
        Some(_) => Err(Code::CannotReplyToMessage.into()),
        None => Err(Code::ThreadNotFound.into()),
    }
}

/// Changes one of the bot's own messages. `channel` must be an id; absent metadata is kept.
pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let place = call.channel()?;
    if call.ws.channels[place].is_archived {
        return Err(Code::IsArchived.into());
    }
    let ts = call.ts("ts")?;
    let text = call.args.text("text").unwrap_or_default();
    if text.chars().count() > UPDATE_CHARS {
        return Err(Code::MsgTooLong.into());
    }
    let Draft { mut content, .. } = draft(call.args, call.ws)?;
    let now = call.now;
    let bot = call.ws.bot.user.clone();
    let message = call.ws.channels[place]
        .message_mut(ts)
        .ok_or(Failure::from(Code::MessageNotFound))?;
    if message.author != bot
        || message
            .subtype
            .is_some_and(|subtype| subtype != Subtype::ThreadBroadcast)
    {
        return Err(Code::CantUpdateMessage.into());
    }
    content.metadata = content.metadata.or_else(|| message.content.metadata.take());
    message.content = content;
    message.edited = Some(now);
    let mut body = posted(call.ws, place, ts)?;
    body.insert("text".to_owned(), body["message"]["text"].clone());
    Ok(body)
}

/// Shows a message to one member; it is not part of the history.
pub(super) fn post_ephemeral(call: &mut Call<'_>) -> Answer {
    let user = call.args.required("user")?.into_owned().into();
    let (place, channel) = call.open_channel()?;
    if !channel.has(&user) {
        return Err(Code::UserNotInChannel.into());
    }
    let Draft { content, .. } = draft(call.args, call.ws)?;
    let mut message = Message::new(call.ws.bot.user.clone(), content);
    message.ts = call.now;
    call.ws.channels[place].ephemerals.push((user, message));
    answer([("message_ts", call.now.to_string().into())])
}

/// The address of a message in the workspace.
pub(super) fn permalink(call: &mut Call<'_>) -> Answer {
    let place = call.channel()?;
    let ts = call.ts("message_ts")?;
    let channel = &call.ws.channels[place];
    let message = channel.message(ts).ok_or(Failure::from(Code::MessageNotFound))?;
    let digits = ts.to_string().replace('.', "");
    let base = format!(
        "https://{}.slack.com/archives/{}/p{digits}",
        call.ws.team.domain, channel.id
    );
    let link = match message.thread {
        Some(parent) => format!("{base}?thread_ts={parent}&cid={}", channel.id),
        None => base,
    };
    answer([
        ("permalink", Value::from(link)),
        ("channel", channel.id.as_str().into()),
    ])
}
