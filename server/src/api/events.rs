//! `EventService`: the server-wide stream, what is stored and then what comes, in commit order and without a gap.

use std::{
    collections::{BTreeSet, HashMap},
    str::FromStr,
};

use futures::stream::BoxStream;
use proto::v1;
use tonic::{Request, Response, Status};
use types::{IncidentId, RunId};

use super::{
    convert,
    errors::{self, Violation, store_status},
    stream::{Out, answer},
};
use crate::{
    Core,
    access::{Permission, authorize},
    store::{self, StoredEvent, StreamId},
};

/// Entries of one filter.
const ENTRIES: usize = 64;
/// Bytes of one entry.
const ENTRY_BYTES: usize = 256;
/// Events that wait for a reader.
const AHEAD: usize = 64;
/// Events read at once.
const PAGE: u32 = 256;
/// Runs of which a subscription remembers workflow and incident.
const HEADS: usize = 4_096;

pub(crate) struct Service(pub(super) Core);

/// What a subscriber wants; an empty list stands for all.
struct Filter {
    kinds: Vec<String>,
    runs: BTreeSet<RunId>,
    incidents: BTreeSet<IncidentId>,
    workflows: BTreeSet<String>,
}

#[tonic::async_trait]
impl v1::event_service_server::EventService for Service {
    type SubscribeStream = BoxStream<'static, Result<v1::Event, Status>>;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.into_inner();
        let filter = filter(&request)?;
        let last = *self.0.store.committed().borrow();
        let cursor = match (request.cursor.as_str(), request.from_start) {
            ("", true) => 0,
            ("", false) => last,
            (_, true) => {
                return Err(errors::invalid("from_start", "not together with cursor"));
            }
            (text, false) => cursor(text, last)?,
        };
        let core = self.0.clone();
        Ok(Response::new(answer(AHEAD, move |out| async move {
            let mut reader = Reader {
                core,
                filter,
                cursor,
                heads: HashMap::new(),
            };
            reader.send(&out).await
        })))
    }
}

/// A cursor that this server gave: a number as it writes it, not beyond its last; 0 stands before the first event.
pub(super) fn cursor(text: &str, last: u64) -> Result<u64, Status> {
    let known = text.parse().ok().filter(|n: &u64| n.to_string() == text);
    known.filter(|cursor| *cursor <= last).ok_or_else(|| {
        errors::invalid(
            "cursor",
            "not a cursor of an event of this server: give the one of the last event that you dealt with, or none",
        )
    })
}

fn filter(request: &v1::SubscribeRequest) -> Result<Filter, Status> {
    let mut wrong = Vec::new();
    for (field, entries) in [
        ("kinds", &request.kinds),
        ("run_ids", &request.run_ids),
        ("incident_ids", &request.incident_ids),
        ("workflows", &request.workflows),
    ] {
        if entries.len() > ENTRIES {
            let why = format!("{} entries, at most {ENTRIES}", entries.len());
            return Err(errors::invalid(field, why));
        }
        for (n, entry) in entries.iter().enumerate() {
            if entry.is_empty() || entry.len() > ENTRY_BYTES {
                wrong.push(Violation {
                    field: format!("{field}[{n}]"),
                    why: format!("1 to {ENTRY_BYTES} bytes"),
                });
            }
        }
    }
    for (n, kind) in request.kinds.iter().enumerate() {
        let word = kind.strip_suffix(".*").unwrap_or(kind);
        let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        if !word.chars().all(plain) {
            wrong.push(Violation {
                field: format!("kinds[{n}]"),
                why: "a kind such as step.ended, or step.* for all that begin so".to_owned(),
            });
        }
    }
    let runs = ids("run_ids", &request.run_ids, &mut wrong);
    let incidents = ids("incident_ids", &request.incident_ids, &mut wrong);
    if !wrong.is_empty() {
        return Err(errors::invalid_all(wrong));
    }
    Ok(Filter {
        kinds: request.kinds.clone(),
        runs,
        incidents,
        workflows: request.workflows.iter().cloned().collect(),
    })
}

fn ids<T: FromStr<Err = types::IdError> + Ord>(
    field: &str,
    texts: &[String],
    wrong: &mut Vec<Violation>,
) -> BTreeSet<T> {
    let mut found = BTreeSet::new();
    for (n, text) in texts.iter().enumerate() {
        match text.parse::<T>() {
            Ok(id) => drop(found.insert(id)),
            Err(error) => wrong.push(Violation {
                field: format!("{field}[{n}]"),
                why: error.to_string(),
            }),
        }
    }
    found
}

impl Filter {
    fn kind(&self, kind: &str) -> bool {
        let one = |wanted: &String| match wanted.strip_suffix('*') {
            Some(begin) => kind.starts_with(begin),
            None => kind == wanted,
        };
        self.kinds.is_empty() || self.kinds.iter().any(one)
    }

    fn whose(&self, stream: &StreamId, workflow: Option<&str>, incident: Option<&IncidentId>) -> bool {
        let run = match stream {
            StreamId::Run(run) => self.runs.is_empty() || self.runs.contains(run),
            StreamId::Incident(_) => self.runs.is_empty(),
        };
        run && (self.workflows.is_empty() || workflow.is_some_and(|name| self.workflows.contains(name)))
            && (self.incidents.is_empty() || incident.is_some_and(|id| self.incidents.contains(id)))
    }
}

/// What a run's first event says and no later one changes.
#[derive(Clone)]
struct Head {
    workflow: String,
    incident: Option<IncidentId>,
}

struct Reader {
    core: Core,
    filter: Filter,
    cursor: u64,
    heads: HashMap<RunId, Head>,
}

impl Reader {
    async fn send(&mut self, out: &Out<v1::Event>) -> Result<(), Status> {
        let mut committed = self.core.store.committed();
        // The last that the reader got, or where it began.
        let mut got = self.cursor;
        loop {
            // Marked before the read: what is committed after it wakes us again.
            committed.mark_unchanged();
            let page = self.core.store.events_after(self.cursor, PAGE).await;
            let page = page.map_err(|error| store_status(&error))?;
            let full = store::is_cut(&page, PAGE);
            for stored in page {
                self.cursor = stored.cursor;
                let Some(event) = self.wanted(stored).await? else {
                    continue;
                };
                out.send(event).await.map_err(|gone| gone.after("cursor", got))?;
                got = self.cursor;
            }
            if full {
                continue;
            }
            tokio::select! {
                changed = committed.changed() => if changed.is_err() { return Err(errors::stopping()) },
                () = out.closed() => return Ok(()),
                () = self.core.shutdown.cancelled() => {
                    return Err(errors::stopping_after("cursor", got));
                }
            }
        }
    }

    async fn wanted(&mut self, stored: StoredEvent) -> Result<Option<v1::Event>, Status> {
        if !self.filter.kind(&stored.kind) {
            return Ok(None);
        }
        let (workflow, incident) = match &stored.stream {
            StreamId::Run(run) => {
                let head = self.head(&run.clone()).await?;
                (Some(head.workflow), head.incident)
            }
            StreamId::Incident(id) => (None, Some(id.clone())),
        };
        if !self
            .filter
            .whose(&stored.stream, workflow.as_deref(), incident.as_ref())
        {
            return Ok(None);
        }
        Ok(Some(convert::streamed(stored, incident.as_ref())))
    }

    async fn head(&mut self, run: &RunId) -> Result<Head, Status> {
        if let Some(head) = self.heads.get(run) {
            return Ok(head.clone());
        }
        let found = self.core.store.run(run).await;
        let found = found
            .map_err(|error| store_status(&error))?
            .ok_or_else(|| errors::no_run(run))?;
        if self.heads.len() >= HEADS {
            self.heads.clear();
        }
        let head = Head {
            workflow: found.workflow,
            incident: found.incident,
        };
        self.heads.insert(run.clone(), head.clone());
        Ok(head)
    }
}
