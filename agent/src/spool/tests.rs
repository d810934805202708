#![allow(clippy::unwrap_used, reason = "tests")]

use node::clock::Boot;
use proptest::prelude::*;
use types::{AttemptKey, RunId, SessionId};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000_000_000);

fn token(n: u8) -> LeaseToken {
    LeaseToken::new(NOW, [n; 10])
}

fn met(n: u8, work: &str) -> Record {
    let key = AttemptKey {
        run: RunId::new(NOW, [1; 10]),
        step: "s".to_owned(),
        index: None,
        attempt: u32::from(n),
    };
    let meta = Meta {
        key,
        workflow: "w".to_owned(),
        work_json: work.to_owned(),
        base: Boot::default(),
    };
    Record::Met {
        token: token(n),
        meta,
    }
}

fn lease(n: u8, phase: Phase<types::AttemptReport>, at: Timestamp) -> Record {
    let lease = DeskLease {
        session: SessionId::new(NOW, [2; 10]),
        phase,
        stopping: false,
    };
    Record::Lease {
        token: token(n),
        lease,
        boot: "b".to_owned(),
        cause: Some(StopCause::Asked),
        crashes: 0,
        doubted: false,
        at,
    }
}

fn phases(spool: &Spool) -> Vec<(LeaseToken, Phase<types::AttemptReport>)> {
    spool
        .held()
        .iter()
        .map(|(token, held)| (token.clone(), held.lease.phase.clone()))
        .collect()
}

impl Spool {
    /// Writes records, and flushes with `sync`.
    fn commit(&mut self, records: Vec<Record>, sync: bool) -> io::Result<()> {
        self.write(records)?;
        if sync { self.flush() } else { Ok(()) }
    }
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("spool");
    let mut spool = Spool::open(&path, NOW).unwrap();
    spool
        .commit(
            vec![
                Record::Dial {
                    count: 3,
                    left: false,
                },
                met(1, "{}"),
                lease(1, Phase::Accepted, NOW),
            ],
            true,
        )
        .unwrap();
    spool
        .commit(
            vec![
                lease(1, Phase::Starting, NOW),
                met(2, "{}"),
                lease(2, Phase::Tombstone, NOW),
            ],
            false,
        )
        .unwrap();
    spool
        .commit(vec![Record::Erase { token: token(2) }], true)
        .unwrap();
    drop(spool);
    let spool = Spool::open(&path, NOW).unwrap();
    assert_eq!(spool.dials(), 3);
    assert_eq!(phases(&spool), [(token(1), Phase::Starting)]);
    assert_eq!(spool.held()[&token(1)].meta.work_json, "{}");
    assert_eq!(spool.held()[&token(1)].cause, Some(StopCause::Asked));
}

#[test]
fn a_torn_tail_is_cut_wherever_it_is_torn() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("spool");
    let mut spool = Spool::open(&path, NOW).unwrap();
    spool
        .commit(vec![met(1, "{}"), lease(1, Phase::Accepted, NOW)], true)
        .unwrap();
    let whole = spool.size();
    spool.commit(vec![lease(1, Phase::Running, NOW)], true).unwrap();
    drop(spool);
    let bytes = fs_err::read(&path).unwrap();
    for end in usize::try_from(whole).unwrap()..bytes.len() {
        fs_err::write(&path, &bytes[..end]).unwrap();
        let mut spool = Spool::open(&path, NOW).unwrap();
        assert_eq!(phases(&spool), [(token(1), Phase::Accepted)], "torn at {end}");
        assert_eq!(
            fs_err::metadata(&path).unwrap().len(),
            spool.size(),
            "torn at {end}"
        );
        spool.commit(vec![lease(1, Phase::Starting, NOW)], true).unwrap();
        drop(spool);
        assert_eq!(
            phases(&Spool::open(&path, NOW).unwrap()),
            [(token(1), Phase::Starting)]
        );
    }
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs_err::write(&path, &damaged).unwrap();
    assert_eq!(
        phases(&Spool::open(&path, NOW).unwrap()),
        [(token(1), Phase::Accepted)]
    );
}

#[test]
fn another_file_is_refused_and_kept() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("spool");
    fs_err::write(&path, "FHSPOOL2 and more").unwrap();
    assert!(matches!(Spool::open(&path, NOW), Err(AgentError::Spool { .. })));
    assert_eq!(fs_err::read(&path).unwrap(), b"FHSPOOL2 and more");
}

#[test]
fn it_is_rewritten_when_most_of_it_is_garbage() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("spool");
    let mut spool = Spool::open(&path, NOW).unwrap();
    let work = "x".repeat(10_000);
    let mut largest = 0;
    for n in 0..=255 {
        spool
            .commit(vec![met(n, &work), lease(n, Phase::Accepted, NOW)], false)
            .unwrap();
        spool
            .commit(vec![lease(n, Phase::Tombstone, NOW)], false)
            .unwrap();
        spool
            .commit(
                vec![
                    Record::Erase { token: token(n) },
                    Record::Dial {
                        count: u64::from(n),
                        left: false,
                    },
                ],
                true,
            )
            .unwrap();
        largest = largest.max(spool.size());
    }
    spool
        .commit(vec![met(1, "kept"), lease(1, Phase::Running, NOW)], true)
        .unwrap();
    assert!(
        largest < COMPACT_BYTES + 20_000 && spool.size() < COMPACT_BYTES,
        "{largest} {}",
        spool.size()
    );
    drop(spool);
    let spool = Spool::open(&path, NOW).unwrap();
    assert_eq!(
        (spool.dials(), phases(&spool)),
        (255, vec![(token(1), Phase::Running)])
    );
    assert_eq!(spool.held()[&token(1)].meta.work_json, "kept");
}

#[test]
fn old_tombstones_go_and_results_never() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("spool");
    let mut spool = Spool::open(&path, NOW).unwrap();
    let lost = Phase::Finished {
        ending: protocol::agent::Ending::Lost,
    };
    let records = vec![
        met(1, ""),
        lease(1, Phase::Tombstone, NOW),
        met(2, ""),
        lease(2, lost.clone(), NOW),
    ];
    spool.commit(records, true).unwrap();
    drop(spool);
    assert_eq!(
        phases(&Spool::open(&path, NOW.plus(TOMBSTONE_MS)).unwrap()).len(),
        2
    );
    assert_eq!(
        phases(&Spool::open(&path, NOW.plus(TOMBSTONE_MS + 1)).unwrap()),
        [(token(2), lost)]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn compaction_changes_nothing(steps in proptest::collection::vec((0_u8..6, 0_u8..4), 1..60)) {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("spool");
        let mut spool = Spool::open(&path, NOW).unwrap();
        for (n, what) in steps {
            let records = match what {
                0 if !spool.held().contains_key(&token(n)) => vec![met(n, "w"), lease(n, Phase::Accepted, NOW)],
                1 => vec![lease(n, Phase::Running, NOW)],
                2 => vec![lease(n, Phase::Tombstone, NOW)],
                _ => vec![Record::Erase { token: token(n) }],
            };
            spool.commit(records, false).unwrap();
        }
        let before = phases(&spool);
        spool.compact().unwrap();
        prop_assert_eq!(&phases(&spool), &before);
        let size: u64 = spool.live_bytes;
        drop(spool);
        let spool = Spool::open(&path, NOW).unwrap();
        prop_assert_eq!(phases(&spool), before);
        prop_assert!(spool.live_bytes <= size);
    }
}

/// A spool as the first version left it: an attempt that is acknowledged, one that runs, one whose result the server has
/// not. It is never changed: a form that comes later gets a file of its own.
#[test]
fn a_spool_of_the_first_version_opens_with_all_that_it_holds() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("spool");
    fs_err::write(&path, include_bytes!("../../tests/fixtures/spool.v1")).unwrap();
    let spool = Spool::open(&path, Timestamp::from_unix_ms(1_795_621_900_000)).unwrap();
    assert_eq!(spool.dials(), 1);
    let held: Vec<_> = spool
        .held()
        .values()
        .map(|held| {
            (
                held.meta.key.step.as_str(),
                &held.lease.phase,
                held.meta.work().is_ok(),
            )
        })
        .collect();
    let [done, long, ends] = held.as_slice() else {
        panic!("{held:?}");
    };
    assert!(matches!(done, ("done", Phase::Tombstone, _)), "{done:?}");
    assert!(matches!(long, ("long", Phase::Running, true)), "{long:?}");
    let ("ends", Phase::Finished { ending }, _) = ends else {
        panic!("{ends:?}");
    };
    let protocol::agent::Ending::Finished { result } = ending else {
        panic!("{ending:?}");
    };
    assert_eq!(result.exit.as_ref().and_then(|exit| exit.code), Some(3));
}

/// A spool of some leases, and where each of its commits ends.
fn some(path: &Path) -> Vec<(u64, Vec<(LeaseToken, Phase<types::AttemptReport>)>)> {
    let mut spool = Spool::open(path, NOW).unwrap();
    let mut ends = vec![(spool.size(), phases(&spool))];
    for n in 1..6 {
        for records in [
            vec![
                met(n, "{}"),
                lease(n, Phase::Accepted, NOW),
                lease(n, Phase::Starting, NOW),
            ],
            vec![lease(n, Phase::Running, NOW)],
        ] {
            spool.commit(records, true).unwrap();
            ends.push((spool.size(), phases(&spool)));
        }
    }
    ends
}

/// Power is lost at each sync in turn: what was written since the one before is there in part, as zeros, as rubbish, or
/// not at all, and never what was synced.
#[test]
fn power_lost_at_each_sync_loses_nothing_that_was_synced() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("spool");
    let ends = some(&path);
    let bytes = fs_err::read(&path).unwrap();
    let (mut points, mut states) = (0, 0);
    for pair in ends.windows(2) {
        let [(synced, before), (written, after)] = pair else {
            unreachable!()
        };
        let (synced, written) = (
            usize::try_from(*synced).unwrap(),
            usize::try_from(*written).unwrap(),
        );
        points += 1;
        for torn in (synced..=written).step_by(53).chain([written]) {
            for rest in [0_u8, 0xa5] {
                for reaches in [torn, written] {
                    let mut disk = bytes[..torn].to_vec();
                    disk.resize(reaches, rest);
                    fs_err::write(&path, &disk).unwrap();
                    let spool = Spool::open(&path, NOW).unwrap();
                    states += 1;
                    let held = phases(&spool);
                    let known = |(token, phase): &(LeaseToken, Phase<types::AttemptReport>)| {
                        before.contains(&(token.clone(), phase.clone()))
                            || after.iter().any(|(other, _)| other == token)
                    };
                    assert!(held.iter().all(known), "sync {points}, torn at {torn}: {held:?}");
                    for (token, phase) in before {
                        let now = held
                            .iter()
                            .find(|(other, _)| other == token)
                            .map(|(_, phase)| phase);
                        let later = after
                            .iter()
                            .find(|(other, _)| other == token)
                            .map(|(_, phase)| phase);
                        assert!(
                            now == Some(phase) || now == later,
                            "sync {points}, torn at {torn}: {token} {now:?}"
                        );
                    }
                    if torn == written {
                        assert_eq!(&held, after);
                    }
                }
            }
        }
    }
    eprintln!("{points} syncs, {states} states of the disk, 0 synced records lost");
}

/// What each damage left is kept under a number of its own, and only so many are.
#[test]
fn damaged_spools_are_kept_beside_each_other_and_bounded() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("spool");
    let mut was = Vec::new();
    for round in 1..=10_u32 {
        some(&path);
        let mut damaged = fs_err::read(&path).unwrap();
        // The first record: whole ones follow it.
        damaged[20] ^= 1 << (round % 7);
        fs_err::write(&path, &damaged).unwrap();
        drop(Spool::open(&path, NOW).unwrap());
        was.push(damaged);
        fs_err::remove_file(&path).unwrap();
    }
    let kept = |number: usize| fs_err::read(path.with_extension(format!("damaged-{number}"))).ok();
    for number in 1..=10 {
        let expected = (number > 2).then(|| was[number - 1].clone());
        assert_eq!(kept(number), expected, "copy {number}");
    }
    let left: Vec<_> = fs_err::read_dir(tmp.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 8, "nothing else is left: {left:?}");
}

/// Each bit of a spool flips in turn: one record is skipped and said, all others hold; or the file is refused.
#[test]
fn a_flipped_bit_costs_one_record_and_is_found() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("spool");
    let ends = some(&path);
    let whole = &ends.last().unwrap().1;
    let bytes = fs_err::read(&path).unwrap();
    let (mut refused, mut skipped, mut torn) = (0, 0, 0);
    for bit in (0..bytes.len() * 8).step_by(101) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs_err::write(&path, &damaged).unwrap();
        let spool = match Spool::open(&path, NOW) {
            Err(AgentError::Spool { .. }) => {
                refused += 1;
                continue;
            }
            opened => opened.unwrap(),
        };
        let (kept, held) = (path.with_extension("damaged-1"), phases(&spool));
        let doubts = |spool: &Spool| spool.held().values().all(|held| held.doubted);
        let is_damaged = kept.exists();
        assert!(
            !is_damaged || doubts(&spool),
            "bit {bit}: nobody says what never started"
        );
        if is_damaged {
            skipped += 1;
            assert_eq!(fs_err::read(&kept).unwrap(), damaged, "it is kept as it was");
            fs_err::remove_file(&kept).unwrap();
        } else {
            // The last record: it cannot be told from a torn one.
            torn += 1;
        }
        assert!(held.len() + 1 >= whole.len(), "bit {bit}: {held:?}");
        for (token, phase) in &held {
            assert!(
                *phase == Phase::Running || *phase == Phase::Starting,
                "bit {bit}: {token} {phase:?}"
            );
        }
        let other = held.iter().filter(|one| !whole.contains(one)).count() + whole.len() - held.len();
        assert!(other <= 1, "bit {bit}: {held:?}");
        drop(spool);
        let mut again = Spool::open(&path, NOW).unwrap();
        assert_eq!(phases(&again), held, "bit {bit}: the same again");
        let on = (1..=9).filter(|n| again.held().contains_key(&token(*n)));
        let on: Vec<Record> = on.map(|n| lease(n, Phase::Running, NOW)).collect();
        again.commit(on, true).unwrap();
        assert!(
            !is_damaged || doubts(&again),
            "bit {bit}: nor after the next record"
        );
        assert!(!kept.exists(), "bit {bit}: it is met once");
    }
    eprintln!("{refused} refused, {skipped} skipped and said, {torn} cut as torn and said, 0 silent");
    assert!(
        refused > 0 && skipped > torn && torn > 0,
        "{refused} {skipped} {torn}"
    );
}
