//! Opening: the lock, damage, other versions.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::open;
use crate::store::{
    LogStream, RunFilter, Store,
    conformance::sample::{
        agent, alert_id, at, attempt, claim, evidence, incident_head, incident_id, only, piece, run_head,
        run_id, run_stream, to_run, workflow,
    },
    sqlite::{SqliteOptions, SqliteStore},
};

async fn refusal(dir: &Path) -> String {
    match SqliteStore::open(dir, SqliteOptions::default()).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    }
}

async fn raw(dir: &Path, file: &str) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(dir.join(file))
        .create_if_missing(true)
        .connect()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_second_server_is_refused_at_once() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).await;
    let begun = Instant::now();
    let error = refusal(dir.path()).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    let name = dir.path().canonicalize().unwrap().display().to_string();
    assert!(
        error.contains(&format!("another server is running on {name}")),
        "{error}"
    );
    store.append(only(to_run(1, 0, 1))).await.unwrap();
    store.close().await;
    drop(store);
    let store = open(dir.path()).await;
    assert_eq!(*store.committed().borrow(), 1);
    store.close().await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_drop_without_close() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).await;
    store.append(only(to_run(1, 0, 2))).await.unwrap();
    store.write_logs(vec![piece(0, b"abc")]).await.unwrap();
    drop(store);
    // The writers hold the lock until they have ended.
    let mut reopened = SqliteStore::open(dir.path(), SqliteOptions::default()).await;
    for _ in 0..200 {
        if reopened.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        reopened = SqliteStore::open(dir.path(), SqliteOptions::default()).await;
    }
    let store = reopened.unwrap();
    assert_eq!(*store.committed().borrow(), 2);
    assert_eq!(store.events(&run_stream(1), 0, 9).await.unwrap().len(), 2);
    assert_eq!(store.write_logs(vec![piece(3, b"d")]).await.unwrap(), [4]);
    store.close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    for (file, version, known) in [("history.db", 5, 4), ("logs.db", 7, 1)] {
        let dir = TempDir::new().unwrap();
        open(dir.path()).await.close().await;
        let mut conn = raw(dir.path(), file).await;
        let pragma = AssertSqlSafe(format!("PRAGMA user_version = {version}"));
        sqlx::raw_sql(pragma).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let error = refusal(dir.path()).await;
        let told = format!("{file} has schema version {version}, and this version of Firehall knows {known}");
        assert!(error.contains(&told), "{error}");
    }
}

#[tokio::test]
async fn foreign_and_damaged_files_are_refused() {
    let dir = TempDir::new().unwrap();
    let mut conn = raw(dir.path(), "history.db").await;
    sqlx::raw_sql("CREATE TABLE mine (x)")
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    let error = refusal(dir.path()).await;
    assert!(
        error.contains("history.db is not a history database of Firehall"),
        "{error}"
    );

    fs::write(
        dir.path().join("history.db"),
        b"no database at all, but long enough to be looked at",
    )
    .unwrap();
    let error = refusal(dir.path()).await;
    assert!(
        error.contains("history.db") && error.contains("cannot read"),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_page_is_found() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).await;
    for n in 1..60 {
        store.append(only(to_run(n, 0, 5))).await.unwrap();
    }
    store.close().await;
    drop(store);
    let path = dir.path().join("history.db");
    let mut bytes = fs::read(&path).unwrap();
    assert!(
        bytes.len() > 80_000,
        "the log was moved at close: {}",
        bytes.len()
    );
    // Past the first page, the cells of each page lose their order.
    bytes[4096..]
        .chunks_mut(4096)
        .for_each(|page| page[8..40].reverse());
    fs::write(&path, bytes).unwrap();
    let error = refusal(dir.path()).await;
    assert!(
        error.contains("history.db is damaged") && error.contains("restore a backup"),
        "{error}"
    );
}

/// The databases of each released schema, as `sqlite3 FILE .dump` and the two pragmas gave them.
async fn restore(dir: &Path, file: &str, dump: &'static str) {
    let mut conn = raw(dir, file).await;
    sqlx::raw_sql(dump).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// Tables and indexes as they were declared.
async fn schema(dir: &Path, file: &str) -> Vec<(String, String)> {
    let mut conn = raw(dir, file).await;
    let ask = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let schema = sqlx::query_as(ask).fetch_all(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    schema
}

#[tokio::test]
async fn version_1_is_read() {
    let (old, new) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    restore(
        old.path(),
        "history.db",
        include_str!("../../../../tests/fixtures/sqlite/history.v1.sql"),
    )
    .await;
    restore(
        old.path(),
        "logs.db",
        include_str!("../../../../tests/fixtures/sqlite/logs.v1.sql"),
    )
    .await;
    let store = open(old.path()).await;
    assert_eq!(*store.committed().borrow(), 3);
    let events = store.events(&run_stream(1), 0, 9).await.unwrap();
    assert_eq!(
        events
            .iter()
            .map(|e| (e.seq, e.cursor, e.version))
            .collect::<Vec<_>>(),
        [(1, 2, 3), (2, 3, 3)]
    );
    assert_eq!(events[1].body, to_run(1, 0, 2).events[1].body);
    let runs = store
        .runs(&RunFilter {
            limit: 9,
            ..RunFilter::default()
        })
        .await
        .unwrap();
    assert_eq!(runs, [(run_id(1), run_head("disk", None))]);
    let incident = store.incident_by_key("disk").await.unwrap();
    assert_eq!(incident, Some((incident_id(4), incident_head("disk", true))));
    assert_eq!(
        store.claim("start", "k", at(1)).await.unwrap(),
        Some(claim("k", 0, 100))
    );
    assert_eq!(
        store.evidence(&alert_id(1)).await.unwrap(),
        Some(evidence(1, b"{\"raw\":1}"))
    );
    assert_eq!(store.workflows().await.unwrap(), [workflow("disk", "aa", 1)]);
    assert_eq!(store.agents().await.unwrap(), [agent(1, "a")]);
    assert_eq!(store.agent_session(agent(1, "a"), 3).await.unwrap(), Some(3));
    let log = store
        .read_log(&attempt(1), LogStream::Stdout, 0, 99)
        .await
        .unwrap();
    assert_eq!(log, [piece(0, b"abc")]);
    assert_eq!(store.append(only(to_run(1, 2, 1))).await.unwrap(), 4);
    store.close().await;
    open(new.path()).await.close().await;
    for file in ["history.db", "logs.db"] {
        assert_eq!(
            schema(new.path(), file).await,
            schema(old.path(), file).await,
            "a released step is never changed"
        );
    }
}
