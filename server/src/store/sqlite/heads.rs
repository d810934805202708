//! Heads of runs and incidents as rows.

use std::str::FromStr;

use sqlx::{
    Arguments, Encode, Row, Sqlite, SqlitePool, Type,
    sqlite::{SqliteArguments, SqliteRow},
};
use types::{IncidentId, RunId, RunOutcome, Timestamp};

use super::{IncidentFilter, IncidentHead, RunFilter, RunHead, error::corrupt};

/// Sorts after every id of a run: `~` comes after all letters.
const AFTER_ALL: &str = "run_~";
/// And of an incident.
const AFTER_ALL_INCIDENTS: &str = "inc_~";

macro_rules! run_columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, workflow, outcome, reasons, started_at, finished_at, incident FROM runs ",
            $rest
        )
    };
}
macro_rules! incident_columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, dedupe_key, open, title, severity, source, opened_at, resolved_at, alerts, runs FROM incidents ",
            $rest
        )
    };
}

pub(super) const RUN: &str = run_columns!("WHERE id = ?");
pub(super) const RUNS: &str = run_columns!("WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
pub(super) const RUNS_LIVE: &str =
    run_columns!("INDEXED BY runs_live WHERE outcome IS NULL AND id < ?1 ORDER BY id DESC LIMIT ?2");
pub(super) const RUNS_OF: &str =
    run_columns!("INDEXED BY runs_by_workflow WHERE workflow = ?3 AND id < ?1 ORDER BY id DESC LIMIT ?2");
pub(super) const RUNS_OF_LIVE: &str = run_columns!(
    "INDEXED BY runs_live_by_workflow
     WHERE outcome IS NULL AND workflow = ?3 AND id < ?1 ORDER BY id DESC LIMIT ?2"
);
/// Every filter at once, over the runs from the newest on: it stops when the page is full.
pub(super) const RUNS_NARROW: &str = run_columns!(
    "WHERE id < ?1
       AND (?3 IS NULL OR workflow = ?3)
       AND (?4 = 0 OR outcome IS NULL)
       AND (?5 = '[]' OR outcome IN (SELECT value FROM json_each(?5)))
       AND (?6 IS NULL OR incident = ?6)
       AND (?7 IS NULL OR started_at >= ?7)
       AND (?8 IS NULL OR started_at < ?8)
     ORDER BY id DESC LIMIT ?2"
);
pub(super) const INCIDENT: &str = incident_columns!("WHERE id = ?");
pub(super) const INCIDENTS: &str = incident_columns!("WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
pub(super) const INCIDENTS_BY_STATE: &str =
    incident_columns!("WHERE open = ?3 AND id < ?1 ORDER BY id DESC LIMIT ?2");
pub(super) const INCIDENT_BY_KEY: &str = incident_columns!("WHERE dedupe_key = ? ORDER BY id DESC LIMIT 1");

/// One that stays as it is is not written: most events change nothing of what lists show.
pub(super) const PUT_RUN: &str = "
    INSERT INTO runs (id, workflow, outcome, reasons, started_at, finished_at, incident)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
      workflow = excluded.workflow, outcome = excluded.outcome, reasons = excluded.reasons,
      started_at = excluded.started_at, finished_at = excluded.finished_at, incident = excluded.incident
    WHERE (workflow, outcome, reasons, started_at, finished_at, incident) IS NOT
      (excluded.workflow, excluded.outcome, excluded.reasons, excluded.started_at, excluded.finished_at, excluded.incident);
";
pub(super) const PUT_INCIDENT: &str = "
    INSERT OR REPLACE INTO incidents
      (id, dedupe_key, open, title, severity, source, opened_at, resolved_at, alerts, runs)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
";

pub(super) fn run_args(id: &RunId, head: &RunHead) -> Result<SqliteArguments, sqlx::Error> {
    let mut args = SqliteArguments::default();
    let mut add = Adding(&mut args);
    add.one(id.as_str())?;
    add.one(head.workflow.as_str())?;
    add.one(head.outcome.map(RunOutcome::as_str))?;
    add.one(to_json(&head.reasons)?)?;
    add.one(head.started_at.unix_ms())?;
    add.one(head.finished_at.map(Timestamp::unix_ms))?;
    add.one(head.incident.as_ref().map(IncidentId::as_str))?;
    Ok(args)
}

pub(super) fn incident_args(id: &IncidentId, head: &IncidentHead) -> Result<SqliteArguments, sqlx::Error> {
    let mut args = SqliteArguments::default();
    let mut add = Adding(&mut args);
    add.one(id.as_str())?;
    add.one(head.dedupe_key.as_str())?;
    add.one(head.open)?;
    add.one(head.title.as_str())?;
    add.one(head.severity.as_str())?;
    add.one(head.source.as_str())?;
    add.one(head.opened_at.unix_ms())?;
    add.one(head.resolved_at.map(Timestamp::unix_ms))?;
    add.one(head.alerts)?;
    add.one(to_json(&head.runs)?)?;
    Ok(args)
}

struct Adding<'a>(&'a mut SqliteArguments);

impl Adding<'_> {
    fn one<'q, T: Encode<'q, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> Result<(), sqlx::Error> {
        self.0.add(value).map_err(sqlx::Error::Encode)
    }
}

pub(super) async fn run(pool: &SqlitePool, id: &RunId) -> Result<Option<RunHead>, sqlx::Error> {
    let row = sqlx::query(RUN).bind(id.as_str()).fetch_optional(pool).await?;
    Ok(row.as_ref().map(run_of).transpose()?.map(|(_, head)| head))
}

pub(super) async fn runs(
    pool: &SqlitePool,
    filter: &RunFilter,
) -> Result<Vec<(RunId, RunHead)>, sqlx::Error> {
    let sql = match (&filter.workflow, filter.live) {
        (None, false) => RUNS,
        (None, true) => RUNS_LIVE,
        (Some(_), false) => RUNS_OF,
        (Some(_), true) => RUNS_OF_LIVE,
    };
    let before = filter.before.as_ref().map_or(AFTER_ALL, RunId::as_str);
    if filter.is_narrow() {
        let outcomes: Vec<&str> = filter.outcomes.iter().map(|outcome| outcome.as_str()).collect();
        let rows = sqlx::query::<Sqlite>(RUNS_NARROW)
            .bind(before)
            .bind(filter.limit)
            .bind(&filter.workflow)
            .bind(filter.live)
            .bind(to_json(&outcomes)?)
            .bind(filter.incident.as_ref().map(IncidentId::as_str))
            .bind(filter.started_from.map(Timestamp::unix_ms))
            .bind(filter.started_before.map(Timestamp::unix_ms))
            .fetch_all(pool)
            .await?;
        return rows.iter().map(run_of).collect();
    }
    let mut query = sqlx::query::<Sqlite>(sql).bind(before).bind(filter.limit);
    if let Some(workflow) = &filter.workflow {
        query = query.bind(workflow);
    }
    query.fetch_all(pool).await?.iter().map(run_of).collect()
}

pub(super) async fn incident(
    pool: &SqlitePool,
    query: sqlx::query::Query<'_, Sqlite, SqliteArguments>,
) -> Result<Option<(IncidentId, IncidentHead)>, sqlx::Error> {
    query
        .fetch_optional(pool)
        .await?
        .as_ref()
        .map(incident_of)
        .transpose()
}

pub(super) async fn incidents(
    pool: &SqlitePool,
    filter: &IncidentFilter,
) -> Result<Vec<(IncidentId, IncidentHead)>, sqlx::Error> {
    let before = filter
        .before
        .as_ref()
        .map_or(AFTER_ALL_INCIDENTS, IncidentId::as_str);
    let sql = if filter.open.is_some() {
        INCIDENTS_BY_STATE
    } else {
        INCIDENTS
    };
    let mut query = sqlx::query::<Sqlite>(sql).bind(before).bind(filter.limit);
    if let Some(open) = filter.open {
        query = query.bind(open);
    }
    query.fetch_all(pool).await?.iter().map(incident_of).collect()
}

fn run_of(row: &SqliteRow) -> Result<(RunId, RunHead), sqlx::Error> {
    let head = RunHead {
        workflow: row.try_get(1)?,
        outcome: row.try_get::<Option<&str>, _>(2)?.map(outcome).transpose()?,
        reasons: from_json("reasons", row.try_get(3)?)?,
        started_at: time(row.try_get(4)?),
        finished_at: row.try_get::<Option<i64>, _>(5)?.map(time),
        incident: row.try_get::<Option<&str>, _>(6)?.map(id).transpose()?,
    };
    Ok((id(row.try_get(0)?)?, head))
}

fn incident_of(row: &SqliteRow) -> Result<(IncidentId, IncidentHead), sqlx::Error> {
    let head = IncidentHead {
        dedupe_key: row.try_get(1)?,
        open: row.try_get(2)?,
        title: row.try_get(3)?,
        severity: row.try_get(4)?,
        source: row.try_get(5)?,
        opened_at: time(row.try_get(6)?),
        resolved_at: row.try_get::<Option<i64>, _>(7)?.map(time),
        alerts: row.try_get(8)?,
        runs: from_json("runs", row.try_get(9)?)?,
    };
    Ok((id(row.try_get(0)?)?, head))
}

fn outcome(word: &str) -> Result<RunOutcome, sqlx::Error> {
    use RunOutcome::{Cancelled, Degraded, Failed, Succeeded};
    let known = [Succeeded, Degraded, Cancelled, Failed];
    known
        .into_iter()
        .find(|known| known.as_str() == word)
        .ok_or_else(|| corrupt("outcome", word))
}

pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

pub(super) fn id<T: FromStr>(text: &str) -> Result<T, sqlx::Error> {
    text.parse().map_err(|_| corrupt("id", text))
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| corrupt(what, error))
}
