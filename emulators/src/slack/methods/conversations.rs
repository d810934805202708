//! Reading channels: `conversations.list`, `.info` and `.members`.

use serde_json::{Value, json};

use super::{
    super::{errors::Code, ids::UserId, paging, state::Channel, views},
    Answer, Call, answer,
};

/// The channels of the asked types. The page is cut before it is filtered, so a page may be short, even
/// empty, before the end.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let types = call.args.text("types");
    let (mut public, mut private) = (types.is_none(), false);
    for kind in types
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|kind| !kind.is_empty())
    {
        match kind {
            "public_channel" => public = true,
            "private_channel" => private = true,
            "im" | "mpim" => {}
            _ => return Err(Code::InvalidTypes.into()),
        }
    }
    let size = paging::limit(call.args, 999)?.unwrap_or(100);
    let (page, next) = paging::page(&call.ws.channels, |one| one.id.as_str(), "team", call.args, size)?;
    let bot = &call.ws.bot.user;
    let hide_archived = call.args.flag("exclude_archived");
    let asked = |channel: &&Channel| {
        let kind = if channel.is_private {
            private && channel.has(bot)
        } else {
            public
        };
        kind && !(hide_archived && channel.is_archived)
    };
    let channels: Vec<Value> = page
        .iter()
        .filter(asked)
        .map(|channel| views::channel(channel, bot))
        .collect();
    answer([
        ("channels", Value::Array(channels)),
        ("response_metadata", json!({ "next_cursor": next })),
    ])
}

/// One channel.
pub(super) fn info(call: &mut Call<'_>) -> Answer {
    let place = call.channel()?;
    let mut channel = views::channel(&call.ws.channels[place], &call.ws.bot.user);
    if let (false, Value::Object(fields)) = (call.args.flag("include_num_members"), &mut channel) {
        fields.remove("num_members");
    }
    answer([("channel", channel)])
}

/// The members' ids.
pub(super) fn members(call: &mut Call<'_>) -> Answer {
    let place = call.channel()?;
    let size = paging::limit(call.args, 1000)?.unwrap_or(100);
    let members = &call.ws.channels[place].members;
    let (page, next) = paging::page(members, UserId::as_str, "user", call.args, size)?;
    answer([
        ("members", json!(page)),
        ("response_metadata", json!({ "next_cursor": next })),
    ])
}
