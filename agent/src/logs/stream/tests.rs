#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;

use proptest::prelude::*;
use types::Secret;

use super::*;

const SECRET: &str = "hunter2-and-more";

fn masker() -> Masker {
    Masker::new(&[Secret::new(SECRET.to_owned())])
}

/// What is to be sent of it alone.
fn next(stream: &mut Stream) -> io::Result<Option<Chunk>> {
    let ends = stream.is_due();
    stream.next(&masker(), ends)
}

/// A server that holds what is contiguous.
#[derive(Default)]
struct Server {
    held: Vec<u8>,
    lost: u64,
    ended: bool,
    end_unknown: bool,
}

impl Server {
    fn take(&mut self, chunk: &Chunk) -> u64 {
        let at = self.held.len() as u64 + self.lost;
        assert!(
            chunk.offset - chunk.lost <= at,
            "a hole: {} after {at}",
            chunk.offset
        );
        if chunk.offset + chunk.data.len() as u64 > at || chunk.lost > 0 && chunk.offset > at {
            self.lost += chunk.offset.saturating_sub(at);
            let skip = usize::try_from(at.saturating_sub(chunk.offset)).unwrap();
            self.held.extend_from_slice(&chunk.data[skip..]);
        }
        self.ended |= chunk.end;
        self.end_unknown |= chunk.end_unknown;
        self.held.len() as u64 + self.lost
    }
}

struct Place {
    tmp: tempfile::TempDir,
    file: File,
}

impl Place {
    fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let file = File::create(tmp.path().join("out")).unwrap();
        Self { tmp, file }
    }

    fn open(&self) -> Stream {
        Stream::open(self.tmp.path(), "out")
    }
}

/// Sends all that there is, acknowledging each.
fn drain(stream: &mut Stream, server: &mut Server) {
    while let Some(chunk) = next(stream).unwrap() {
        let held = server.take(&chunk);
        stream.acknowledged(held).unwrap();
    }
}

fn to_the_end(stream: &mut Stream, server: &mut Server) {
    let begun = Instant::now();
    while !stream.is_done() {
        drain(stream, server);
        assert!(begun.elapsed() < Duration::from_secs(5), "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What lies behind the head of a full log is not sent where nobody counted the loss between them: its end waits for nothing there.
#[test]
fn the_end_of_a_full_log_is_said_though_its_last_bytes_are_left_out() {
    let place = Place::new();
    place.file.set_len(HEAD_BYTES + 10).unwrap();
    let (mut stream, mut server) = (place.open(), Server::default());
    // All of it was sent while it was written.
    let sent = Point {
        raw: HEAD_BYTES,
        offset: HEAD_BYTES,
        done: false,
    };
    (stream.next, stream.acked) = (sent, sent);
    server.lost = HEAD_BYTES;
    stream.finish(StreamEnd {
        unknown: true,
        ..StreamEnd::default()
    });
    to_the_end(&mut stream, &mut server);
    assert!(server.ended && server.end_unknown && server.held.is_empty());
}

#[test]
fn a_secret_split_over_two_writes_is_masked_and_held_back_meanwhile() {
    let mut place = Place::new();
    let (mut stream, mut server) = (place.open(), Server::default());
    place.file.write_all(b"a hunter2-").unwrap();
    drain(&mut stream, &mut server);
    assert_eq!(server.held, b"a ");
    place.file.write_all(b"and-more b").unwrap();
    drain(&mut stream, &mut server);
    assert_eq!(server.held, b"a *** b");
    stream.finish(StreamEnd::default());
    to_the_end(&mut stream, &mut server);
    assert!(server.ended);
    assert!(place.open().is_done(), "the end is noted");
}

#[test]
fn a_loss_is_counted_where_it_is_and_hides_no_half_of_a_secret() {
    let mut place = Place::new();
    place.file.write_all(b"head hunter2-re-more tail").unwrap();
    let (mut stream, mut server) = (place.open(), Server::default());
    // The bytes at 13 to 13 are missing: "hunter2-" | "re-more".
    stream.finish(StreamEnd {
        dropped: 100,
        gap_at: Some(13),
        unknown: false,
    });
    to_the_end(&mut stream, &mut server);
    assert_eq!(
        String::from_utf8_lossy(&server.held),
        "head ****** tail".replace("******", "***re-more")
    );
    assert_eq!((server.lost, server.ended), (100, true));
    let mut place = Place::new();
    place.file.write_all(b"head hunter2-nd-more tail").unwrap();
    let (mut stream, mut server) = (place.open(), Server::default());
    stream.finish(StreamEnd {
        dropped: 7,
        gap_at: Some(13),
        unknown: false,
    });
    to_the_end(&mut stream, &mut server);
    assert_eq!(String::from_utf8_lossy(&server.held), "head ****** tail");
}

#[test]
fn all_that_was_dropped_at_the_end_is_counted() {
    let mut place = Place::new();
    place.file.write_all(b"head").unwrap();
    let (mut stream, mut server) = (place.open(), Server::default());
    stream.finish(StreamEnd {
        dropped: 9,
        gap_at: Some(4),
        unknown: false,
    });
    to_the_end(&mut stream, &mut server);
    assert_eq!(
        (server.held.as_slice(), server.lost, server.ended),
        (b"head".as_slice(), 9, true)
    );
}

#[test]
fn a_server_that_holds_less_gets_it_again_and_one_that_never_takes_it_is_given_up() {
    let mut place = Place::new();
    place.file.write_all(b"0123456789").unwrap();
    let (mut stream, mut server) = (place.open(), Server::default());
    drain(&mut stream, &mut server);
    place.file.write_all(b"abc").unwrap();
    next(&mut stream).unwrap().unwrap();
    server.held.truncate(4);
    assert!(stream.acknowledged(4).is_err());
    stream.rewind();
    drain(&mut stream, &mut server);
    assert_eq!(server.held, b"0123456789abc");
    place.file.write_all(b"more").unwrap();
    for _ in 0..=STALLS {
        stream.rewind();
        if next(&mut stream).unwrap().is_some() {
            let _behind = stream.acknowledged(0);
        }
    }
    assert!(stream.is_done());
}

const UNKNOWN: StreamEnd = StreamEnd {
    dropped: 0,
    gap_at: None,
    unknown: true,
};

#[test]
fn an_end_that_nobody_knows_is_told_and_hides_no_half_of_a_secret() {
    let mut place = Place::new();
    place.file.write_all(b"head hunter2-an").unwrap();
    let (mut stream, mut server) = (place.open(), Server::default());
    stream.finish(UNKNOWN);
    to_the_end(&mut stream, &mut server);
    assert_eq!(String::from_utf8_lossy(&server.held), "head ***");
    assert_eq!((server.lost, server.ended, server.end_unknown), (0, true, true));
}

/// The shim was killed as it appended what it had kept of the end: what lies there comes after a loss that nobody counted.
#[test]
fn of_a_full_file_whose_end_nobody_knows_only_what_is_in_one_piece_is_shown() {
    let place = Place::new();
    place.file.set_len(HEAD_BYTES + 100).unwrap();
    // All but the last of what is in one piece is with the server: a debug build masks slowly.
    let acked = Point {
        raw: HEAD_BYTES - 10,
        offset: HEAD_BYTES - 10,
        done: false,
    };
    std::fs::write(
        place.tmp.path().join("sent-out"),
        serde_json::to_vec(&acked).unwrap(),
    )
    .unwrap();
    let (mut stream, mut server) = (place.open(), Server::default());
    server.lost = acked.offset;
    stream.finish(UNKNOWN);
    to_the_end(&mut stream, &mut server);
    assert_eq!((server.held.len(), server.lost), (10, acked.offset));
    assert!(server.end_unknown);
}

#[test]
fn what_is_given_up_is_counted_with_what_had_been_dropped_before() {
    let mut place = Place::new();
    place.file.write_all(b"headtail").unwrap();
    let (mut stream, mut server) = (place.open(), Server::default());
    stream.finish(StreamEnd {
        dropped: 9,
        gap_at: Some(4),
        unknown: false,
    });
    assert_eq!((stream.room().unwrap(), stream.give_up().unwrap()), (8, 8));
    assert_eq!((stream.room().unwrap(), stream.give_up().unwrap()), (0, 0));
    assert_eq!(place.file.metadata().unwrap().len(), 0);
    to_the_end(&mut stream, &mut server);
    assert_eq!((server.held.len(), server.lost, server.ended), (0, 17, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    /// Whatever is under way as it is given up, and however often either side restarts: what is there is a beginning, and all
    /// the rest is counted.
    #[test]
    fn what_is_given_up_is_counted_to_the_byte(
        length in 0_usize..300_000,
        moves in proptest::collection::vec(0_u8..4, 0..20),
        then in proptest::collection::vec(0_u8..4, 0..20),
    ) {
        let mut place = Place::new();
        let whole: Vec<u8> = (0..length).map(|at| b"0123456789\n"[at % 11]).collect();
        place.file.write_all(&whole).unwrap();
        let (mut stream, mut server) = (place.open(), Server::default());
        stream.finish(StreamEnd::default());
        let mut sent: VecDeque<Chunk> = VecDeque::new();
        for (step, given_up) in moves.into_iter().map(|step| (step, false)).chain([(9, true)]).chain(then.into_iter().map(|step| (step, true))) {
            match step {
                0 => sent.extend(next(&mut stream).unwrap()),
                1 => if let Some(chunk) = sent.pop_front() {
                    let held = server.take(&chunk);
                    stream.acknowledged(held).unwrap();
                },
                2 => { if let Some(chunk) = sent.pop_front() { server.take(&chunk); } sent.clear(); stream.rewind(); }
                3 => { sent.clear(); stream = place.open(); stream.finish(StreamEnd::default()); }
                _ => { stream.give_up().unwrap(); }
            }
            prop_assert!(!given_up || stream.room().unwrap() == 0);
        }
        stream.rewind();
        to_the_end(&mut stream, &mut server);
        prop_assert!(server.ended && whole.starts_with(&server.held));
        prop_assert_eq!(server.held.len() as u64 + server.lost, length as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Whatever is lost under way and however often either side restarts: the bytes are there once, masked.
    #[test]
    fn nothing_is_missing_or_twice(
        parts in proptest::collection::vec(prop_oneof![Just(SECRET), Just("hunter2-"), Just("and-more"), Just("plain\n"), Just("x")], 1..30),
        moves in proptest::collection::vec(0_u8..5, 0..60),
    ) {
        let mut place = Place::new();
        let (mut stream, mut server) = (place.open(), Server::default());
        let mut sent: VecDeque<Chunk> = VecDeque::new();
        let whole = parts.concat();
        let mut parts = parts.into_iter();
        for step in moves {
            match step {
                0 => if let Some(part) = parts.next() { place.file.write_all(part.as_bytes()).unwrap() },
                1 => sent.extend(next(&mut stream).unwrap()),
                2 => if let Some(chunk) = sent.pop_front() {
                    let held = server.take(&chunk);
                    stream.acknowledged(held).unwrap();
                },
                // The connection is lost, one chunk may have arrived unacknowledged.
                3 => { if let Some(chunk) = sent.pop_front() { server.take(&chunk); } sent.clear(); stream.rewind(); }
                // The agent restarts.
                _ => { sent.clear(); stream = place.open(); }
            }
        }
        for part in parts { place.file.write_all(part.as_bytes()).unwrap(); }
        stream.rewind();
        stream.finish(StreamEnd::default());
        to_the_end(&mut stream, &mut server);
        prop_assert_eq!(String::from_utf8(server.held).unwrap(), masker().text(&whole));
        prop_assert!(server.ended);
    }
}
