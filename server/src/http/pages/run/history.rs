//! `GET /runs/{id}/history` and `GET /runs/{id}/history.json`.

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use serde_json::Value;
use tonic::Status;
use types::RunId;

use super::{Pairs, Path, Refusal, Room, State, answer, told, view};
use crate::{
    Core,
    api::errors,
    store::{self, StoredEvent, StreamId},
};
use ::pages::run::{Entry, History, pretty};

/// Events read at once.
const PAGE: u32 = 256;
/// Events that are looked through for one page; behind them its link goes on.
const LOOKED_THROUGH: u64 = 20_000;
/// Bytes of a body that are shown.
const BODY_BYTES: usize = 32 * 1024;
/// What kinds begin with.
const FAMILIES: &[&str] = &["run.*", "step.*", "item.*", "attempt.*", "report.*"];

pub(super) async fn page(
    State(room): State<Room>,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let page = load(&room, &id, pairs).await;
    page.map(|page| answer(&page))
        .map_err(|status| room.refuse(status))
}

async fn load(room: &Room, id: &str, pairs: Pairs) -> Result<History, Status> {
    let asked = room.asked(id, pairs)?;
    let kind = asked.params.text("kind")?.to_owned();
    let step = asked.params.text("step")?.to_owned();
    let after = asked.params.number("after")?.unwrap_or(0);
    let mut head = room.look(&asked.id, view::head).await?;
    room.kept(&mut head).await?;
    let (entries, next) = entries(&room.core, &asked.id, after, &kind, &step).await?;
    Ok(History {
        shell: room.shell(&head, "history"),
        head,
        entries,
        kind,
        step,
        after,
        next,
        families: FAMILIES,
    })
}

/// The events of a page, and after which seq the next one goes on.
async fn entries(
    core: &Core,
    run: &RunId,
    after: u64,
    kind: &str,
    step: &str,
) -> Result<(Vec<Entry>, Option<u64>), Status> {
    let mut entries = Vec::new();
    let mut at = after;
    loop {
        let events = core.store.events(&StreamId::Run(run.clone()), at, PAGE).await;
        let events = events.map_err(|error| errors::store_status(&error))?;
        let full = store::is_cut(&events, PAGE);
        for stored in events {
            if entries.len() == History::PAGE {
                return Ok((entries, Some(at)));
            }
            at = stored.seq;
            entries.extend(entry(&stored, kind, step));
        }
        if !full {
            return Ok((entries, None));
        }
        if at - after >= LOOKED_THROUGH {
            return Ok((entries, Some(at)));
        }
    }
}

fn entry(stored: &StoredEvent, kind: &str, step: &str) -> Option<Entry> {
    let fits = match kind.strip_suffix('*') {
        Some(family) => stored.kind.starts_with(family),
        None => kind.is_empty() || stored.kind == kind,
    };
    // What cannot be read is shown as it is stored.
    let body: Value = fits.then(|| serde_json::from_str(&stored.body).unwrap_or(Value::Null))?;
    let (own, about) = told::about(&body);
    if !step.is_empty() && own != step {
        return None;
    }
    let mut shown = pretty(&stored.body);
    let end = shown.floor_char_boundary(BODY_BYTES.min(shown.len()));
    let cut = shown.len() - end;
    shown.truncate(end);
    Some(Entry {
        seq: stored.seq,
        at_ms: stored.at.unix_ms(),
        kind: stored.kind.clone(),
        about,
        step: own,
        told: told::told(&body),
        body: shown,
        cut,
    })
}

/// The whole history, an event a line, as it is stored.
pub(super) async fn download(
    State(room): State<Room>,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let begin = async {
        let asked = room.asked(&id, pairs)?;
        room.look(&asked.id, |_| ()).await?;
        Ok(asked.id)
    };
    let run: RunId = begin.await.map_err(|status| room.refuse(status))?;
    let name = format!("attachment; filename=\"{run}.history.jsonl\"");
    let lines = lines(room.core, run);
    let headers = [
        (
            header::CONTENT_TYPE,
            "application/jsonl; charset=utf-8".to_owned(),
        ),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

fn lines(core: Core, run: RunId) -> impl futures::Stream<Item = Result<String, std::io::Error>> {
    stream::unfold(Some(0), move |after| {
        let (core, run) = (core.clone(), run.clone());
        async move {
            let after = after?;
            match core.store.events(&StreamId::Run(run), after, PAGE).await {
                // A download that breaks off is seen to; one that ends early is not.
                Err(error) => Some((Err(std::io::Error::other(error)), None)),
                Ok(events) => {
                    let last = events.last()?.seq;
                    Some((Ok(events.iter().map(line).collect()), Some(last)))
                }
            }
        }
    })
    .boxed()
}

fn line(event: &StoredEvent) -> String {
    let line = serde_json::json!({
        "seq": event.seq,
        "at_ms": event.at.unix_ms(),
        "kind": event.kind,
        "version": event.version,
        "body": stored(&event.body),
    });
    format!("{line}\n")
}

/// An event's body; one that is no JSON as the text that is stored.
pub(super) fn stored(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()))
}
