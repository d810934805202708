//! Kill the process at each commit in turn, until it gets through: what it acknowledged is there, nothing is half there.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{ExitStatus, Stdio},
};

use futures::future::join_all;
use tempfile::TempDir;

use super::{again, command, open};
use crate::store::{
    Append, IncidentHead, LogPiece, LogStream, Store, StreamId,
    conformance::sample::{
        alert_id, at, attempt, claim, evidence, incident_head, incident_id, piece, run_head, run_id,
        run_stream, to_incident, to_run,
    },
    sqlite::{SqliteOptions, SqliteStore},
};

pub(super) const DIR: &str = "FIREHALL_TEST_CRASH_DIR";
pub(super) const STEPS: &str = "FIREHALL_TEST_CRASH_STEPS";
/// Steps that are taken at once.
const AT_ONCE: u16 = 3;

/// Everything that one transaction can hold.
fn step(n: u16) -> Append {
    Append {
        streams: vec![to_incident(n, 0, &n.to_string()), to_run(n, 0, 3)],
        claims: vec![claim(&n.to_string(), 0, 100)],
        evidence: vec![evidence(n, &vec![b'e'; 5000])],
    }
}

fn log(n: u16) -> LogPiece {
    LogPiece {
        attempt: attempt(n.into()),
        ..piece(0, &vec![b'l'; 5000])
    }
}

fn acknowledge(what: &str, n: u16) {
    // One write, so that a line is never cut.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{what} {n}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The process that dies.
async fn child(dir: &Path) {
    let steps: u16 = std::env::var(STEPS).unwrap().parse().unwrap();
    let store = SqliteStore::open(dir, SqliteOptions::default()).await.unwrap();
    for first in (1..=steps).step_by(AT_ONCE.into()) {
        let steps = (first..first + AT_ONCE).map(async |n| {
            store.append(step(n)).await.unwrap();
            acknowledge("step", n);
            assert_eq!(store.write_logs(vec![log(n)]).await.unwrap(), [5000]);
            acknowledge("log", n);
        });
        join_all(steps).await;
    }
    store.close().await;
    acknowledge("done", 0);
}

/// Lets it run, and kills it after so many acknowledgements; answers them.
fn run_child(
    dir: &Path,
    failpoint: Option<(&str, u32)>,
    steps: u16,
    kill_after: usize,
) -> (Vec<String>, ExitStatus) {
    let mut command = command(&again(module_path!(), "killed_at_each_commit"));
    command
        .env(DIR, dir)
        .env(STEPS, steps.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let armed = TempDir::new().unwrap();
    command.env(failpoint::VARIABLE, armed.path());
    if let Some((place, nth)) = failpoint {
        std::fs::write(armed.path().join(place), format!("{nth} kill")).unwrap();
    }
    let mut child = command.spawn().unwrap();
    let mut acks = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if ["step ", "log ", "done "]
            .iter()
            .any(|word| line.starts_with(word))
        {
            acks.push(line);
        }
        if acks.len() == kill_after {
            child.kill().unwrap();
        }
    }
    (acks, child.wait().unwrap())
}

/// All of a step is there or nothing, and all that was acknowledged is there. Answers how many steps are.
pub(super) async fn check(dir: &Path, acks: &[String], steps: u16) -> usize {
    let store = open(dir).await;
    let mut there = 0;
    for n in 1..=steps {
        let run = store.events(&run_stream(n), 0, 99).await.unwrap();
        let seen = [
            run.len() == 3,
            store
                .events(&StreamId::Incident(incident_id(n)), 0, 99)
                .await
                .unwrap()
                .len()
                == 1,
            store.run(&run_id(n)).await.unwrap() == Some(run_head("disk", None)),
            store.incident(&incident_id(n)).await.unwrap() == Some(opened(n)),
            store
                .claim("start", &n.to_string(), at(1))
                .await
                .unwrap()
                .is_some(),
            store.evidence(&alert_id(n)).await.unwrap() == step(n).evidence.pop(),
        ];
        let whole = seen.iter().all(|seen| *seen);
        assert!(
            whole || (run.is_empty() && !seen.contains(&true)),
            "step {n} is half there: {seen:?}"
        );
        assert!(
            whole || !acks.contains(&format!("step {n}")),
            "step {n} was acknowledged: {acks:?}"
        );
        there += usize::from(whole);
        let read = store
            .read_log(&attempt(n.into()), LogStream::Stdout, 0, 9999)
            .await
            .unwrap();
        assert!(read.is_empty() || read == [log(n)], "log {n} is half there");
        assert!(
            !read.is_empty() || !acks.contains(&format!("log {n}")),
            "log {n} was acknowledged: {acks:?}"
        );
    }
    let all = store.events_after(0, 10_000).await.unwrap();
    assert_eq!(all.len(), there * 4);
    assert_eq!(*store.committed().borrow(), all.len() as u64);
    assert!(all.iter().zip(1..).all(|(event, cursor)| event.cursor == cursor));
    // It can be written again.
    store.append(step(steps + 1000)).await.unwrap();
    store.close().await;
    there
}

fn opened(n: u16) -> IncidentHead {
    incident_head(&n.to_string(), true)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_commit() {
    if let Some(dir) = std::env::var_os(DIR) {
        return child(Path::new(&dir)).await;
    }
    for place in [
        "history.commit.before",
        "history.commit.after",
        "logs.commit.before",
        "logs.commit.after",
    ] {
        let mut survived = None;
        for nth in 1..40 {
            let dir = TempDir::new().unwrap();
            let (acks, status) = run_child(dir.path(), Some((place, nth)), 9, usize::MAX);
            let there = check(dir.path(), &acks, 9).await;
            if status.success() {
                assert_eq!((acks.len(), there), (19, 9), "{place}:{nth}: {acks:?}");
                survived = Some(nth);
                break;
            }
            assert!(
                there < 9 || place != "history.commit.before",
                "{place}:{nth} did not come before a commit"
            );
        }
        // Three groups make at least three commits.
        assert!(survived.is_some_and(|nth| nth > 3), "{place}: {survived:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_time() {
    for kill_after in [1, 7, 20, 61, 150] {
        let dir = TempDir::new().unwrap();
        let (acks, status) = run_child(dir.path(), None, 3000, kill_after);
        assert!(
            !status.success() && acks.len() >= kill_after,
            "{status}: {}",
            acks.len()
        );
        let tried = u16::try_from(acks.len()).unwrap() + 2 * AT_ONCE;
        let there = check(dir.path(), &acks, tried).await;
        assert!(there >= acks.iter().filter(|ack| ack.starts_with("step")).count());
    }
}
