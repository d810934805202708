//! The control API under `/_emulator/`: not Slack's, but the tests' hand on the workspace.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    directory::Account,
    faults::Fault,
    ids::{Ts, UserId},
    mentions::{Audience, BareNames},
    methods::find_channel,
    names,
    server::{Shared, now},
    snapshot,
    state::{Content, Message},
};

fn refused(why: impl Into<String>) -> Response {
    (
        StatusCode::BAD_REQUEST,
        Json(json!({ "ok": false, "error": why.into() })),
    )
        .into_response()
}

/// `POST /_emulator/faults`: a [`Fault`].
pub(crate) async fn add_fault(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) -> Response {
    if let Err(why) = fault.check() {
        return refused(why);
    }
    shared.live().faults.add(fault);
    Json(json!({ "ok": true })).into_response()
}

/// `GET /_emulator/faults`: those still to come.
pub(crate) async fn faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "faults": shared.live().faults.all() }))
}

/// `DELETE /_emulator/faults`.
pub(crate) async fn clear_faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.live().faults.clear();
    Json(json!({ "ok": true }))
}

/// `GET /_emulator/state`.
pub(crate) async fn state(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(snapshot::workspace(&shared.live().ws))
}

/// `GET /_emulator/calls`.
pub(crate) async fn calls(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.live().calls.json())
}

/// A channel that somebody else opens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewChannel {
    name: String,
    /// The first human member of the directory, unless told.
    creator: Option<UserId>,
    #[serde(default)]
    is_private: bool,
    #[serde(default)]
    is_archived: bool,
    #[serde(default)]
    topic: String,
    /// Members beside the creator.
    #[serde(default)]
    members: Vec<UserId>,
}

/// `POST /_emulator/channels`.
pub(crate) async fn add_channel(State(shared): State<Arc<Shared>>, Json(new): Json<NewChannel>) -> Response {
    let mut live = shared.live();
    let ws = &mut live.ws;
    if let Err(code) = names::check(&new.name) {
        return refused(code.as_str());
    }
    if ws.name_taken(&new.name) {
        return refused("name_taken");
    }
    let first = || {
        ws.users
            .iter()
            .find(|user| user.account == Account::Member)
            .map(|user| user.id.clone())
    };
    let Some(creator) = new.creator.clone().or_else(first) else {
        return refused("the directory has no member to be the creator");
    };
    if let Some(unknown) = new
        .members
        .iter()
        .chain([&creator])
        .find(|id| ws.user(id.as_str()).is_none())
    {
        return refused(format!("no such user: {unknown}"));
    }
    let place = ws.open_channel(&new.name, new.is_private, &creator, now());
    let channel = &mut ws.channels[place];
    for member in &new.members {
        channel.join(now(), member);
    }
    channel.topic.value = new.topic;
    channel.is_archived = new.is_archived;
    Json(json!({ "ok": true, "channel": snapshot::channel(&ws.channels[place], ws) })).into_response()
}

/// A message that a person writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMessage {
    /// Id or name.
    channel: String,
    user: UserId,
    text: String,
    thread_ts: Option<String>,
}

/// `POST /_emulator/messages`.
pub(crate) async fn add_message(State(shared): State<Arc<Shared>>, Json(new): Json<NewMessage>) -> Response {
    let mut live = shared.live();
    let ws = &mut live.ws;
    if ws.user(new.user.as_str()).is_none() {
        return refused(format!("no such user: {}", new.user));
    }
    let by_name = || ws.channels.iter().position(|channel| channel.name == new.channel);
    let Some(place) = find_channel(ws, &new.channel).or_else(by_name) else {
        return refused("channel_not_found");
    };
    let thread = match new.thread_ts.as_deref().map(Ts::parse) {
        None => None,
        Some(Some(ts))
            if ws.channels[place]
                .message(ts)
                .is_some_and(|parent| parent.thread.is_none()) =>
        {
            Some(ts)
        }
        Some(_) => return refused("thread_not_found"),
    };
    let audience = Audience::of(&new.text, &[], &[], BareNames::Linked, ws);
    let content = Content {
        text: new.text,
        audience,
        ..Content::default()
    };
    let mut message = Message::new(new.user, content);
    message.thread = thread;
    let ts = ws.channels[place].push(now(), message);
    Json(json!({ "ok": true, "ts": ts.to_string() })).into_response()
}
