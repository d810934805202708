//! `GET /runs/{id}/logs.txt`: a log as it is, from an offset on.

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use tonic::Status;

use super::{
    super::{Pairs, Path, Refusal, Room, State},
    Chosen,
};
use crate::{Core, store::LogEnd};
use ::pages::run::END_UNKNOWN;

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

pub(in super::super) async fn download(
    State(room): State<Room>,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let begin = async {
        let asked = room.asked(&id, pairs)?;
        let offset: u64 = asked.params.number("offset")?.unwrap_or(0);
        Ok::<_, Status>((room.chosen(&asked).await?, offset))
    };
    let (chosen, offset) = begin.await.map_err(|status| room.refuse(status))?;
    let stream = chosen.address.stream.replace(':', ".");
    let name = format!("{}.{stream}.txt", chosen.key.name());
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok((headers, Body::from_stream(bytes(room.core, chosen, offset))).into_response())
}

fn bytes(
    core: Core,
    chosen: Chosen,
    offset: u64,
) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> + Send {
    stream::unfold(
        (core, chosen, Some(offset)),
        |(core, chosen, offset)| async move {
            let offset = offset?;
            let pieces = match core
                .store
                .read_log(&chosen.key, chosen.stream, offset, READ_BYTES)
                .await
            {
                Ok(pieces) => pieces,
                // A download that breaks off is seen to; one that ends early is not.
                Err(error) => return Some((Err(std::io::Error::other(error)), (core, chosen, None))),
            };
            let ended = pieces.last().is_none_or(|piece| piece.end.is_end());
            let next = pieces.last().map(|piece| piece.offset + piece.data.len() as u64);
            let mut all = Vec::new();
            for piece in pieces {
                if piece.lost > 0 {
                    all.extend(format!("\n[firehall: {} bytes lost here]\n", piece.lost).into_bytes());
                }
                all.extend(piece.data);
                if piece.end == LogEnd::Unknown {
                    all.extend(format!("\n[firehall: {END_UNKNOWN}]\n").into_bytes());
                }
            }
            let next = next.filter(|_| !ended);
            Some((Ok(Bytes::from(all)), (core, chosen, next)))
        },
    )
    .boxed()
}
