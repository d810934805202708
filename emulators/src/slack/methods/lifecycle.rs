//! A channel's life: `conversations.create`, `.rename`, `.archive` and `.unarchive`.

use super::{
    super::{errors::Code, names, state::Subtype, views},
    Answer, Call, answer,
};

/// Opens a channel with the bot as its only member. An archived channel's name is still taken.
pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let name = call.args.text("name").unwrap_or_default();
    names::check(&name)?;
    if call.ws.name_taken(&name) {
        return Err(Code::NameTaken.into());
    }
    let bot = call.ws.bot.user.clone();
    let place = call
        .ws
        .open_channel(&name, call.args.flag("is_private"), &bot, call.now);
    let channel = &mut call.ws.channels[place];
    channel.system(
        call.now,
        &bot,
        Subtype::ChannelJoin,
        format!("<@{bot}> has joined the channel"),
    );
    answer([("channel", views::channel(channel, &bot))])
}

/// Renames an open channel that the bot made; an archived one keeps its name.
pub(super) fn rename(call: &mut Call<'_>) -> Answer {
    let name = call.args.text("name").unwrap_or_default().into_owned();
    let place = call.channel()?;
    if call.ws.channels[place].is_archived {
        return Err(Code::IsArchived.into());
    }
    names::check(&name)?;
    let bot = call.ws.bot.user.clone();
    if !call.ws.channels[place].has(&bot) {
        return Err(Code::NotInChannel.into());
    }
    if call.ws.channels[place].creator != bot {
        return Err(Code::NotAuthorized.into());
    }
    if call.ws.channels[place].name != name {
        if call.ws.name_taken(&name) {
            return Err(Code::NameTaken.into());
        }
        let now = call.now;
        let channel = &mut call.ws.channels[place];
        let old = std::mem::replace(&mut channel.name, name.clone());
        let line = format!("<@{bot}> has renamed the channel from \"{old}\" to \"{name}\"");
        channel.previous_names.insert(0, old);
        channel.system(now, &bot, Subtype::ChannelName, line);
    }
    answer([("channel", views::channel(&call.ws.channels[place], &bot))])
}

/// Archives a channel.
pub(super) fn archive(call: &mut Call<'_>) -> Answer {
    let place = call.channel()?;
    let bot = call.ws.bot.user.clone();
    let now = call.now;
    let channel = &mut call.ws.channels[place];
    if channel.is_archived {
        return Err(Code::AlreadyArchived.into());
    }
    if channel.name == "general" {
        return Err(Code::CantArchiveGeneral.into());
    }
    if !channel.has(&bot) {
        return Err(Code::NotInChannel.into());
    }
    channel.system(
        now,
        &bot,
        Subtype::ChannelArchive,
        format!("<@{bot}> archived the channel"),
    );
    channel.is_archived = true;
    answer([])
}

/// Opens an archived channel again.
pub(super) fn unarchive(call: &mut Call<'_>) -> Answer {
    let place = call.channel()?;
    let bot = call.ws.bot.user.clone();
    let now = call.now;
    let channel = &mut call.ws.channels[place];
    if !channel.is_archived {
        return Err(Code::NotArchived.into());
    }
    channel.is_archived = false;
    channel.system(
        now,
        &bot,
        Subtype::ChannelUnarchive,
        format!("<@{bot}> un-archived the channel"),
    );
    answer([])
}
