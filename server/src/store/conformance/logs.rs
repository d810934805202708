//! Logs of attempts.

use super::{
    against_each_store,
    sample::{attempt, piece},
};
use crate::store::{LogEnd, LogPiece, LogStream, SharedStore, Store};

against_each_store!(
    pieces_join,
    overlap_is_idempotent,
    a_gap_must_be_declared,
    nothing_follows_the_end,
    an_end_that_nobody_knows_stays_one,
    a_reader_gets_about_what_it_asks_for,
    absurd_offsets_are_refused,
);

async fn write(store: &dyn Store, piece: LogPiece) -> u64 {
    store.write_logs(vec![piece]).await.unwrap()[0]
}

type Told = (u64, u64, String, LogEnd);

async fn read(store: &dyn Store, offset: u64) -> Vec<Told> {
    let pieces = store
        .read_log(&attempt(1), LogStream::Stdout, offset, 1 << 20)
        .await
        .unwrap();
    let told = |p: LogPiece| (p.lost, p.offset, String::from_utf8(p.data).unwrap(), p.end);
    pieces.into_iter().map(told).collect()
}

fn told(lost: u64, offset: u64, data: &str, end: bool) -> Told {
    (lost, offset, data.to_owned(), LogEnd::told(end, false))
}

async fn pieces_join(store: SharedStore) {
    assert_eq!(read(&*store, 0).await, []);
    let mut changes = store.logs_committed();
    changes.borrow_and_update();
    let other = LogPiece {
        stream: LogStream::Stderr,
        ..piece(0, b"err")
    };
    let second = LogPiece {
        attempt: attempt(2),
        ..piece(0, b"two")
    };
    let held = store
        .write_logs(vec![piece(0, b"abc"), piece(3, b"def"), other, second])
        .await
        .unwrap();
    assert_eq!(held, [3, 6, 3, 3]);
    assert!(changes.has_changed().unwrap());
    assert_eq!(
        read(&*store, 0).await,
        [told(0, 0, "abc", false), told(0, 3, "def", false)]
    );
    assert_eq!(
        read(&*store, 2).await,
        [told(0, 2, "c", false), told(0, 3, "def", false)]
    );
    assert_eq!(read(&*store, 6).await, []);
    let err = store
        .read_log(&attempt(1), LogStream::Stderr, 0, 9)
        .await
        .unwrap();
    assert_eq!(
        err,
        [LogPiece {
            stream: LogStream::Stderr,
            ..piece(0, b"err")
        }]
    );
}

async fn overlap_is_idempotent(store: SharedStore) {
    assert_eq!(write(&*store, piece(0, b"abcd")).await, 4);
    assert_eq!(write(&*store, piece(0, b"abcd")).await, 4);
    assert_eq!(write(&*store, piece(2, b"cdef")).await, 6);
    assert_eq!(write(&*store, piece(1, b"b")).await, 6);
    assert_eq!(write(&*store, piece(6, b"")).await, 6);
    assert_eq!(
        read(&*store, 0).await,
        [told(0, 0, "abcd", false), told(0, 4, "ef", false)]
    );
}

async fn a_gap_must_be_declared(store: SharedStore) {
    assert_eq!(write(&*store, piece(5, b"x")).await, 0);
    assert_eq!(write(&*store, piece(0, b"ab")).await, 2);
    assert_eq!(
        write(
            &*store,
            LogPiece {
                lost: 2,
                ..piece(5, b"x")
            }
        )
        .await,
        2
    );
    assert_eq!(
        write(
            &*store,
            LogPiece {
                lost: 3,
                ..piece(5, b"x")
            }
        )
        .await,
        6
    );
    assert_eq!(
        write(
            &*store,
            LogPiece {
                lost: 99,
                ..piece(8, b"")
            }
        )
        .await,
        8
    );
    assert_eq!(write(&*store, piece(8, b"y")).await, 9);
    let all = [
        told(0, 0, "ab", false),
        told(3, 5, "x", false),
        told(2, 8, "", false),
        told(0, 8, "y", false),
    ];
    assert_eq!(read(&*store, 0).await, all);
    // Within a gap only its rest is lost to the reader; after it, the gap is not told again.
    assert_eq!(read(&*store, 4).await[0], told(1, 5, "x", false));
    assert_eq!(
        read(&*store, 7).await,
        [told(1, 8, "", false), told(0, 8, "y", false)]
    );
    assert_eq!(read(&*store, 8).await, [told(0, 8, "y", false)]);
}

async fn nothing_follows_the_end(store: SharedStore) {
    let end = |offset, data: &[u8]| LogPiece {
        end: LogEnd::Here,
        ..piece(offset, data)
    };
    assert_eq!(write(&*store, piece(0, b"ab")).await, 2);
    assert_eq!(
        write(&*store, end(0, b"a")).await,
        2,
        "an end within what is held is no end"
    );
    assert_eq!(read(&*store, 2).await, []);
    assert_eq!(write(&*store, end(2, b"")).await, 2);
    assert_eq!(write(&*store, end(2, b"")).await, 2);
    assert_eq!(write(&*store, piece(2, b"c")).await, 2);
    assert_eq!(read(&*store, 0).await, [told(0, 0, "ab", true)]);
    assert_eq!(read(&*store, 2).await, [told(0, 2, "", true)]);
    let silent = LogPiece {
        attempt: attempt(2),
        ..end(0, b"")
    };
    assert_eq!(write(&*store, silent.clone()).await, 0);
    let read = store
        .read_log(&attempt(2), LogStream::Stdout, 0, 9)
        .await
        .unwrap();
    assert_eq!(read, [silent], "an attempt that wrote nothing has an end, too");
}

async fn an_end_that_nobody_knows_stays_one(store: SharedStore) {
    let end = |end, offset, data: &[u8]| LogPiece {
        end,
        ..piece(offset, data)
    };
    let unknown = |offset, data: &str| (0, offset, data.to_owned(), LogEnd::Unknown);
    assert_eq!(write(&*store, piece(0, b"ab")).await, 2);
    assert_eq!(write(&*store, end(LogEnd::Unknown, 2, b"cd")).await, 4);
    assert_eq!(
        write(&*store, end(LogEnd::Here, 4, b"")).await,
        4,
        "the first end counts"
    );
    assert_eq!(
        read(&*store, 0).await,
        [told(0, 0, "ab", false), unknown(2, "cd")]
    );
    assert_eq!(
        read(&*store, 4).await,
        [unknown(4, "")],
        "a reader who has all is told too"
    );
    let bare = LogPiece {
        stream: LogStream::Stderr,
        ..end(LogEnd::Unknown, 0, b"")
    };
    assert_eq!(write(&*store, bare.clone()).await, 0);
    let read = store
        .read_log(&attempt(1), LogStream::Stderr, 0, 9)
        .await
        .unwrap();
    assert_eq!(read, [bare]);
}

async fn a_reader_gets_about_what_it_asks_for(store: SharedStore) {
    for n in 0..10 {
        write(&*store, piece(n * 100, &[b'x'; 100])).await;
    }
    for (offset, max_bytes, wanted) in [(0, 0, 1), (0, 100, 1), (0, 101, 2), (450, 250, 3), (950, 1000, 1)] {
        let pieces = store
            .read_log(&attempt(1), LogStream::Stdout, offset, max_bytes)
            .await
            .unwrap();
        assert_eq!(pieces.len(), wanted, "{offset} {max_bytes}");
        assert_eq!(pieces[0].offset, offset);
    }
}

async fn absurd_offsets_are_refused(store: SharedStore) {
    assert_eq!(
        write(
            &*store,
            LogPiece {
                lost: u64::MAX,
                ..piece(u64::MAX, b"x")
            }
        )
        .await,
        0
    );
    assert_eq!(
        write(
            &*store,
            LogPiece {
                lost: u64::MAX,
                ..piece(1 << 63, b"")
            }
        )
        .await,
        0
    );
    assert_eq!(read(&*store, u64::MAX).await, []);
}
