//! `IncidentService.Watch`: an incident's events and those of its runs in commit order, then live, without a gap.

use std::collections::BTreeSet;

use futures::stream::BoxStream;
use proto::v1;
use tonic::Status;
use types::{IncidentId, RunId};

use super::{
    convert, errors, store_status,
    stream::{Out, answer},
};
use crate::{
    Core,
    store::{self, StoredEvent, StreamId},
};

/// Messages that wait for a reader.
const AHEAD: usize = 64;
/// Events read at once.
const PAGE: u32 = 256;

pub(super) async fn call(
    core: &Core,
    request: &v1::WatchIncidentRequest,
) -> Result<BoxStream<'static, Result<v1::Event, Status>>, Status> {
    let id: IncidentId = convert::id(&request.incident_id, "incident_id")?;
    let head = core
        .store
        .incident(&id)
        .await
        .map_err(|error| store_status(&error))?;
    let head = head.ok_or_else(|| errors::no_incident(&id))?;
    let after = match request.cursor.as_str() {
        "" => {
            let stream = StreamId::Incident(id.clone());
            let first = core.store.events(&stream, 0, 1).await;
            let first = first.map_err(|error| store_status(&error))?;
            first.first().map_or(0, |event| event.cursor - 1)
        }
        text => {
            let newest = *core.store.committed().borrow();
            super::events::cursor(text, newest)?
        }
    };
    // Those that join later are told by the incident's own events, which stand before theirs in the same commit.
    let runs = head.runs.into_iter().collect();
    let core = core.clone();
    Ok(answer(AHEAD, move |out| async move {
        send(&core, &id, runs, after, &out).await
    }))
}

async fn send(
    core: &Core,
    id: &IncidentId,
    mut runs: BTreeSet<RunId>,
    mut after: u64,
    out: &Out<v1::Event>,
) -> Result<(), Status> {
    let mut committed = core.store.committed();
    // The last that the reader got, or where it began.
    let mut got = after;
    loop {
        // Marked before the read: what is committed after it wakes us again.
        committed.mark_unchanged();
        loop {
            let page = core.store.events_after(after, PAGE).await;
            let page = page.map_err(|error| store_status(&error))?;
            let full = store::is_cut(&page, PAGE);
            for stored in page {
                after = stored.cursor;
                let message = match &stored.stream {
                    StreamId::Incident(of) if of == id => {
                        runs.extend(joins(&stored));
                        event(id, None, stored)
                    }
                    StreamId::Run(run) if runs.contains(run) => {
                        let run = run.clone();
                        event(id, Some(&run), stored)
                    }
                    StreamId::Incident(_) | StreamId::Run(_) => continue,
                };
                out.send(message)
                    .await
                    .map_err(|gone| gone.after("cursor", got))?;
                got = after;
            }
            if !full {
                break;
            }
        }
        tokio::select! {
            changed = committed.changed() => {
                if changed.is_err() {
                    return Err(errors::stopping_after("cursor", got));
                }
            }
            () = out.closed() => return Ok(()),
            () = core.shutdown.cancelled() => {
                return Err(errors::stopping_after("cursor", got));
            }
        }
    }
}

/// The run that an event of the incident says to have started.
fn joins(stored: &StoredEvent) -> Option<RunId> {
    if stored.kind != "run_started" {
        return None;
    }
    let body: serde_json::Value = serde_json::from_str(&stored.body).ok()?;
    body.get("run")?.as_str()?.parse().ok()
}

fn event(id: &IncidentId, run: Option<&RunId>, stored: StoredEvent) -> v1::Event {
    v1::Event {
        run_id: run.map(ToString::to_string).unwrap_or_default(),
        seq: stored.seq,
        cursor: stored.cursor.to_string(),
        at_ms: stored.at.unix_ms(),
        kind: stored.kind,
        version: stored.version,
        body_json: stored.body,
        incident_id: id.to_string(),
    }
}
