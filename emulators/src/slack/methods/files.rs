//! Files: `files.getUploadURLExternal` and `files.completeUploadExternal`. The bytes go to the address between them
//! (`upload`), without a token.

use serde_json::Value;

use super::{
    super::{
        errors::{Code, Failure},
        mentions::{Audience, BareNames},
        state::{Content, File, Message},
        views,
    },
    Answer, Call, answer,
};

/// Characters of the comment that brings a file.
const COMMENT_CHARS: usize = 40_000;

/// An address for the bytes of one file.
pub(super) fn address(call: &mut Call<'_>) -> Answer {
    let name = call
        .args
        .text("filename")
        .ok_or(Failure::from(Code::MissingArgument))?;
    let length = call.args.text("length").and_then(|length| length.parse().ok());
    let length: usize = length.filter(|length| *length > 0).ok_or(Code::MissingArgument)?;
    let place = call.ws.files.len();
    let id = format!("F08EMU{place:05}");
    let ticket = format!("{id}-{}", call.now);
    let url = format!("http://{}/upload/v1/{ticket}", call.host);
    let file = File {
        id: id.clone(),
        ticket,
        name: name.clone().into_owned(),
        title: name.into_owned(),
        length,
        bytes: None,
        created: call.now,
        complete: false,
    };
    call.ws.files.push(file);
    answer([("upload_url", url.into()), ("file_id", id.into())])
}

/// Completes uploads and shares them in a channel, as one message.
pub(super) fn complete(call: &mut Call<'_>) -> Answer {
    let wanted = wanted(call)?;
    for (id, _) in &wanted {
        let file = call.ws.files.iter().find(|file| file.id == *id);
        if file.is_none_or(|file| file.bytes.is_none() || file.complete) {
            return Err(Code::FileNotFound.into());
        }
    }
    let place = place(call)?;
    for (id, title) in &wanted {
        if let Some(file) = call.ws.files.iter_mut().find(|file| file.id == *id) {
            file.complete = true;
            if let Some(title) = title {
                file.title.clone_from(title);
            }
        }
    }
    if let Some((place, thread)) = place {
        let text = call.args.text("initial_comment").unwrap_or_default();
        let text: String = text.chars().take(COMMENT_CHARS).collect();
        let audience = Audience::of(&text, &[], &[], BareNames::Inert, call.ws);
        let content = Content {
            text,
            audience,
            ..Content::default()
        };
        let mut message = Message::new(call.ws.bot.user.clone(), content);
        message.thread = thread;
        message.files = wanted.iter().map(|(id, _)| id.clone()).collect();
        call.ws.channels[place].push(call.now, message);
    }
    let shown = |id: &String| call.ws.files.iter().find(|file| file.id == *id);
    let files = wanted.iter().filter_map(|(id, _)| shown(id));
    let files: Value = files.map(|file| views::file(file, call.ws)).collect();
    answer([("files", files)])
}

/// The ids with their titles.
fn wanted(call: &Call<'_>) -> Result<Vec<(String, Option<String>)>, Failure> {
    let given = call.args.json("files").map_err(|_| Code::InvalidArguments)?;
    let given = given.ok_or(Failure::from(Code::InvalidArguments))?;
    let list = given.as_array().filter(|list| !list.is_empty());
    let list = list.ok_or(Failure::from(Code::InvalidArguments))?;
    list.iter()
        .map(|one| {
            let id = one["id"].as_str().ok_or(Failure::from(Code::InvalidArguments))?;
            Ok((id.to_owned(), one["title"].as_str().map(str::to_owned)))
        })
        .collect()
}

/// Where it is shared: the channel's place, and the parent of the thread; none for a private file.
fn place(call: &Call<'_>) -> Result<Option<(usize, Option<super::super::ids::Ts>)>, Failure> {
    let Some(id) = call.args.text("channel_id") else {
        return Ok(None);
    };
    let place = call.ws.visible(&id).ok_or(Failure::from(Code::ChannelNotFound))?;
    let channel = &call.ws.channels[place];
    if !channel.has(&call.ws.bot.user) {
        return Err(Code::NotInChannel.into());
    }
    if channel.is_archived {
        return Err(Code::PostingToChannelDenied.into());
    }
    if call.args.text("thread_ts").is_none() {
        return Ok(Some((place, None)));
    }
    let parent = channel
        .message(call.ts("thread_ts")?)
        .filter(|one| one.thread.is_none());
    let parent = parent.ok_or(Failure::from(Code::InvalidArguments))?;
    Ok(Some((place, Some(parent.ts))))
}
