//! Events, heads and lists.

use std::time::Duration;

use futures::future::join_all;
use types::RunOutcome;

use super::{
    against_each_store,
    sample::{at, incident_head, incident_id, only, run_head, run_id, run_stream, to_incident, to_run},
};
use crate::store::{
    Append, Head, IncidentFilter, RunFilter, SharedStore, StoreError, StreamAppend, StreamId, is_cut,
};

against_each_store!(
    events_come_back_in_order,
    a_concurrent_writer_loses_cleanly,
    an_append_is_all_or_nothing,
    nonsense_is_refused,
    runs_are_listed_newest_first,
    incidents_are_found_by_key,
    many_writers_leave_no_gap,
    one_of_many_rivals_wins_each_seq,
    what_is_announced_can_be_read,
    closed_is_closed,
    a_read_is_bounded_by_bytes_and_says_that_it_was_cut,
);

async fn events_come_back_in_order(store: SharedStore) {
    assert_eq!(*store.committed().borrow(), 0);
    assert_eq!(store.append(Append::default()).await.unwrap(), 0);
    assert_eq!(store.append(only(to_run(1, 0, 3))).await.unwrap(), 3);
    assert_eq!(store.append(only(to_run(2, 0, 1))).await.unwrap(), 4);
    assert_eq!(store.append(only(to_run(1, 3, 2))).await.unwrap(), 6);
    assert_eq!(*store.committed().borrow(), 6);

    let sent = [to_run(1, 0, 3).events, to_run(1, 3, 2).events].concat();
    let stored = store.events(&run_stream(1), 0, 100).await.unwrap();
    assert_eq!(
        stored.iter().map(|e| (e.seq, e.cursor)).collect::<Vec<_>>(),
        [(1, 1), (2, 2), (3, 3), (4, 5), (5, 6)]
    );
    for (stored, sent) in stored.iter().zip(&sent) {
        assert_eq!(stored.stream, run_stream(1));
        assert_eq!(
            (stored.at, &stored.kind, stored.version, &stored.body),
            (sent.at, &sent.kind, 3, &sent.body)
        );
    }
    let page = store.events(&run_stream(1), 1, 2).await.unwrap();
    assert_eq!(page, stored[1..3]);
    let all = store.events_after(2, 3).await.unwrap();
    assert_eq!(all.iter().map(|e| e.cursor).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(store.events(&run_stream(9), 0, 9).await.unwrap(), []);
    assert_eq!(store.events_after(u64::MAX, 9).await.unwrap(), []);
}

async fn a_concurrent_writer_loses_cleanly(store: SharedStore) {
    store.append(only(to_run(1, 0, 2))).await.unwrap();
    for (expected, actual) in [(0, 2), (1, 2), (3, 2)] {
        let error = store.append(only(to_run(1, expected, 1))).await.unwrap_err();
        let conflict = matches!(&error, StoreError::Conflict { stream, expected: e, actual: a }
            if (stream, *e, *a) == (&run_stream(1), expected, actual));
        assert!(conflict, "{error:?}");
    }
    assert_eq!(
        store.append(only(to_run(1, 2, 1))).await.unwrap(),
        3,
        "a lost append used no cursor"
    );
}

async fn an_append_is_all_or_nothing(store: SharedStore) {
    store.append(only(to_run(1, 0, 1))).await.unwrap();
    let both = |seq| Append {
        streams: vec![to_incident(5, 0, "disk"), to_run(1, seq, 1)],
        ..Append::default()
    };
    store.append(both(7)).await.unwrap_err();
    assert_eq!(store.incident(&incident_id(5)).await.unwrap(), None);
    assert_eq!(
        store
            .events(&StreamId::Incident(incident_id(5)), 0, 9)
            .await
            .unwrap(),
        []
    );
    assert_eq!(store.append(both(1)).await.unwrap(), 3);
    assert_eq!(
        store.incident(&incident_id(5)).await.unwrap(),
        Some(incident_head("disk", true))
    );
}

async fn nonsense_is_refused(store: SharedStore) {
    let empty = StreamAppend {
        events: Vec::new(),
        ..to_run(1, 0, 1)
    };
    let other_kind = StreamAppend {
        head: Head::Incident(incident_head("k", true)),
        ..to_run(1, 0, 1)
    };
    let twice = Append {
        streams: vec![to_run(1, 0, 1), to_run(1, 1, 1)],
        ..Append::default()
    };
    for append in [only(empty), only(other_kind), only(to_run(1, u64::MAX, 1)), twice] {
        let error = store.append(append).await.unwrap_err();
        assert!(matches!(error, StoreError::Invalid(_)), "{error:?}");
    }
    assert_eq!(store.run(&run_id(1)).await.unwrap(), None);
}

async fn runs_are_listed_newest_first(store: SharedStore) {
    for n in 1..=6 {
        let outcome = [None, Some(RunOutcome::Failed), Some(RunOutcome::Degraded)][usize::from(n) % 3];
        let head = Head::Run(run_head(if n > 3 { "disk" } else { "cpu" }, outcome));
        store
            .append(only(StreamAppend {
                head,
                ..to_run(n, 0, 1)
            }))
            .await
            .unwrap();
    }
    assert_eq!(
        store.run(&run_id(4)).await.unwrap(),
        Some(run_head("disk", Some(RunOutcome::Failed)))
    );
    let nine = RunFilter {
        limit: 9,
        ..RunFilter::default()
    };
    let cases: [(RunFilter, &[u16]); 12] = [
        (
            RunFilter {
                limit: 9,
                ..RunFilter::default()
            },
            &[6, 5, 4, 3, 2, 1],
        ),
        (
            RunFilter {
                limit: 2,
                before: Some(run_id(5)),
                ..RunFilter::default()
            },
            &[4, 3],
        ),
        (
            RunFilter {
                limit: 2,
                workflow: Some("cpu".to_owned()),
                ..RunFilter::default()
            },
            &[3, 2],
        ),
        (
            RunFilter {
                limit: 9,
                live: true,
                ..RunFilter::default()
            },
            &[6, 3],
        ),
        (
            RunFilter {
                limit: 9,
                live: true,
                workflow: Some("cpu".to_owned()),
                ..RunFilter::default()
            },
            &[3],
        ),
        (RunFilter::default(), &[]),
        (
            RunFilter {
                outcomes: vec![RunOutcome::Failed],
                ..nine.clone()
            },
            &[4, 1],
        ),
        (
            RunFilter {
                outcomes: vec![RunOutcome::Degraded, RunOutcome::Failed],
                workflow: Some("disk".to_owned()),
                ..nine.clone()
            },
            &[5, 4],
        ),
        (
            RunFilter {
                incident: Some(incident_id(4)),
                before: Some(run_id(5)),
                ..nine.clone()
            },
            &[4, 2, 1],
        ),
        (
            RunFilter {
                incident: Some(incident_id(5)),
                ..nine.clone()
            },
            &[],
        ),
        (
            RunFilter {
                started_from: Some(at(1)),
                started_before: Some(at(2)),
                live: true,
                ..nine.clone()
            },
            &[6, 3],
        ),
        (
            RunFilter {
                started_from: Some(at(2)),
                ..nine
            },
            &[],
        ),
    ];
    for (filter, wanted) in cases {
        let listed = store.runs(&filter).await.unwrap();
        let ids: Vec<_> = listed.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(
            ids,
            wanted.iter().map(|n| run_id(*n)).collect::<Vec<_>>(),
            "{filter:?}"
        );
    }
    // A head is replaced by the next append to its stream, and leaves the list of live runs.
    let head = Head::Run(run_head("cpu", Some(RunOutcome::Succeeded)));
    store
        .append(only(StreamAppend {
            head,
            ..to_run(3, 1, 1)
        }))
        .await
        .unwrap();
    let live = store
        .runs(&RunFilter {
            limit: 9,
            live: true,
            ..RunFilter::default()
        })
        .await
        .unwrap();
    assert_eq!(live.len(), 1);
}

async fn incidents_are_found_by_key(store: SharedStore) {
    for (n, key) in [(1, "disk"), (3, "disk"), (2, "disk"), (4, "cpu")] {
        store.append(only(to_incident(n, 0, key))).await.unwrap();
    }
    let page = |limit, before: Option<u16>, open| IncidentFilter {
        limit,
        before: before.map(incident_id),
        open,
    };
    let older = store.incidents(&page(9, Some(3), Some(true))).await.unwrap();
    assert_eq!(
        older.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(),
        [2, 1].map(incident_id)
    );
    assert_eq!(store.incidents(&page(9, None, Some(false))).await.unwrap(), []);
    let listed = store.incidents(&page(3, None, None)).await.unwrap();
    assert_eq!(
        listed.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(),
        [4, 3, 2].map(incident_id)
    );
    let (id, head) = store.incident_by_key("disk").await.unwrap().unwrap();
    assert_eq!((id, head), (incident_id(3), incident_head("disk", true)));
    assert_eq!(store.incident_by_key("dis").await.unwrap(), None);
}

async fn many_writers_leave_no_gap(store: SharedStore) {
    let writers = (1..=30).map(|n| {
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
    let all = store.events_after(0, 1000).await.unwrap();
    assert_eq!(
        all.iter().map(|e| e.cursor).collect::<Vec<_>>(),
        (1..=300).collect::<Vec<_>>()
    );
    for n in 1..=30 {
        let seqs: Vec<_> = all
            .iter()
            .filter(|e| e.stream == run_stream(n))
            .map(|e| e.seq)
            .collect();
        assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
    }
}

async fn one_of_many_rivals_wins_each_seq(store: SharedStore) {
    for seq in 0..5 {
        let rivals = (0..20).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.append(only(to_run(1, seq, 1))).await })
        });
        let answers: Vec<_> = join_all(rivals)
            .await
            .into_iter()
            .map(|joined| joined.unwrap())
            .collect();
        assert_eq!(
            answers.iter().filter(|answer| answer.is_ok()).count(),
            1,
            "{answers:?}"
        );
        let lost =
            |a: &Result<_, _>| matches!(a, Err(StoreError::Conflict { actual, .. }) if *actual == seq + 1);
        assert_eq!(
            answers.iter().filter(|answer| lost(answer)).count(),
            19,
            "{answers:?}"
        );
    }
    assert_eq!(store.events(&run_stream(1), 0, 100).await.unwrap().len(), 5);
}

async fn a_read_is_bounded_by_bytes_and_says_that_it_was_cut(store: SharedStore) {
    let mut append = to_run(1, 0, 12);
    for event in &mut append.events {
        event.body = format!("\"{}\"", "x".repeat(1 << 20));
    }
    store.append(only(append)).await.unwrap();
    for by_cursor in [false, true] {
        let (mut last, mut reads) = (0, 0);
        loop {
            let page = match by_cursor {
                true => store.events_after(last, 100).await.unwrap(),
                false => store.events(&run_stream(1), last, 100).await.unwrap(),
            };
            assert!(page.len() <= 8, "{} events of 1 MiB", page.len());
            let cut = is_cut(&page, 100);
            assert!(
                page.iter()
                    .map(|event| event.seq)
                    .eq(last + 1..=last + page.len() as u64)
            );
            last += page.len() as u64;
            reads += 1;
            if !cut {
                break;
            }
        }
        assert_eq!((last, reads), (12, 2));
    }
}

async fn what_is_announced_can_be_read(store: SharedStore) {
    // Before the writer: what was committed by then is no change, and a store in memory is done at once.
    let mut committed = store.committed();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 1..=40 {
                store.append(only(to_run(n, 0, 2))).await.unwrap();
            }
        }
    });
    let mut last = 0;
    while last < 80 {
        tokio::time::timeout(Duration::from_secs(20), committed.changed())
            .await
            .unwrap()
            .unwrap();
        let now = *committed.borrow_and_update();
        assert!(now > last, "{now} after {last}");
        let read = store.events_after(last, 1000).await.unwrap();
        assert!(
            read.last().unwrap().cursor >= now,
            "announced {now}, read {read:?}"
        );
        last = now;
    }
    writer.await.unwrap();
}

async fn closed_is_closed(store: SharedStore) {
    store.close().await;
    store.close().await;
    let error = store.append(only(to_run(1, 0, 1))).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let error = store
        .write_logs(vec![super::sample::piece(0, b"a")])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
