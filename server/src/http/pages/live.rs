//! `GET /live`: a stream that says when something changed, so that a page is fetched anew. It carries no content of its own: what a
//! page shows is made in one place. `Last-Event-ID`, or `after`, is a cursor of the server-wide stream.

use std::time::Duration;

use axum::{
    Extension,
    extract::{Query, State},
    http::HeaderMap,
    response::{Response, sse::Event},
};
use futures::{Stream, StreamExt, future::ready, stream::BoxStream};
use proto::v1::{self, event_service_server::EventService};
use serde::Deserialize;
use tokio::sync::watch;

use super::{
    Ask,
    refusal::Refusal,
    streams::{self, Streams},
};
use crate::{Core, api};

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
    /// How often the agents had changed when the page was made; empty where their changes do not matter.
    agents: String,
}

/// Where a page that is made now hears of changes from now on.
pub(super) fn with_agents(core: &Core) -> String {
    let known = core.agents.changed().borrow().to_string();
    address(core, &[("agents", &known)])
}

/// The same, without the agents.
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
    Extension(places): Extension<Streams>,
    ask: Ask,
    Query(what): Query<What>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let cursor = last.map_or(what.after, str::to_owned);
    let one = |id: String| if id.is_empty() { Vec::new() } else { vec![id] };
    let request = v1::SubscribeRequest {
        cursor,
        run_ids: one(what.run),
        incident_ids: one(what.incident),
        ..v1::SubscribeRequest::default()
    };
    let place = places.place().map_err(|status| Refusal::new(&core, status))?;
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
        futures::stream::select(changes, agents(&core, what.agents.parse().ok()).map(Some))
            .take_while(|event| ready(event.is_some()))
            .filter_map(ready)
            .boxed()
    };
    Ok(streams::respond(all, place))
}

/// That the agents are another number of changes on than the page knows, at most once in a while.
fn agents(core: &Core, known: Option<u64>) -> impl Stream<Item = Event> + Send + 'static + use<> {
    let mut changed: watch::Receiver<u64> = core.agents.changed();
    if known == Some(*changed.borrow_and_update()) {
        changed.mark_unchanged();
    } else {
        changed.mark_changed();
    }
    futures::stream::unfold(changed, |mut changed| async move {
        changed.changed().await.ok()?;
        tokio::time::sleep(AGENTS).await;
        // Whoever fetches the page now sees what changed meanwhile, too.
        changed.mark_unchanged();
        Some((Event::default().event("change").data("agents"), changed))
    })
}
