//! `conversations.history` and `conversations.replies`: the read-back.

use serde_json::{Value, json};

use super::{
    super::{
        errors::{Code, Failure},
        ids::Ts,
        paging,
        state::{Message, Subtype},
        views::{self, Metadata},
    },
    Answer, Call, answer,
};

/// The asked range of time: exclusive bounds, unless `inclusive`.
struct Range {
    oldest: Option<Ts>,
    latest: Option<Ts>,
    inclusive: bool,
}

impl Range {
    fn of(call: &Call<'_>) -> Result<Self, Failure> {
        let bound = |key: &str, code: Code| match call.args.text(key) {
            None => Ok(None),
            Some(text) => Ts::parse_bound(&text).map(Some).ok_or(Failure::from(code)),
        };
        Ok(Self {
            oldest: bound("oldest", Code::InvalidTsOldest)?,
            latest: bound("latest", Code::InvalidTsLatest)?,
            inclusive: call.args.flag("inclusive"),
        })
    }

    fn holds(&self, ts: Ts) -> bool {
        let after = self
            .oldest
            .is_none_or(|oldest| ts > oldest || (self.inclusive && ts == oldest));
        let before = self
            .latest
            .is_none_or(|latest| ts < latest || (self.inclusive && ts == latest));
        after && before
    }
}

/// The channel's messages, newest first; replies only when they were broadcast.
pub(super) fn history(call: &mut Call<'_>) -> Answer {
    let range = Range::of(call)?;
    let place = readable(call)?;
    let channel = &call.ws.channels[place];
    let shown = |message: &&Message| {
        (message.thread.is_none() || message.subtype == Some(Subtype::ThreadBroadcast))
            && range.holds(message.ts)
    };
    let messages: Vec<&Message> = channel.messages.iter().rev().filter(shown).collect();
    cut(call, place, &messages)
}

/// A thread: the parent, then its replies, oldest first.
pub(super) fn replies(call: &mut Call<'_>) -> Answer {
    let range = Range::of(call)?;
    let place = readable(call)?;
    let wanted = call.args.required("ts")?;
    let channel = &call.ws.channels[place];
    let found = Ts::parse(&wanted)
        .and_then(|ts| channel.message(ts))
        .ok_or(Failure::from(Code::ThreadNotFound))?;
    if found.thread.is_some() {
        // A reply's own ts gives that one message, as on Slack.
        return cut(call, place, &[found]);
    }
    let replies = channel.replies(found.ts).filter(|reply| range.holds(reply.ts));
    let messages: Vec<&Message> = std::iter::once(found).chain(replies).collect();
    cut(call, place, &messages)
}

fn readable(call: &Call<'_>) -> Result<usize, Failure> {
    let place = call.channel()?;
    if call.ws.channels[place].has(&call.ws.bot.user) {
        Ok(place)
    } else {
        Err(Code::NotInChannel.into())
    }
}

fn cut(call: &Call<'_>, place: usize, messages: &[&Message]) -> Answer {
    let size = paging::limit(call.args, 999)?.unwrap_or(100);
    let from = match paging::start(call.args, "next_ts")? {
        None => 0,
        Some(key) => {
            let found = messages.iter().position(|message| message.ts.to_string() == key);
            found.ok_or(Failure::from(Code::InvalidCursor))?
        }
    };
    let channel = &call.ws.channels[place];
    let until = messages.len().min(from.saturating_add(size));
    let metadata = if call.args.flag("include_all_metadata") {
        Metadata::Shown
    } else {
        Metadata::Hidden
    };
    let page: Vec<Value> = messages[from..until]
        .iter()
        .map(|message| views::message(message, channel, call.ws, metadata))
        .collect();
    let next = messages
        .get(until)
        .map(|message| paging::cursor("next_ts", &message.ts.to_string()));
    let mut body = answer([
        ("messages", Value::Array(page)),
        ("has_more", next.is_some().into()),
        ("pin_count", channel.pins.len().into()),
    ])?;
    if let Some(next) = next {
        body.insert("response_metadata".to_owned(), json!({ "next_cursor": next }));
    }
    Ok(body)
}
