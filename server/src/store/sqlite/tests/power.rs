//! Power is lost at each flush in turn. A process writes under strace; from its system calls the disk is made as it may be
//! at each moment: what was flushed is there, of what was written since then any part, down to a sector.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Stdio,
};

use tempfile::TempDir;

use super::{
    again, command,
    crash::{DIR, STEPS, check},
    open,
};
use crate::store::{
    Store as _,
    conformance::sample::{only, to_run},
};

/// Steps of the process.
const TAKEN: u16 = 9;
/// What a disk writes whole.
const SECTOR: usize = 512;
const FILES: [&str; 4] = ["history.db", "history.db-wal", "logs.db", "logs.db-wal"];

/// A system call that matters.
#[derive(Debug)]
enum Call {
    Write {
        file: &'static str,
        at: usize,
        data: Vec<u8>,
    },
    Cut {
        file: &'static str,
        to: usize,
    },
    Flush {
        file: &'static str,
    },
    Acknowledged(String),
}

/// `\x0a\xff` as strace prints data and paths.
fn bytes(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER
        .decode(text.replace("\\x", "").as_bytes())
        .unwrap()
}

/// What stands in quotes.
fn data(args: &str) -> Vec<u8> {
    bytes(args.split('"').nth(1).unwrap_or_default())
}

fn calls(trace: &str) -> Vec<Call> {
    let mut flushing = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if call.starts_with("<... fdatasync resumed>") || call.starts_with("<... fsync resumed>") {
            calls.extend(flushing.remove(thread).map(|file| Call::Flush { file }));
            continue;
        }
        let Some((name, args)) = call.split_once('(') else {
            continue;
        };
        let path = bytes(args.split(['<', '>']).nth(1).unwrap_or_default());
        let path = String::from_utf8_lossy(&path);
        let file = FILES.into_iter().find(|file| path.ends_with(&format!("/{file}")));
        // The arguments behind the data, or behind the file.
        let rest = args.rsplit('"').next().unwrap_or(args);
        let number = |n: usize| -> Option<usize> {
            let argument = rest.split([',', ')']).nth(n)?;
            argument.split_whitespace().next()?.parse().ok()
        };
        match (name, file) {
            ("pwrite64", Some(file)) => calls.push(Call::Write {
                file,
                at: number(2).unwrap(),
                data: data(args),
            }),
            ("ftruncate", Some(file)) => {
                let to = number(1).unwrap();
                calls.push(Call::Cut { file, to });
            }
            ("fdatasync" | "fsync", Some(file)) if call.contains("<unfinished") => {
                flushing.insert(thread.to_owned(), file);
            }
            ("fdatasync" | "fsync", Some(file)) => calls.push(Call::Flush { file }),
            ("write", None) => {
                let text = String::from_utf8_lossy(&data(args)).into_owned();
                let told = text
                    .lines()
                    .filter(|line| line.starts_with("step ") || line.starts_with("log "));
                calls.extend(told.map(|line| Call::Acknowledged(line.to_owned())));
            }
            _ => {}
        }
    }
    calls
}

/// A file: what is certain, and what was written since.
#[derive(Default, Clone)]
struct OnDisk {
    flushed: Vec<u8>,
    since: Vec<(usize, Vec<u8>)>,
}

fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    bytes.resize(bytes.len().max(at + data.len()), 0);
    bytes[at..at + data.len()].copy_from_slice(data);
}

impl OnDisk {
    fn flush(&mut self) {
        for (at, data) in self.since.drain(..) {
            put(&mut self.flushed, at, &data);
        }
    }

    /// After the power is back: of each sector written since the flush `kept` says whether it made it.
    fn after(&self, mut kept: impl FnMut() -> bool) -> Vec<u8> {
        let mut bytes = self.flushed.clone();
        for (at, data) in &self.since {
            for (n, sector) in data.chunks(SECTOR).enumerate() {
                if kept() {
                    put(&mut bytes, at + n * SECTOR, sector);
                }
            }
        }
        bytes
    }
}

type Disk = BTreeMap<&'static str, OnDisk>;

fn traced(dir: &Path) -> Vec<Call> {
    let trace = dir.with_extension("trace");
    let words = [
        "strace",
        "-f",
        "-y",
        "-xx",
        "-s",
        "1000000",
        "-e",
        "trace=pwrite64,ftruncate,fsync,fdatasync,write",
        "-o",
    ];
    let words = words
        .into_iter()
        .map(str::to_owned)
        .chain([trace.display().to_string()]);
    let tests = module_path!().replace("power", "crash");
    let words: Vec<String> = words.chain(again(&tests, "killed_at_each_commit")).collect();
    let output = command(&words)
        .env(DIR, dir)
        .env(STEPS, TAKEN.to_string())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = fs::read_to_string(&trace).unwrap();
    fs::remove_file(trace).unwrap();
    calls(&text)
}

fn disk_of(dir: &Path) -> Disk {
    let file = |name: &&'static str| {
        let flushed = fs::read(dir.join(name)).unwrap_or_default();
        (
            *name,
            OnDisk {
                flushed,
                since: Vec::new(),
            },
        )
    };
    FILES.iter().map(file).collect()
}

/// The machine comes back with this: the store opens, whole, with all that was acknowledged.
async fn comes_back(disk: &Disk, acks: &[String], mut kept: impl FnMut() -> bool) {
    let dir = TempDir::new().unwrap();
    for (name, file) in disk {
        let bytes = file.after(&mut kept);
        if !bytes.is_empty() {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
    }
    check(dir.path(), acks, TAKEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_lost_at_each_flush_loses_nothing_acknowledged() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).await.close().await;
    let mut disk = disk_of(dir.path());
    let (mut acks, mut points, mut states) = (Vec::new(), 0_u32, 0_u32);
    let mut lost_otherwise = BTreeSet::new();
    for call in traced(dir.path()) {
        match call {
            Call::Write { file, at, data } => disk.get_mut(file).unwrap().since.push((at, data)),
            // It takes hold at once, or with the next flush: only shorter logs come of it, which are of no use any more.
            Call::Cut { file, to } => disk.get_mut(file).unwrap().flushed.truncate(to),
            Call::Acknowledged(what) => acks.push(what),
            Call::Flush { file } => {
                points += 1;
                lost_otherwise.insert(file);
                let mut random = u64::from(points) | 1 << 63;
                let mut coin = || {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random & 1 == 1
                };
                comes_back(&disk, &acks, || false).await;
                comes_back(&disk, &acks, || true).await;
                comes_back(&disk, &acks, &mut coin).await;
                states += 3;
                disk.get_mut(file).unwrap().flush();
            }
        }
    }
    assert_eq!(acks.len(), usize::from(TAKEN) * 2, "{acks:?}");
    assert!(
        points > 6 && lost_otherwise.len() > 1,
        "{points} flushes of {lost_otherwise:?}"
    );
    comes_back(&disk, &acks, || false).await;
    eprintln!("{points} flushes, {states} states of the disk, 0 acknowledged commits lost");
}

/// The write-ahead log is cut off, or a bit of it flips: what comes back is a whole beginning of what was written, never
/// anything else.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_cut_or_damaged_gives_a_whole_beginning() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).await;
    for n in 1..=20 {
        store.append(only(to_run(n, 0, 2))).await.unwrap();
    }
    let all = store.events_after(0, 99).await.unwrap();
    let disk = disk_of(dir.path());
    store.close().await;
    let log = disk["history.db-wal"].flushed.len();
    let (mut whole, mut shorter) = (0, 0);
    for at in (0..log).step_by(20_011) {
        for flips in [true, false] {
            let mut damaged = disk.clone();
            let bytes = &mut damaged.get_mut("history.db-wal").unwrap().flushed;
            if flips {
                bytes[at] ^= 1 << (at % 8);
            } else {
                bytes.truncate(at);
            }
            let dir = TempDir::new().unwrap();
            for (name, file) in &damaged {
                fs::write(dir.path().join(name), &file.flushed).unwrap();
            }
            let store = open(dir.path()).await;
            let there = store.events_after(0, 99).await.unwrap();
            store.close().await;
            assert_eq!(there, all[..there.len()], "at {at}, flipped: {flips}");
            assert!(there.len().is_multiple_of(2), "half a transaction, at {at}");
            if there.len() == all.len() {
                whole += 1;
            } else {
                shorter += 1;
            }
        }
    }
    eprintln!("{whole} whole, {shorter} whole beginnings, 0 of anything else");
    assert!(shorter > 10, "{whole} {shorter}");
}
