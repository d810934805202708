//! `bookmarks.add` and `bookmarks.list`. Slack does not tell doubles apart; neither does the emulator.

use serde_json::{Value, json};

use super::{
    super::{
        errors::Code,
        ids::{ChannelId, Ts},
        state::Bookmark,
    },
    Answer, Call, answer,
};

/// Bookmarks in one channel.
const MAX: usize = 100;

fn view(bookmark: &Bookmark, channel: &ChannelId, rank: usize) -> Value {
    json!({
        "id": bookmark.id,
        "channel_id": channel,
        "title": bookmark.title,
        "link": bookmark.link,
        "emoji": bookmark.emoji,
        "type": "link",
        "date_created": bookmark.at.seconds(),
        "rank": rank.to_string(),
    })
}

/// The channel in `channel_id`, which the bot must be in.
fn place(call: &Call<'_>) -> Result<usize, Code> {
    let id = call.args.text("channel_id").ok_or(Code::ChannelNotFound)?;
    let place = call.ws.visible(&id).ok_or(Code::ChannelNotFound)?;
    if call.ws.channels[place].has(&call.ws.bot.user) {
        Ok(place)
    } else {
        Err(Code::NotInChannel)
    }
}

/// Adds a link to the channel's header.
pub(super) fn add(call: &mut Call<'_>) -> Answer {
    let place = place(call)?;
    let title = call.args.required("title")?.into_owned();
    if call.args.required("type")? != "link" {
        return Err(Code::InvalidBookmarkType.into());
    }
    let link = call.args.text("link").unwrap_or_default().into_owned();
    if !["http://", "https://"]
        .iter()
        .any(|scheme| link.len() > scheme.len() && link.starts_with(scheme))
    {
        return Err(Code::InvalidLink.into());
    }
    let at: Ts = call.now;
    let emoji = call.args.text("emoji").map(|emoji| emoji.into_owned());
    let channel = &mut call.ws.channels[place];
    if channel.is_archived {
        return Err(Code::IsArchived.into());
    }
    if channel.bookmarks.len() >= MAX {
        return Err(Code::TooManyBookmarks.into());
    }
    let rank = channel.bookmarks.len();
    let id = format!("Bk{}{rank:03}", channel.id.as_str().trim_start_matches('C'));
    let bookmark = Bookmark {
        id,
        title,
        link,
        emoji,
        at,
    };
    let shown = view(&bookmark, &channel.id, rank);
    channel.bookmarks.push(bookmark);
    answer([("bookmark", shown)])
}

/// The channel's bookmarks.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let place = place(call)?;
    let channel = &call.ws.channels[place];
    let all: Vec<Value> = channel
        .bookmarks
        .iter()
        .enumerate()
        .map(|(rank, one)| view(one, &channel.id, rank))
        .collect();
    answer([("bookmarks", Value::Array(all))])
}
