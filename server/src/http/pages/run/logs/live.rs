//! `GET /runs/{id}/logs/events`: says how long a log is by now, as it grows, and that it ended. The rows are asked for by
//! number, so a reader that falls behind misses nothing and a flood costs it nothing.

use std::time::Duration;

use axum::response::{Response, sse::Event};
use futures::stream;
use serde_json::json;
use tonic::Status;

use super::{
    super::{Pairs, Path, Refusal, Room, State, streams},
    Chosen,
    index::Known,
};
use crate::{api, store::LogEnd};

/// News are told this often at most.
const PAUSE: Duration = Duration::from_millis(250);

pub(in super::super) async fn stream(
    State(room): State<Room>,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    open(&room, &id, pairs)
        .await
        .map_err(|status| room.refuse(status))
}

async fn open(room: &Room, id: &str, pairs: Pairs) -> Result<Response, Status> {
    let asked = room.asked(id, pairs)?;
    // What the reader has; a browser that reconnects asks with the address of its page again.
    let seen: u64 = asked.params.number("bytes")?.unwrap_or(0);
    let chosen = room.chosen(&asked).await?;
    let known = room.logs.known(&room.core, &chosen).await?;
    if known.end.is_end() && seen >= known.bytes {
        return Ok(streams::nothing_more());
    }
    let place = room.streams.place()?;
    let growth = Growth {
        bytes: api::log_growth(room.core.clone(), chosen.key.clone(), chosen.stream, known.bytes),
        room: room.clone(),
        chosen,
        next: Next::Tell(known),
    };
    Ok(streams::respond(stream::unfold(growth, Growth::step), place))
}

struct Growth {
    room: Room,
    chosen: Chosen,
    bytes: api::Growth,
    next: Next,
}

enum Next {
    Tell(Known),
    Wait,
    End,
    Over,
}

impl Growth {
    async fn step(mut self) -> Option<(Event, Self)> {
        loop {
            match self.next {
                Next::Over => return None,
                Next::End => {
                    self.next = Next::Over;
                    return Some((streams::end(), self));
                }
                Next::Tell(known) => {
                    self.next = if known.end.is_end() { Next::End } else { Next::Wait };
                    let data = json!({
                        "rows": known.rows,
                        "bytes": known.bytes,
                        "lost": known.lost,
                        "ended": known.end.is_end(),
                        "endUnknown": known.end == LogEnd::Unknown,
                    });
                    return Some((Event::default().event("log").data(data.to_string()), self));
                }
                Next::Wait => {
                    let grew = self.bytes.grew(PAUSE).await;
                    let known = self.room.logs.known(&self.room.core, &self.chosen).await.ok()?;
                    self.next = match grew {
                        api::Grew::More => Next::Tell(known),
                        // Nothing follows, whether or not the agent said so.
                        api::Grew::Ended if known.end.is_end() => Next::Tell(known),
                        api::Grew::Ended => Next::Tell(Known {
                            end: LogEnd::Here,
                            ..known
                        }),
                        // The reader comes again.
                        api::Grew::Unknown => return None,
                    };
                }
            }
        }
    }
}
