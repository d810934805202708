//! `conversations.setTopic` and `.setPurpose`: each call writes a line into the channel.

use super::{
    super::{
        errors::Code,
        state::{Note, Subtype},
        views,
    },
    Answer, Call, answer,
};

/// Longest topic or purpose, in characters.
const MAX_CHARS: usize = 250;

fn text(call: &Call<'_>, key: &str) -> Result<String, Code> {
    let text = call.args.text(key).unwrap_or_default().into_owned();
    if text.chars().count() > MAX_CHARS {
        Err(Code::TooLong)
    } else {
        Ok(text)
    }
}

/// Sets the topic.
pub(super) fn set_topic(call: &mut Call<'_>) -> Answer {
    let value = text(call, "topic")?;
    let (now, bot) = (call.now, call.ws.bot.user.clone());
    let (_, channel) = call.open_channel()?;
    channel.topic = Note {
        value: value.clone(),
        creator: Some(bot.clone()),
        last_set: now.seconds(),
    };
    channel.system(
        now,
        &bot,
        Subtype::ChannelTopic,
        format!("<@{bot}> set the channel topic: {value}"),
    );
    answer([("channel", views::channel(channel, &bot))])
}

/// Sets the purpose.
pub(super) fn set_purpose(call: &mut Call<'_>) -> Answer {
    let value = text(call, "purpose")?;
    let (now, bot) = (call.now, call.ws.bot.user.clone());
    let (_, channel) = call.open_channel()?;
    channel.purpose = Note {
        value: value.clone(),
        creator: Some(bot.clone()),
        last_set: now.seconds(),
    };
    channel.system(
        now,
        &bot,
        Subtype::ChannelPurpose,
        format!("<@{bot}> set the channel purpose: {value}"),
    );
    answer([
        ("purpose", value.into()),
        ("channel", views::channel(channel, &bot)),
    ])
}
