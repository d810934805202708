//! Random operations: SQLite answers what the model answers. Logs are compared with plain bytes as well.

use std::fmt::Debug;

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    test_runner::{Config, TestRunner},
};
use types::RunOutcome;

use super::{
    memory,
    sample::{agent, alert_id, at, attempt, claim, evidence, incident_id, run_head, run_id, run_stream},
    sample::{to_incident, to_run, workflow},
    sqlite,
};
use crate::store::{
    Append, Head, IncidentFilter, LogEnd, LogPiece, LogStream, RunFilter, Store, StreamAppend, StreamId,
};

#[derive(Debug, Clone)]
enum Op {
    /// Streams as (number, guessed seq, events), claims and evidence by number.
    Append {
        runs: Vec<(u16, u64, usize)>,
        incidents: Vec<(u16, u64)>,
        claims: Vec<u8>,
        evidence: Vec<u16>,
        ttl: i64,
    },
    Workflow(u8, u8),
    Session(u8, u64),
    Logs(Vec<(bool, u64, usize, u64, u8)>),
}

fn op() -> impl Strategy<Value = Op> {
    let runs = vec((0..4u16, 0..6u64, 0..3usize), 0..3);
    let incidents = vec((0..3u16, 0..4u64), 0..2);
    let append = (runs, incidents, vec(0..4u8, 0..2), vec(0..3u16, 0..2), 1..20i64).prop_map(
        |(runs, incidents, claims, evidence, ttl)| Op::Append {
            runs,
            incidents,
            claims,
            evidence,
            ttl,
        },
    );
    // Mostly what fits, so that streams grow.
    let grow = (0..4u16, 1..3usize).prop_map(|(n, count)| Op::Append {
        runs: vec![(n, GUESS, count)],
        incidents: Vec::new(),
        claims: Vec::new(),
        evidence: Vec::new(),
        ttl: 1,
    });
    let piece = (
        any::<bool>(),
        0..24u64,
        0..8usize,
        prop_oneof![3 => Just(0), 1 => 0..9u64],
        prop_oneof![38 => Just(0), 1 => Just(1), 1 => Just(2)],
    );
    prop_oneof![
        3 => append,
        3 => grow,
        1 => (0..2u8, 0..3u8).prop_map(|(name, version)| Op::Workflow(name, version)),
        1 => (0..3u8, 0..5u64).prop_map(|(n, dial)| Op::Session(n, dial)),
        3 => vec(piece, 0..4).prop_map(Op::Logs),
    ]
}

/// Stands for the seq that the stream has.
const GUESS: u64 = 99;

async fn apply(store: &dyn Store, op: &Op, now: i64) -> String {
    match op {
        Op::Append {
            runs,
            incidents,
            claims,
            evidence: alerts,
            ttl,
        } => {
            let mut streams = Vec::new();
            for (n, seq, count) in runs {
                let known = store.events(&run_stream(*n), 0, 1000).await.unwrap().len() as u64;
                let head = Head::Run(run_head(
                    ["disk", "cpu"][count % 2],
                    (n % 2 == 0).then_some(RunOutcome::Failed),
                ));
                streams.push(StreamAppend {
                    head,
                    ..to_run(*n, if *seq == GUESS { known } else { *seq }, *count)
                });
            }
            streams.extend(
                incidents
                    .iter()
                    .map(|(n, seq)| to_incident(*n, *seq, ["k", "l"][usize::from(n % 2)])),
            );
            let append = Append {
                streams,
                claims: claims
                    .iter()
                    .map(|n| claim(&n.to_string(), now, now + ttl))
                    .collect(),
                evidence: alerts
                    .iter()
                    .map(|n| evidence(*n, now.to_string().as_bytes()))
                    .collect(),
            };
            told(store.append(append).await)
        }
        Op::Workflow(name, version) => told(
            store
                .put_workflow(workflow(&name.to_string(), &version.to_string(), now))
                .await,
        ),
        Op::Session(n, dial) => told(store.agent_session(agent(*n, &dial.to_string()), *dial).await),
        Op::Logs(pieces) => told(store.write_logs(pieces.iter().map(log_piece).collect()).await),
    }
}

/// The byte at an offset is always the same, as of a real stream.
fn byte(offset: u64) -> u8 {
    b'a' + u8::try_from(offset % 26).unwrap()
}

fn log_piece(parts: &(bool, u64, usize, u64, u8)) -> LogPiece {
    let (stderr, offset, length, lost, end) = *parts;
    LogPiece {
        attempt: attempt(1),
        stream: if stderr {
            LogStream::Stderr
        } else {
            LogStream::Stdout
        },
        offset,
        data: (offset..offset + length as u64).map(byte).collect(),
        lost,
        end: LogEnd::told(end > 0, end > 1),
    }
}

fn told(answer: Result<impl Debug, impl Debug>) -> String {
    format!("{answer:?}")
}

/// All that can be read.
async fn everything(store: &dyn Store, now: i64) -> Vec<String> {
    let mut all = vec![
        told(store.events_after(0, 1000).await),
        told(store.committed().has_changed()),
    ];
    all.push(store.committed().borrow().to_string());
    for n in 0..4 {
        all.push(told(store.events(&run_stream(n), 1, 3).await));
        all.push(told(
            store.events(&StreamId::Incident(incident_id(n)), 0, 9).await,
        ));
        all.push(told(store.run(&run_id(n)).await));
        all.push(told(store.incident(&incident_id(n)).await));
        all.push(told(store.evidence(&alert_id(n)).await));
        all.push(told(store.claim("start", &n.to_string(), at(now)).await));
    }
    for (workflow, live, before) in [
        (None, false, None),
        (Some("cpu"), false, Some(run_id(3))),
        (None, true, None),
    ] {
        let filter = RunFilter {
            limit: 3,
            before,
            workflow: workflow.map(str::to_owned),
            live,
            ..RunFilter::default()
        };
        all.push(told(store.runs(&filter).await));
    }
    all.push(told(
        store
            .incidents(&IncidentFilter {
                limit: 2,
                ..IncidentFilter::default()
            })
            .await,
    ));
    all.push(told(store.incident_by_key("k").await));
    all.extend([
        told(store.workflows().await),
        told(store.workflow("1", Some("1")).await),
    ]);
    all.push(told(store.agents().await));
    for stream in [LogStream::Stdout, LogStream::Stderr] {
        for offset in [0, 3, 10, 30] {
            let pieces = store.read_log(&attempt(1), stream, offset, 12).await;
            check_bytes(offset, pieces.as_ref().unwrap());
            all.push(told(pieces));
        }
    }
    all
}

/// Pieces join from the offset on, and each byte is the one that was written there.
fn check_bytes(from: u64, pieces: &[LogPiece]) {
    let mut at = from;
    for piece in pieces {
        assert_eq!(piece.offset - piece.lost, at, "{pieces:?}");
        at = piece.offset + piece.data.len() as u64;
        let wanted: Vec<u8> = (piece.offset..at).map(byte).collect();
        assert_eq!(piece.data, wanted);
    }
}

#[test]
fn sqlite_does_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: 96,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&vec(op(), 1..40), |ops| {
        runtime.block_on(async {
            let (model, real) = (memory().await, sqlite().await);
            for (now, op) in (0..).zip(&ops) {
                let (wanted, got) = (
                    apply(&*model.store, op, now).await,
                    apply(&*real.store, op, now).await,
                );
                assert_eq!(got, wanted, "{op:?}");
            }
            let now = i64::try_from(ops.len()).unwrap();
            assert_eq!(
                everything(&*real.store, now).await,
                everything(&*model.store, now).await
            );
            real.store.close().await;
        });
        Ok(())
    });
    outcome.unwrap();
}
