//! Which log is meant.

use engine::{At, Run};
use tonic::Status;
use types::{AttemptKey, AttemptReport};

use super::super::{Asked, Room, view};
use crate::{
    Core,
    api::{convert, errors},
    store::{LogEnd, LogStream},
};
use ::pages::{
    log::Piece,
    run::{Head, LogAddress, Other},
};

/// Bytes of a log read at once.
const READ_BYTES: usize = 1024 * 1024;
/// Tries of a step that are offered to go to.
const TRIES: usize = 12;

/// A log that exists.
pub(in super::super) struct Chosen {
    pub(super) key: AttemptKey,
    pub(super) stream: LogStream,
    pub(super) head: Head,
    pub(super) address: LogAddress,
    pub(super) state: String,
    pub(super) agent: String,
    pub(super) streams: Vec<Other>,
    pub(super) tries: Vec<Other>,
}

impl Room {
    /// The log that `step`, `index`, `attempt` (0 or absent: the newest) and `stream` name.
    pub(super) async fn chosen(&self, asked: &Asked) -> Result<Chosen, Status> {
        let stream = asked.params.text("stream")?;
        let step = asked.params.text("step")?;
        let (index, attempt) = (
            asked.params.number("index")?,
            asked.params.number("attempt")?.unwrap_or(0),
        );
        self.look(&asked.id, |run| choose(run, step, index, attempt, stream))
            .await?
    }
}

pub(super) fn choose(
    run: &Run,
    step: &str,
    index: Option<u32>,
    attempt: u32,
    asked: &str,
) -> Result<Chosen, Status> {
    let none = |why: String| errors::not_found("log", step, why);
    let (plan, state) = run.step(step).ok_or_else(|| {
        none(format!(
            "there is no step {:?} in run {}",
            errors::brief(step),
            run.id
        ))
    })?;
    let index = match (&plan.fan_out, index) {
        (Some(_), index) => Some(index.unwrap_or(0)),
        (None, None) => None,
        (None, Some(_)) => return Err(none(format!("{step} has no items: leave index out"))),
    };
    let item = state.items.get(index.unwrap_or(0) as usize);
    let newest = item.map_or(0, |item| u32::try_from(item.attempts.len()).unwrap_or(u32::MAX));
    let attempt = if attempt == 0 { newest } else { attempt };
    let at = At {
        step: step.to_owned(),
        index,
        attempt,
    };
    let of = index.map_or_else(|| step.to_owned(), |index| format!("item {index} of {step}"));
    let found = run.attempt(&at).ok_or_else(|| {
        none(match newest {
            0 => format!("{of} has not begun, so there is no log"),
            newest => format!("{of} has no try {attempt}: there are {newest}"),
        })
    })?;
    let services = convert::services(run, step);
    let all = all(&services);
    let stream = match (asked, all.iter().find(|(_, name)| name == asked)) {
        ("", _) => LogStream::Stdout,
        (_, Some((stream, _))) => *stream,
        (_, None) => {
            let known: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
            let why = format_args!("{:?} is not one of {}", errors::brief(asked), known.join(", "));
            return Err(errors::invalid("stream", why));
        }
    };
    let name = |one: LogStream| {
        let found = all.iter().find(|(known, _)| *known == one);
        found.map_or_else(String::new, |(_, name)| name.clone())
    };
    let head = view::head(run);
    let address = LogAddress {
        base: head.base(),
        step: step.to_owned(),
        index,
        attempt,
        stream: name(stream),
    };
    let streams = all.iter().map(|(one, name)| {
        let bytes = found
            .report
            .as_ref()
            .and_then(|report| bytes(report, &services, *one));
        Other {
            name: format!("{name}{}", if bytes == Some(0) { " (empty)" } else { "" }),
            address: LogAddress {
                stream: name.clone(),
                ..address.clone()
            },
            here: *one == stream,
        }
    });
    let first = newest.saturating_sub(u32::try_from(TRIES).unwrap_or(0)).max(1);
    let tries = (first..=newest).filter(|_| newest > 1).map(|n| Other {
        name: format!("try {n}"),
        address: LogAddress {
            attempt: n,
            ..address.clone()
        },
        here: n == attempt,
    });
    Ok(Chosen {
        key: convert::key(&run.id, &at),
        stream,
        state: found.word().to_owned(),
        agent: found.agent_name.clone().unwrap_or_default(),
        streams: streams.collect(),
        tries: tries.collect(),
        head,
        address,
    })
}

/// The streams of a step's attempts, with their names in addresses and for people.
fn all(services: &[String]) -> Vec<(LogStream, String)> {
    let own = [
        (LogStream::Stdout, "stdout".to_owned()),
        (LogStream::Stderr, "stderr".to_owned()),
    ];
    let beside = (0..).zip(services).flat_map(|(number, name)| {
        [
            (LogStream::ServiceOut(number), format!("service:{name}")),
            (LogStream::ServiceErr(number), format!("service:{name}:stderr")),
        ]
    });
    own.into_iter().chain(beside).collect()
}

/// How much an agent reported of a stream; none when it said nothing of it.
fn bytes(report: &AttemptReport, services: &[String], stream: LogStream) -> Option<u64> {
    let service = |number: u8| {
        let name = services.get(usize::from(number))?;
        report.services.iter().find(|service| service.name == *name)
    };
    match stream {
        LogStream::Stdout => Some(report.usage.stdout_bytes),
        LogStream::Stderr => Some(report.usage.stderr_bytes),
        LogStream::ServiceOut(number) => Some(service(number)?.stdout_bytes),
        LogStream::ServiceErr(number) => Some(service(number)?.stderr_bytes),
    }
}

/// Where somebody goes who asks for logs and names none.
pub(super) enum Pick {
    /// The query of the log that most likely matters.
    Log(String),
    /// Nothing has begun.
    None,
}

/// What failed or is in doubt before what runs, that before what came last.
pub(super) fn pick(run: &Run) -> Pick {
    let begun = run
        .plan
        .steps
        .iter()
        .zip(&run.steps)
        .filter(|(_, step)| step.items.iter().any(|item| !item.attempts.is_empty()));
    let best = begun.max_by_key(|(_, step)| {
        let weight = match step.word() {
            "failed" => 3,
            "in_doubt" => 2,
            "running" => 1,
            _ => 0,
        };
        (weight, step.started_at)
    });
    let Some((plan, step)) = best else {
        return Pick::None;
    };
    let index = step.items.iter().position(|item| {
        let last = item.attempts.last();
        last.is_some_and(|attempt| matches!(attempt.word(), "failed" | "in_doubt" | "running"))
    });
    let index = index
        .or_else(|| step.items.iter().position(|item| !item.attempts.is_empty()))
        .unwrap_or(0);
    let index = plan
        .fan_out
        .as_ref()
        .map_or_else(String::new, |_| format!("&index={index}"));
    Pick::Log(format!("step={}{index}", plan.key))
}

impl Chosen {
    /// Reads from an offset on until `more` is false or nothing more is there, and says what follows what was read.
    pub(super) async fn read(
        &self,
        core: &Core,
        mut offset: u64,
        mut more: impl FnMut(Piece<'_>) -> bool,
    ) -> Result<LogEnd, Status> {
        loop {
            let pieces = core
                .store
                .read_log(&self.key, self.stream, offset, READ_BYTES)
                .await;
            let pieces = pieces.map_err(|error| errors::store_status(&error))?;
            if pieces.is_empty() {
                return Ok(LogEnd::Open);
            }
            for piece in pieces {
                let wanted = more(Piece {
                    offset: piece.offset,
                    lost: piece.lost,
                    data: &piece.data,
                });
                if piece.end.is_end() || !wanted {
                    return Ok(piece.end);
                }
                offset = piece.offset + piece.data.len() as u64;
            }
            // Rows of a long log are work: others have their turn.
            tokio::task::yield_now().await;
        }
    }
}
