//! `GET /live`: a stream that says when something changed, so that a page is fetched anew. It carries no content of its own: what a
//! page shows is made in one place. `Last-Event-ID`, or `after`, is a cursor of the server-wide stream.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Query, State},
    http::HeaderMap,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt, future::ready, stream::BoxStream};
use proto::v1::{self, event_service_server::EventService};
use serde::Deserialize;
use tokio::sync::watch;

use super::{Ask, refusal::Refusal};
use crate::{Core, api};

/// A comment is sent when nothing else is, so that proxies and browsers see that the stream lives.
const ALIVE: Duration = Duration::from_secs(15);
/// The agents are looked at this often at most: each heartbeat changes them.
const AGENTS: Duration = Duration::from_secs(2);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct What {
    /// Of the last event that the page knows.
    after: String,
    /// Only of this incident and its runs.
    incident: String,
    /// Only of this run.
    run: String,
    /// Whether changes of agents count, too.
    agents: String,
}

/// Where a page that is made now hears of changes from now on.
pub(super) fn address(core: &Core, filters: &[(&str, &str)]) -> String {
    let after = core.store.committed().borrow().to_string();
    let mut query = format!("/live?after={after}");
    for (name, value) in filters {
        let value: String = ::pages::encode(value);
        query.push_str(&format!("&{name}={value}"));
    }
    query
}

pub(super) async fn stream(
    State(core): State<Core>,
    ask: Ask,
    Query(what): Query<What>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let cursor = last.map_or(what.after, str::to_owned);
    let one = |id: String| if id.is_empty() { Vec::new() } else { vec![id] };
    let request = v1::SubscribeRequest {
        // Of a server without any event; it is before the first.
        from_start: cursor == "0",
        cursor: if cursor == "0" { String::new() } else { cursor },
        run_ids: one(what.run),
        incident_ids: one(what.incident),
        ..v1::SubscribeRequest::default()
    };
    let events = api::events(&core).subscribe(ask.request(request)).await;
    let events = events.map_err(|status| Refusal::new(&core, status))?.into_inner();
    // The stream ends where its source does: the browser comes again with the last id.
    let changes = events
        .take_while(|event| ready(event.is_ok()))
        .filter_map(|event| ready(event.ok()))
        .map(|event| Event::default().event("change").id(event.cursor).data(event.kind));
    let all: BoxStream<'static, Event> = if what.agents.is_empty() {
        changes.boxed()
    } else {
        let changes = changes.map(Some).chain(futures::stream::once(async { None }));
        futures::stream::select(changes, agents(&core).map(Some))
            .take_while(|event| ready(event.is_some()))
            .filter_map(ready)
            .boxed()
    };
    let all = all.map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(ALIVE).text("alive");
    Ok(Sse::new(all).keep_alive(keep_alive).into_response())
}

/// Something that changed of the agents, at most once in a while.
fn agents(core: &Core) -> impl Stream<Item = Event> + Send + 'static + use<> {
    let changed: watch::Receiver<u64> = core.agents.changed();
    futures::stream::unfold(changed, |mut changed| async move {
        changed.mark_unchanged();
        changed.changed().await.ok()?;
        tokio::time::sleep(AGENTS).await;
        Some((Event::default().event("change").data("agents"), changed))
    })
}
