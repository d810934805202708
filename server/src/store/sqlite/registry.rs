//! Definitions and agents.

use async_trait::async_trait;
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

use types::AgentId;

use super::{
    AgentRow, Drained, WorkflowRow, check,
    heads::{from_json, id, time, to_json},
    job::{Effect, Stop, Tx, Write},
};

macro_rules! workflow_columns {
    ($rest:literal) => {
        concat!(
            "SELECT w.name, w.version, w.source, w.plan, w.stored_at FROM workflows w ",
            $rest
        )
    };
}

const VERSION: &str = workflow_columns!("WHERE w.name = ? AND w.version = ?");
const NEWEST: &str = workflow_columns!("JOIN newest_workflows n USING (name, version) WHERE n.name = ?");
const ALL_NEWEST: &str = workflow_columns!("JOIN newest_workflows n USING (name, version) ORDER BY n.name");

/// Keeps a definition as the newest of its name.
pub(super) struct PutWorkflow(pub(super) WorkflowRow);

#[async_trait]
impl Write for PutWorkflow {
    type Answer = bool;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(bool, Effect), Stop> {
        let conn = tx.conn().await?;
        let Self(row) = self;
        let newest: Option<String> =
            sqlx::query_scalar("SELECT version FROM newest_workflows WHERE name = ?")
                .bind(&row.name)
                .fetch_optional(&mut *conn)
                .await?;
        if newest.as_ref() == Some(&row.version) {
            return Ok((false, Effect::default()));
        }
        sqlx::query(
            "INSERT INTO workflows (name, version, source, plan, stored_at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (name, version) DO UPDATE
             SET source = excluded.source, plan = excluded.plan, stored_at = excluded.stored_at",
        )
        .bind(&row.name)
        .bind(&row.version)
        .bind(&row.source)
        .bind(&row.plan)
        .bind(row.stored_at.unix_ms())
        .execute(&mut *conn)
        .await?;
        sqlx::query("INSERT OR REPLACE INTO newest_workflows (name, version) VALUES (?, ?)")
            .bind(&row.name)
            .bind(&row.version)
            .execute(conn)
            .await?;
        Ok((true, Effect::wrote(row.source.len() + row.plan.len())))
    }
}

/// Takes a Hello with its dial.
pub(super) struct AgentSession {
    pub(super) agent: AgentRow,
    pub(super) dial: u64,
}

#[async_trait]
impl Write for AgentSession {
    type Answer = Option<u64>;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(Option<u64>, Effect), Stop> {
        let conn = tx.conn().await?;
        let Self { agent, dial } = self;
        check::number("the dial", *dial).map_err(Stop::Refused)?;
        let highest: Option<u64> = sqlx::query_scalar("SELECT dial FROM agents WHERE id = ?")
            .bind(agent.id.as_str())
            .fetch_optional(&mut *conn)
            .await?;
        let highest = highest.unwrap_or(0);
        if *dial <= highest {
            return Ok((Some(highest), Effect::default()));
        }
        sqlx::query(
            "INSERT OR REPLACE INTO agents (id, name, version, labels, facts, seen_at, dial)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(agent.id.as_str())
        .bind(&agent.name)
        .bind(&agent.version)
        .bind(to_json(&agent.labels)?)
        .bind(&agent.facts)
        .bind(agent.seen_at.unix_ms())
        .bind(dial.cast_signed())
        .execute(conn)
        .await?;
        Ok((None, Effect::wrote(agent.facts.len())))
    }
}

/// Keeps that an agent is drained.
pub(super) struct Drain(pub(super) Drained);

#[async_trait]
impl Write for Drain {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<((), Effect), Stop> {
        let conn = tx.conn().await?;
        let Self(drained) = self;
        sqlx::query("INSERT OR REPLACE INTO drained (agent, by, reason, at) VALUES (?, ?, ?, ?)")
            .bind(drained.agent.as_str())
            .bind(&drained.by)
            .bind(&drained.reason)
            .bind(drained.at.unix_ms())
            .execute(conn)
            .await?;
        Ok(((), Effect::wrote(drained.reason.len())))
    }
}

/// Undoes it.
pub(super) struct Undrain(pub(super) AgentId);

#[async_trait]
impl Write for Undrain {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<((), Effect), Stop> {
        let conn = tx.conn().await?;
        sqlx::query("DELETE FROM drained WHERE agent = ?")
            .bind(self.0.as_str())
            .execute(conn)
            .await?;
        Ok(((), Effect::wrote(1)))
    }
}

pub(super) async fn drained(pool: &SqlitePool) -> Result<Vec<Drained>, sqlx::Error> {
    let rows = sqlx::query("SELECT agent, by, reason, at FROM drained ORDER BY agent")
        .fetch_all(pool)
        .await?;
    let drained = |row: &SqliteRow| {
        Ok(Drained {
            agent: id(row.try_get(0)?)?,
            by: row.try_get(1)?,
            reason: row.try_get(2)?,
            at: time(row.try_get(3)?),
        })
    };
    rows.iter().map(drained).collect()
}

pub(super) async fn workflow(
    pool: &SqlitePool,
    name: &str,
    version: Option<&str>,
) -> Result<Option<WorkflowRow>, sqlx::Error> {
    let query = match version {
        Some(version) => sqlx::query(VERSION).bind(name).bind(version),
        None => sqlx::query(NEWEST).bind(name),
    };
    query
        .fetch_optional(pool)
        .await?
        .as_ref()
        .map(workflow_of)
        .transpose()
}

pub(super) async fn workflows(pool: &SqlitePool) -> Result<Vec<WorkflowRow>, sqlx::Error> {
    sqlx::query(ALL_NEWEST)
        .fetch_all(pool)
        .await?
        .iter()
        .map(workflow_of)
        .collect()
}

pub(super) async fn agents(pool: &SqlitePool) -> Result<Vec<AgentRow>, sqlx::Error> {
    let rows = sqlx::query("SELECT id, name, version, labels, facts, seen_at FROM agents ORDER BY name, id")
        .fetch_all(pool)
        .await?;
    rows.iter().map(agent_of).collect()
}

fn workflow_of(row: &SqliteRow) -> Result<WorkflowRow, sqlx::Error> {
    Ok(WorkflowRow {
        name: row.try_get(0)?,
        version: row.try_get(1)?,
        source: row.try_get(2)?,
        plan: row.try_get(3)?,
        stored_at: time(row.try_get(4)?),
    })
}

fn agent_of(row: &SqliteRow) -> Result<AgentRow, sqlx::Error> {
    Ok(AgentRow {
        id: id(row.try_get(0)?)?,
        name: row.try_get(1)?,
        version: row.try_get(2)?,
        labels: from_json("labels", row.try_get(3)?)?,
        facts: row.try_get(4)?,
        seen_at: time(row.try_get(5)?),
    })
}
