//! Group commit.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use tempfile::TempDir;

use super::open;
use crate::store::{
    Append, LogPiece, Store, StoreError,
    conformance::sample::{attempt, claim, only, piece, run_stream, to_run},
    sqlite::{
        Database,
        job::{Effect, Stop, Tx, Write},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn appends_share_flushes() {
    let dir = TempDir::new().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let writers = (0..50).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            for seq in 0..10 {
                store.append(only(to_run(n, seq, 1))).await.unwrap();
            }
        })
    });
    join_all(writers)
        .await
        .into_iter()
        .for_each(|joined| joined.unwrap());
    let commits = store.commits(Database::History);
    assert!((10..250).contains(&commits), "{commits} commits for 500 appends");
    store.close().await;
}

#[tokio::test]
async fn what_changes_nothing_is_not_flushed() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).await;
    store.append(only(to_run(1, 0, 1))).await.unwrap();
    store.append(only(to_run(1, 0, 1))).await.unwrap_err();
    store.append(Append::default()).await.unwrap();
    store.write_logs(vec![piece(0, b"a")]).await.unwrap();
    let logs = store.logs_committed();
    store
        .write_logs(vec![piece(0, b"a"), piece(7, b"b")])
        .await
        .unwrap();
    assert_eq!(
        (store.commits(Database::History), store.commits(Database::Logs)),
        (1, 1)
    );
    assert!(!logs.has_changed().unwrap());
    store.close().await;
}

/// Holds the writer, so that what follows becomes one batch.
struct Slow(Duration);

#[async_trait]
impl Write for Slow {
    type Answer = ();
    async fn apply(&self, _: &mut Tx<'_>) -> Result<((), Effect), Stop> {
        tokio::time::sleep(self.0).await;
        Ok(((), Effect::default()))
    }
}

/// Breaks a constraint after it has written something.
struct Bad;

#[async_trait]
impl Write for Bad {
    type Answer = ();
    async fn apply(&self, tx: &mut Tx<'_>) -> Result<((), Effect), Stop> {
        let sql = "INSERT INTO events (stream, seq, at, kind, version, body) VALUES ('bad', ?, 0, '', 1, '')";
        for seq in [1, 1] {
            sqlx::query(sql).bind(seq).execute(tx.conn().await?).await?;
        }
        Ok(((), Effect::wrote(0)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_write_does_not_spoil_the_others() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).await;
    let later = async {
        // The slow one is with the writer by now.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let with_claim = |n| Append {
            claims: vec![claim("k", 0, 9)],
            ..only(to_run(n, 0, 1))
        };
        tokio::join!(
            store.append(with_claim(1)),
            store.history.writer.write(Bad),
            store.append(with_claim(2)),
            store.append(only(to_run(3, 0, 1))),
        )
    };
    let (slow, (first, bad, claimed, last)) = tokio::join!(
        store.history.writer.write(Slow(Duration::from_millis(200))),
        later
    );
    slow.unwrap();
    assert_eq!((first.unwrap(), last.unwrap()), (1, 2));
    assert!(matches!(bad, Err(StoreError::Unavailable(_))), "{bad:?}");
    assert!(matches!(claimed, Err(StoreError::Claimed(_))), "{claimed:?}");
    let all = store.events_after(0, 9).await.unwrap();
    assert_eq!(
        all.iter().map(|e| e.stream.clone()).collect::<Vec<_>>(),
        [run_stream(1), run_stream(3)]
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_does_not_stop_its_write() {
    let dir = TempDir::new().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let slow = tokio::spawn({
        let store = store.clone();
        async move { store.history.writer.write(Slow(Duration::from_secs(3))).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let hasty = tokio::time::timeout(Duration::from_millis(10), store.append(only(to_run(1, 0, 1)))).await;
    assert!(hasty.is_err(), "it waits for its flush");
    slow.await.unwrap().unwrap();
    store.close().await;
    drop(store);
    let store = open(dir.path()).await;
    assert_eq!(
        store.events(&run_stream(1), 0, 9).await.unwrap().len(),
        1,
        "close waits for what was queued"
    );
    store.close().await;
}

/// Writes that never pause give the checkpointer no chance to start the log anew; then the writer does it.
#[tokio::test(flavor = "multi_thread")]
async fn the_write_ahead_log_stays_bounded() {
    const MIB: u64 = 1 << 20;
    let dir = TempDir::new().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let flood = (0..4).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            for offset in (0..48 * MIB).step_by(1 << 18) {
                let piece = LogPiece {
                    attempt: attempt(n),
                    ..piece(offset, &[b'x'; 1 << 18])
                };
                assert_eq!(store.write_logs(vec![piece]).await.unwrap(), [offset + (1 << 18)]);
            }
        })
    });
    join_all(flood)
        .await
        .into_iter()
        .for_each(|joined| joined.unwrap());
    let size = std::fs::metadata(dir.path().join("logs.db-wal")).unwrap().len();
    assert!(
        size < 128 * MIB,
        "192 MiB were written, the log has {} MiB",
        size / MIB
    );
    store.close().await;
}
