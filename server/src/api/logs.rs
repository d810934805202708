//! Logs from agents: fenced by the lease's token, written in order, acknowledged by offset.

use std::{collections::HashMap, time::Duration};

use futures::{FutureExt, stream::BoxStream};
use proto::v1;
use tokio_stream::StreamExt;
use tonic::{Status, Streaming};
use types::{AttemptKey, LeaseToken, limits};

use super::{
    convert,
    stream::{Out, answer},
};
use crate::{
    Core,
    runs::RunError,
    store::{LogEnd, LogPiece, StoreError},
};

/// Chunks that are written together.
const TOGETHER: usize = 64;
/// How long a little waits for more, so that steps that say a line each share a flush. Nobody waits for it but a reader
/// who follows.
const GATHER: Duration = Duration::from_millis(40);
/// With this many bytes nothing more is waited for: far less than an agent sends ahead of its acknowledgements.
const ENOUGH: usize = 128 * 1024;
/// Fences remembered by one stream.
const FENCES: usize = 4_096;
/// How long a store that cannot write is left alone before the stream ends.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers with the stream at once.
pub(super) fn receive(
    core: Core,
    chunks: Streaming<v1::LogChunk>,
) -> BoxStream<'static, Result<v1::LogAck, Status>> {
    answer(TOGETHER, |out| async move {
        let mut intake = Intake {
            core,
            fences: HashMap::new(),
        };
        let ended = intake.run(chunks, &out).await;
        if let Err(status) = &ended {
            tracing::debug!(%status, "a stream of logs ended");
        }
        ended
    })
}

/// An attempt, and the services of its step.
#[derive(Debug, Clone)]
struct Whose {
    key: AttemptKey,
    services: Vec<String>,
}

struct Intake {
    core: Core,
    /// Tokens that were checked, with whose they are.
    fences: HashMap<LeaseToken, Whose>,
}

impl Intake {
    async fn run(
        &mut self,
        mut chunks: Streaming<v1::LogChunk>,
        out: &Out<v1::LogAck>,
    ) -> Result<(), Status> {
        loop {
            let first = tokio::select! {
                chunk = chunks.next() => chunk,
                () = self.core.shutdown.cancelled() => return Err(super::errors::stopping()),
            };
            let Some(first) = first else { return Ok(()) };
            let first = first?;
            let mut bytes = first.data.len();
            let mut batch = vec![first];
            let gathered = tokio::time::Instant::now() + GATHER;
            while batch.len() < TOGETHER {
                let next = if bytes >= ENOUGH {
                    chunks.next().now_or_never()
                } else {
                    tokio::time::timeout_at(gathered, chunks.next()).await.ok()
                };
                let Some(Some(chunk)) = next else { break };
                let chunk = chunk?;
                bytes += chunk.data.len();
                batch.push(chunk);
            }
            self.write(batch, out).await?;
        }
    }

    async fn write(&mut self, batch: Vec<v1::LogChunk>, out: &Out<v1::LogAck>) -> Result<(), Status> {
        let mut pieces = Vec::with_capacity(batch.len());
        let mut acks = Vec::with_capacity(batch.len());
        for chunk in batch {
            let token: LeaseToken = convert::id(&chunk.token, "token")?;
            let mut ack = v1::LogAck {
                token: token.to_string(),
                stream: chunk.stream,
                service: chunk.service.clone(),
                ..v1::LogAck::default()
            };
            match self.fence(&token, &chunk).await? {
                Ok(whose) => match convert::service(&whose.services, &chunk.service) {
                    Ok(service) => {
                        pieces.push(piece(whose.key, service, chunk)?);
                        acks.push(ack);
                    }
                    Err(why) => return Err(super::errors::invalid("service", why)),
                },
                Err(why) => {
                    ack.refused = why;
                    out.send(ack).await?;
                }
            }
        }
        if pieces.is_empty() {
            return Ok(());
        }
        let (bytes, lost) = (
            pieces.iter().map(|piece| piece.data.len()).sum(),
            pieces.iter().map(|piece| piece.lost).sum(),
        );
        let offsets = match self.core.store.write_logs(pieces).await {
            Ok(offsets) => {
                self.core.meter.logged(bytes, lost);
                offsets
            }
            Err(error) => {
                tokio::time::sleep(PAUSE).await;
                return Err(super::errors::store_status(&error));
            }
        };
        for (mut ack, offset) in acks.into_iter().zip(offsets) {
            ack.offset = offset;
            out.send(ack).await?;
        }
        Ok(())
    }

    /// Whether the token is (or was, to its end) the attempt's own.
    async fn fence(
        &mut self,
        token: &LeaseToken,
        chunk: &v1::LogChunk,
    ) -> Result<Result<Whose, String>, Status> {
        if let Some(whose) = self.fences.get(token) {
            return Ok(Ok(whose.clone()));
        }
        let (run, at) = convert::attempt(chunk.attempt.clone())?;
        let whose = |state: &engine::Run| {
            let own = state
                .attempt(&at)
                .and_then(|attempt| attempt.life.lease())
                .is_some_and(|lease| lease.token == *token);
            own.then(|| Whose {
                key: convert::key(&run, &at),
                services: convert::services(state, &at.step),
            })
        };
        let whose = match self.core.runs.look_caught(&run, whose).await {
            Ok(Some(Some(whose))) => whose,
            Ok(Some(None)) => return Ok(Err("the token is not the attempt's".to_owned())),
            Ok(None) => return Ok(Err("there is no such run".to_owned())),
            Err(error @ (RunError::Store(StoreError::Corrupt(_)) | RunError::GivenUp(_))) => {
                tracing::error!(%run, %error, "logs of a run that cannot be read");
                return Ok(Err("the run cannot be read by this server".to_owned()));
            }
            Err(error) => return Err(super::errors::run_status(&error)),
        };
        if self.fences.len() >= FENCES {
            self.fences.clear();
        }
        self.fences.insert(token.clone(), whose.clone());
        Ok(Ok(whose))
    }
}

fn piece(attempt: AttemptKey, service: Option<u8>, chunk: v1::LogChunk) -> Result<LogPiece, Status> {
    if chunk.data.len() > limits::LOG_CHUNK_BYTES {
        return Err(super::errors::invalid(
            "data",
            format_args!("a chunk has at most {} bytes", limits::LOG_CHUNK_BYTES),
        ));
    }
    let stream = convert::log_stream(chunk.stream, service)?;
    Ok(LogPiece {
        attempt,
        stream,
        offset: chunk.offset,
        data: chunk.data,
        lost: chunk.lost,
        end: LogEnd::told(chunk.end, chunk.end_unknown),
    })
}
