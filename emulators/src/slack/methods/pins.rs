//! `pins.add` and `pins.list`.

use serde_json::{Value, json};

use super::{
    super::{
        errors::Code,
        state::Pin,
        views::{self, Metadata},
    },
    Answer, Call, answer,
};

/// Pins in one channel.
const MAX: usize = 100;

/// Pins a message.
pub(super) fn add(call: &mut Call<'_>) -> Answer {
    if call.args.text("timestamp").is_none() {
        return Err(Code::NoItemSpecified.into());
    }
    let (now, bot, ts) = (call.now, call.ws.bot.user.clone(), call.ts("timestamp"));
    let (_, channel) = call.open_channel()?;
    let ts = ts?;
    if channel.message(ts).is_none() {
        return Err(Code::MessageNotFound.into());
    }
    if channel.pins.iter().any(|pin| pin.ts == ts) {
        return Err(Code::AlreadyPinned.into());
    }
    if channel.pins.len() >= MAX {
        return Err(Code::TooManyPins.into());
    }
    channel.pins.push(Pin { ts, by: bot, at: now });
    answer([])
}

/// A channel's pins.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let place = call.channel()?;
    let channel = &call.ws.channels[place];
    if !channel.has(&call.ws.bot.user) {
        return Err(Code::NotInChannel.into());
    }
    let items: Vec<Value> = channel
        .pins
        .iter()
        .filter_map(|pin| {
            let message = channel.message(pin.ts)?;
            Some(json!({
                "type": "message",
                "channel": channel.id,
                "created": pin.at.seconds(),
                "created_by": pin.by,
                "message": views::message(message, channel, call.ws, Metadata::Hidden),
            }))
        })
        .collect();
    answer([("items", Value::Array(items))])
}
