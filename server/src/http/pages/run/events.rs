//! `GET /runs/{id}/events`: a run's history after a position, then live, without a gap. Each event has its seq as id, so a
//! browser that reconnects goes on where it was; behind the run's last event comes one of the name `end`.

use axum::{
    http::HeaderMap,
    response::{Response, sse::Event},
};
use futures::{StreamExt, future::ready, stream};
use serde_json::json;
use tonic::Status;

use super::{Pairs, Path, Refusal, Room, State, history::stored, streams};
use crate::api::{self, errors};

pub(super) async fn stream(
    State(room): State<Room>,
    Path(id): Path<String>,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    open(&room, &id, pairs, &headers)
        .await
        .map_err(|status| room.refuse(status))
}

async fn open(room: &Room, id: &str, pairs: Pairs, headers: &HeaderMap) -> Result<Response, Status> {
    let asked = room.asked(id, pairs)?;
    let after = match headers.get("last-event-id") {
        Some(last) => seq(last.to_str().unwrap_or("?"))?,
        None => asked.params.number("after")?.unwrap_or(0),
    };
    let brief = asked.params.flag("brief")?;
    let (last, ended) = room.look(&asked.id, |run| (run.seq, run.ended.is_some())).await?;
    if ended && after >= last {
        return Ok(streams::nothing_more());
    }
    let place = room.streams.place()?;
    let events = api::run_events(room.core.clone(), asked.id, after);
    // Only a whole history is followed by an end; after anything else the browser comes again.
    let mut whole = true;
    let events = events
        .map(Some)
        .chain(stream::once(ready(None)))
        .filter_map(move |event| {
            let told = match event {
                Some(Ok(event)) => Some(tell(&event, brief)),
                Some(Err(_)) => {
                    whole = false;
                    None
                }
                None => whole.then(streams::end),
            };
            ready(told)
        });
    Ok(streams::respond(events, place))
}

fn seq(text: &str) -> Result<u64, Status> {
    text.parse().map_err(|_| {
        errors::invalid(
            "Last-Event-ID",
            format_args!("{text:?} is not the id of an event of a run"),
        )
    })
}

fn tell(event: &proto::v1::Event, brief: bool) -> Event {
    let mut data = json!({
        "seq": event.seq,
        "at_ms": event.at_ms,
        "kind": event.kind,
        "version": event.version,
    });
    if !brief {
        data["body"] = stored(&event.body_json);
    }
    Event::default().id(event.seq.to_string()).data(data.to_string())
}
