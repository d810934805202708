//! Who is in a channel: `conversations.join` and `conversations.invite`.

use serde_json::{Value, json};

use super::{
    super::{
        directory::Account,
        errors::{Code, Failure},
        ids::UserId,
        state::Workspace,
        views,
    },
    Answer, Call, answer,
};

/// Users in one invitation.
const MAX_USERS: usize = 100;

/// The bot enters a public channel; entering twice is a success with a warning.
pub(super) fn join(call: &mut Call<'_>) -> Answer {
    let place = call.channel()?;
    let bot = call.ws.bot.user.clone();
    let channel = &mut call.ws.channels[place];
    if channel.is_private {
        return Err(Code::MethodNotSupportedForChannelType.into());
    }
    if channel.is_archived {
        return Err(Code::IsArchived.into());
    }
    let joined = channel.join(call.now, &bot);
    let mut body = answer([("channel", views::channel(channel, &bot))])?;
    if !joined {
        body.insert("warning".to_owned(), "already_in_channel".into());
    }
    Ok(body)
}

/// Invites users by id.
///
/// One bad id refuses the whole call, unless `force` is set: then the valid ones are invited and the
/// others stand in `errors`. `ok` is then true as soon as one was invited. (The reference lists `errors`
/// beside `channel` in the success output but shows only a failed example.)
pub(super) fn invite(call: &mut Call<'_>) -> Answer {
    let (place, _) = call.open_channel()?;
    let users = call.args.text("users").ok_or(Failure::from(Code::NoUser))?;
    let mut ids: Vec<UserId> = Vec::new();
    for id in users
        .split(',')
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .map(UserId::from)
    {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.is_empty() {
        return Err(Code::NoUser.into());
    }
    if ids.len() > MAX_USERS {
        let said = format!("[ERROR] no more than {MAX_USERS} users allowed [json-pointer:/users]");
        return Err(Failure::from(Code::InvalidArguments).saying(&[said]));
    }
    let mut errors: Vec<Value> = Vec::new();
    let mut first = None;
    let mut valid = Vec::new();
    for id in ids {
        match refusal(call.ws, place, &id) {
            None => valid.push(id),
            Some(code) => {
                first.get_or_insert(code);
                errors.push(json!({ "user": id, "ok": false, "error": code.as_str() }));
            }
        }
    }
    if let Some(code) = first
        && (valid.is_empty() || !call.args.flag("force"))
    {
        return Err(Failure::from(code).with("errors", Value::Array(errors)));
    }
    let channel = &mut call.ws.channels[place];
    for id in &valid {
        channel.join(call.now, id);
    }
    let mut body = answer([("channel", views::channel(channel, &call.ws.bot.user))])?;
    if !errors.is_empty() {
        body.insert("errors".to_owned(), Value::Array(errors));
    }
    Ok(body)
}

/// Why a user cannot be invited, if so.
fn refusal(ws: &Workspace, place: usize, id: &UserId) -> Option<Code> {
    if *id == ws.bot.user {
        return Some(Code::CantInviteSelf);
    }
    let Some(user) = ws.user(id.as_str()) else {
        return Some(Code::UserNotFound);
    };
    if ws.channels[place].has(id) {
        return Some(Code::AlreadyInChannel);
    }
    match user.account {
        Account::Slackbot | Account::Deactivated => Some(Code::CantInvite),
        Account::SingleChannelGuest => {
            let placed = ws
                .channels
                .iter()
                .any(|channel| !channel.is_archived && channel.has(id));
            placed.then_some(Code::UraMaxChannels)
        }
        Account::Member | Account::Guest | Account::Bot => None,
    }
}
