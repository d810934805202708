//! Lists cost what they show, however much there is: each read finds its rows by an index and never sorts.

use sqlx::Row;
use tempfile::TempDir;

use super::open;
use crate::store::{
    Store,
    sqlite::{heads, logs, read},
};

#[tokio::test]
async fn reads_use_indexes() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).await;
    let history = [
        heads::RUN,
        heads::RUNS,
        heads::RUNS_LIVE,
        heads::RUNS_OF,
        heads::RUNS_OF_LIVE,
        heads::INCIDENT,
        heads::INCIDENTS,
        heads::INCIDENT_BY_KEY,
        read::EVENTS,
        read::EVENTS_AFTER,
        read::CLAIM,
    ];
    let plans = history.map(|sql| (sql, &store.history.readers)).into_iter();
    for (sql, pool) in plans.chain([logs::SIZES, logs::PIECES].map(|sql| (sql, &store.logs.readers))) {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(explain).fetch_all(pool).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let plan = plan.join("; ");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        // All incidents in the order of their key, cut by the limit.
        assert!(
            plan.contains("SEARCH") || sql == heads::INCIDENTS,
            "{sql}: {plan}"
        );
        assert!(!plan.contains("SCAN") || sql == heads::INCIDENTS, "{sql}: {plan}");
    }
    store.close().await;
}
