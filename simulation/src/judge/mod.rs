//! What must hold at the end, judged by the witness and the stored histories, never by what a process says of itself.

mod artifacts;
mod doubts;

use std::collections::{BTreeMap, BTreeSet};

use engine::{At, Event, Run, history};
use futures::FutureExt;
use object_store::memory::InMemory;
use protocol::server::Lost;
use server::store::{LogStream, Store, StreamId};
use types::{Artifact, AttemptKey, AttemptReport, LeaseToken, RunId, SessionId, Verdict};

use crate::{
    record::{Record, Start},
    work::MAY_RERUN,
};

/// Events read at once: more than any of these histories has.
const ALL: u32 = 10_000;
/// A log read at once.
const LOG_BYTES: usize = 64 * 1024;
/// What the histories say, over all runs.
#[derive(Default)]
struct Told {
    finished: BTreeMap<LeaseToken, (AttemptKey, AttemptReport)>,
    lost: BTreeMap<LeaseToken, Lost>,
    offered: BTreeSet<LeaseToken>,
    artifacts: BTreeMap<LeaseToken, (AttemptKey, Vec<Artifact>)>,
    /// In which attempts were offered.
    sessions: BTreeSet<SessionId>,
    events: usize,
}

/// What is judged.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// What happened.
    pub record: &'a Record,
    /// The histories.
    pub store: &'a dyn Store,
    /// The bytes of artifacts.
    pub objects: &'a InMemory,
}

/// A summary in a line, and what must never be, when it was.
#[must_use]
pub fn judge(world: &World<'_>, runs: usize, left: &[String]) -> (String, Option<String>) {
    let World {
        record,
        store,
        objects,
    } = *world;
    let mut told = Told::default();
    let mut violation = None;
    if record.runs().len() != runs {
        violation = Some("the user was never told of a run".to_owned());
    }
    for id in record.runs() {
        if let Err(why) = read(store, &id, &mut told) {
            violation.get_or_insert(format!("{id}: {why}"));
        }
    }
    let starts = record.starts();
    let found = starts_once(&starts)
        .and_then(|()| results(&starts, &told))
        .and_then(|()| logs(store, &told))
        .and_then(|()| artifacts::whole(&starts, &told, objects))
        .and_then(|()| doubts::true_ones(record, &starts))
        .and_then(|()| match left.first() {
            Some(one) => Err(format!("left behind: {one} and {} more", left.len() - 1)),
            None => Ok(()),
        });
    let summary = format!(
        "{} faults, {} runs, {} events, {} sessions, {} starts, {} results, {} artifacts, {} in doubt",
        record.faults(),
        record.runs().len(),
        told.events,
        told.sessions.len(),
        starts.len(),
        told.finished.len(),
        told.artifacts.len(),
        told.lost.len()
    );
    (summary, violation.or(found.err()))
}

/// A history without gaps that folds to a run that has ended.
fn read(store: &dyn Store, id: &RunId, told: &mut Told) -> Result<(), String> {
    let stream = StreamId::Run(id.clone());
    let events = store
        .events(&stream, 0, ALL)
        .now_or_never()
        .ok_or("the store in memory waits")?
        .map_err(|error| error.to_string())?;
    let mut run: Option<Run> = None;
    for (n, stored) in (1..).zip(&events) {
        if stored.seq != n {
            return Err(format!("event {n} has the number {}", stored.seq));
        }
        let event =
            history::read(&stored.kind, stored.version, &stored.body).map_err(|error| error.to_string())?;
        match (&mut run, &event) {
            (None, Event::RunStarted(first)) => run = Some(Run::new(first, stored.at)),
            (None, other) => return Err(format!("begins with {other:?}")),
            (Some(run), event) => run.evolve(event, stored.at),
        }
        note(id, event, told)?;
    }
    told.events += events.len();
    match run {
        None => Err("the user was told of it and it is not there".to_owned()),
        Some(run) if run.ended.is_none() => Err(format!(
            "has not ended: {:?}",
            run.live()
                .map(|(at, one)| (at.step, one.life.state().clone()))
                .collect::<Vec<_>>()
        )),
        Some(_) => Ok(()),
    }
}

fn note(run: &RunId, event: Event, told: &mut Told) -> Result<(), String> {
    match event {
        Event::AttemptOffered { placement, .. } => {
            told.sessions.insert(placement.session);
            if !told.offered.insert(placement.token.clone()) {
                return Err(format!("{} was offered twice", placement.token));
            }
        }
        Event::ArtifactStored { at, token, artifact } => {
            let (_, artifacts) = told
                .artifacts
                .entry(token)
                .or_insert_with(|| (key(run, at), Vec::new()));
            if artifacts.contains(&artifact) {
                return Err(format!("artifact {} is told twice", artifact.name));
            }
            artifacts.push(artifact);
        }
        Event::AttemptFinished { at, token, report } => {
            let before = told.finished.insert(token.clone(), (key(run, at), *report));
            if before.is_some() {
                return Err(format!("{token} has two results"));
            }
        }
        Event::AttemptLost { token, because, .. } => {
            told.lost.insert(token, because);
        }
        _ => {}
    }
    Ok(())
}

fn key(run: &RunId, at: At) -> AttemptKey {
    AttemptKey {
        run: run.clone(),
        step: at.step,
        index: at.index,
        attempt: at.attempt,
    }
}

/// One start a lease, one an attempt, and one a step where it must not run twice.
fn starts_once(starts: &[Start]) -> Result<(), String> {
    let mut tokens = BTreeSet::new();
    let mut places = BTreeSet::new();
    for start in starts {
        let key = &start.attempt;
        if !tokens.insert(&start.token) {
            return Err(format!("started twice: {key} of {} under one lease", key.run));
        }
        let attempt = if key.step == MAY_RERUN { key.attempt } else { 0 };
        if !places.insert((&key.run, &key.step, key.index, attempt)) {
            return Err(format!("started twice: {key} of {}", key.run));
        }
    }
    Ok(())
}

/// What the witness saw is what the histories say: no result is lost, none is made up.
fn results(starts: &[Start], told: &Told) -> Result<(), String> {
    for start in starts {
        let (key, token) = (&start.attempt, &start.token);
        if !told.offered.contains(token) {
            return Err(format!(
                "{key} was started under {token}, which no history offered"
            ));
        }
        match (told.finished.get(token), told.lost.get(token)) {
            (None, Some(Lost::Expired)) => {}
            (_, Some(lost)) if *lost != Lost::Expired => {
                return Err(format!(
                    "{key} of {} was lost although no host was: {lost:?}",
                    key.run
                ));
            }
            (None, _) => return Err(format!("the result of {key} of {} is lost", key.run)),
            (Some((_, report)), lost) => {
                same(start, report)?;
                let failed = matches!(report.verdict, Verdict::Failed { .. } | Verdict::Degraded { .. });
                if start.code == Some(0) && lost.is_none() && failed {
                    return Err(format!(
                        "{key} of {} ended well, told is {:?}",
                        key.run, report.verdict
                    ));
                }
            }
        }
    }
    let started: BTreeSet<&LeaseToken> = starts.iter().map(|start| &start.token).collect();
    for (token, (key, report)) in &told.finished {
        if report.exit.is_some() && !started.contains(token) {
            return Err(format!("{key} of {} has an exit and was never started", key.run));
        }
    }
    Ok(())
}

fn same(start: &Start, report: &AttemptReport) -> Result<(), String> {
    let key = &start.attempt;
    let code = report.exit.as_ref().and_then(|exit| exit.code);
    if code != start.code {
        return Err(format!(
            "{key} of {} ended with {:?}, told is {code:?}",
            key.run, start.code
        ));
    }
    match report.outputs.get("token").and_then(|token| token.as_str()) {
        Some(token) if token != start.token.as_str() => {
            Err(format!("{key} of {} has the output of another: {token}", key.run))
        }
        _ => Ok(()),
    }
}

/// The log of each result is whole.
fn logs(store: &dyn Store, told: &Told) -> Result<(), String> {
    for (token, (key, report)) in &told.finished {
        if report.exit.is_none() || told.lost.contains_key(token) {
            continue;
        }
        let pieces = store
            .read_log(key, LogStream::Stdout, 0, LOG_BYTES)
            .now_or_never()
            .ok_or("the store in memory waits")?
            .map_err(|error| error.to_string())?;
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.data.clone()).collect();
        let expected = format!("{token} begins\n{token} ends\n");
        if bytes != expected.as_bytes() {
            let text = String::from_utf8_lossy(&bytes);
            return Err(format!(
                "the log of {key} of {} is {text:?}, not {expected:?}",
                key.run
            ));
        }
    }
    Ok(())
}
