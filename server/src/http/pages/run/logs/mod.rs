//! `GET /runs/{id}/logs` and what its script asks for: rows by number, a search, the news of a log that grows, and all of it
//! as it is.

mod chosen;
mod download;
mod index;
mod live;

use axum::{
    Json,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;
use tonic::Status;

use self::chosen::{Chosen, Pick, pick};
pub(super) use self::{download::download, index::Logs, live::stream};
use super::{Pairs, Path, Refusal, Room, State, answer, view};
use crate::{api::errors, store::LogEnd};
use ::pages::{
    log::{Row, Rows},
    run::{Line, Log, NoLog, lines},
};

/// Rows of one answer.
const ROWS: usize = 2_048;
/// Bytes of text of one answer, about.
const BYTES: usize = 2 * 1024 * 1024;
/// Characters of a text that is searched for.
const WANTED_CHARS: usize = 200;
/// Rows that a search names.
const FOUND: usize = 10_000;

pub(super) async fn page(
    State(room): State<Room>,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    show(&room, &id, pairs)
        .await
        .map_err(|status| room.refuse(status))
}

async fn show(room: &Room, id: &str, pairs: Pairs) -> Result<Response, Status> {
    let asked = room.asked(id, pairs)?;
    if asked.params.text("step")?.is_empty() {
        let (head, picked) = room.look(&asked.id, |run| (view::head(run), pick(run))).await?;
        return Ok(match picked {
            Pick::Log(query) => Redirect::to(&format!("{}/logs?{query}", head.base())).into_response(),
            Pick::None => answer(&NoLog {
                shell: room.shell(&head, "logs"),
                head,
            }),
        });
    }
    let from: Option<u64> = asked.params.number("from")?;
    if from == Some(0) {
        return Err(errors::invalid("from", "lines are counted from 1"));
    }
    let chosen = room.chosen(&asked).await?;
    let known = room.logs.known(&room.core, &chosen).await?;
    let first = match from {
        Some(from) => from - 1,
        None => known.rows.saturating_sub(Log::LINES),
    };
    let shown = rows_from(room, &chosen, first, Log::LINES as usize).await?;
    let lines = shown
        .into_iter()
        .zip(first + 1..)
        .map(|(row, number)| Line { number, row });
    let Chosen {
        head,
        address,
        state,
        agent,
        streams,
        tries,
        ..
    } = chosen;
    let mut shell = room.shell(&head, &format!("log of {}", address.step));
    // Its script follows the log itself.
    shell.live = None;
    Ok(answer(&Log {
        shell,
        head,
        address,
        state,
        agent,
        streams,
        tries,
        lines: lines.collect(),
        rows: known.rows,
        bytes: known.bytes,
        lost: known.lost,
        ended: known.end.is_end(),
        end_unknown: known.end == LogEnd::Unknown,
    }))
}

/// `…/logs/rows?from=N&count=M`: rows from a number on, counted from 0; fewer than asked for where they are long.
pub(super) async fn rows(
    State(room): State<Room>,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let found = async {
        let asked = room.asked(&id, pairs)?;
        let from: u64 = asked.params.number("from")?.unwrap_or(0);
        let count: usize = asked.params.number("count")?.unwrap_or(512);
        if count > ROWS {
            return Err(errors::invalid("count", format_args!("at most {ROWS}")));
        }
        let chosen = room.chosen(&asked).await?;
        let known = room.logs.known(&room.core, &chosen).await?;
        let rows = rows_from(&room, &chosen, from, count).await?;
        Ok(Json(json!({
            "from": from,
            "lines": lines(&rows),
            "rows": known.rows,
            "bytes": known.bytes,
            "ended": known.end.is_end(),
            "endUnknown": known.end == LogEnd::Unknown,
        })))
    };
    found
        .await
        .map(IntoResponse::into_response)
        .map_err(|status| room.refuse(status))
}

async fn rows_from(room: &Room, chosen: &Chosen, from: u64, count: usize) -> Result<Vec<Row>, Status> {
    let mark = room.logs.mark(&room.core, chosen, from).await?;
    let mut rows = Rows::new(mark, from, count, BYTES);
    chosen
        .read(&room.core, mark.offset, |piece| rows.feed(piece))
        .await?;
    Ok(rows.finish())
}

/// `…/logs/search?q=…`: the rows that hold a text, counted from 0.
pub(super) async fn search(
    State(room): State<Room>,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let found = async {
        let asked = room.asked(&id, pairs)?;
        let q = asked.params.text("q")?;
        if q.is_empty() || q.chars().count() > WANTED_CHARS {
            return Err(errors::invalid(
                "q",
                format_args!("1 to {WANTED_CHARS} characters"),
            ));
        }
        let chosen = room.chosen(&asked).await?;
        let (rows, count) = room.logs.search(&room.core, &chosen, q, FOUND).await?;
        Ok(Json(json!({ "rows": rows, "count": count })))
    };
    found
        .await
        .map(IntoResponse::into_response)
        .map_err(|status| room.refuse(status))
}
