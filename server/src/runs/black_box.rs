//! What ends the whole process: a stack that overflows, an abort in a library. A panic is caught; these are not, and a server
//! that is started again would meet the same run again. So a process notes in a mapped file what it is at, without a flush:
//! the file outlives it, and its successor knows. What was noted in another boot of the host, which may have lost power,
//! blames nobody.

use std::{
    collections::BTreeMap,
    fs::{File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use memmap2::MmapMut;
use serde::{Deserialize, Serialize};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use types::{RunId, limits};

/// The mapped file: the boot, then what is under way.
const UNDER_WAY: &str = "under-way";
/// What of it ended processes, and how often.
const COUNTS: &str = "deaths.json";
/// A line of the mapped file.
const LINE: usize = 64;
/// What may be under way and noted at once; more goes unnoted.
const LINES: usize = 256;
/// What is remembered at most; the oldest goes first.
const REMEMBERED: usize = 1_000;

/// What a process may be at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doing {
    /// It reads a run's history.
    Load(RunId),
    /// It decides what becomes of a run.
    Decide(RunId),
    /// It begins a run of the definition with this digest.
    Begin(String),
}

impl Doing {
    /// Whom a death is counted for.
    fn whom(&self) -> String {
        match self {
            Self::Load(id) | Self::Decide(id) => id.to_string(),
            // Enough of a SHA-256 to tell definitions apart.
            Self::Begin(digest) => digest
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .take(40)
                .collect(),
        }
    }

    const fn at(&self) -> At {
        match self {
            Self::Load(_) => At::Load,
            Self::Decide(_) => At::Decide,
            Self::Begin(_) => At::Begin,
        }
    }
}

/// Where it died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum At {
    Load,
    Decide,
    Begin,
}

impl At {
    const fn letter(self) -> u8 {
        match self {
            Self::Load => b'l',
            Self::Decide => b'd',
            Self::Begin => b'b',
        }
    }

    const fn of(letter: u8) -> Option<Self> {
        match letter {
            b'l' => Some(Self::Load),
            b'd' => Some(Self::Decide),
            b'b' => Some(Self::Begin),
            _ => None,
        }
    }
}

/// Deaths over one run or definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deaths {
    pub(super) count: u32,
    /// The last one.
    pub(super) at: At,
}

/// Too many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadly(Deaths);

impl std::fmt::Display for Deadly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Deaths { count, at } = self.0;
        let what = match at {
            At::Load => "reading its history",
            At::Decide => "deciding what becomes of it",
            At::Begin => "beginning a run of this definition",
        };
        write!(f, "{what} has ended this server's process {count} times")
    }
}

/// What was under way when earlier processes died, and what is now.
#[derive(Default)]
pub(crate) struct BlackBox {
    lines: Option<Mutex<Lines>>,
    earlier: BTreeMap<String, Deaths>,
    /// What is suspected goes alone: the next death tells.
    turns: RwLock<()>,
}

struct Lines {
    map: MmapMut,
    used: Vec<bool>,
}

/// As long as it is held, its death is noted.
pub(crate) struct Turn<'a> {
    black_box: &'a BlackBox,
    line: Option<usize>,
    _turn: Lock<'a>,
}

enum Lock<'a> {
    Beside { _lock: RwLockReadGuard<'a, ()> },
    Alone { _lock: RwLockWriteGuard<'a, ()> },
}

impl BlackBox {
    /// Reads what the process before this one noted in a directory that is this process's alone, and goes on there. Where
    /// that cannot be, it is said, and the server does without: it must start all the same.
    pub(crate) fn open(dir: &Path) -> Self {
        let mut black_box = Self::default();
        match black_box.take_over(dir) {
            Ok(lines) => black_box.lines = Some(Mutex::new(lines)),
            Err(error) => tracing::error!(
                dir = %dir.display(), %error,
                "cannot note what this server is at: should a run end this process, the next one will not know"
            ),
        }
        black_box
    }

    fn take_over(&mut self, dir: &Path) -> io::Result<Lines> {
        let (counts, under_way) = (dir.join(COUNTS), dir.join(UNDER_WAY));
        if let Some(bytes) = read(&counts)? {
            self.earlier = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!(file = %counts.display(), %error, "cannot be read: earlier deaths are not known");
                BTreeMap::new()
            });
        }
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let blamed = read(&under_way)?.map_or_else(Vec::new, |bytes| noted(&bytes, boot.trim()));
        for (whom, at) in &blamed {
            let count = self
                .earlier
                .get(whom)
                .map_or(0, |deaths| deaths.count)
                .saturating_add(1);
            self.earlier.insert(whom.clone(), Deaths { count, at: *at });
            tracing::error!(
                whom,
                ?at,
                count,
                most = limits::RUN_DEFECTS,
                "the process before this one died at it"
            );
        }
        while self.earlier.len() > REMEMBERED {
            // Digests first, then the runs that began first.
            self.earlier.pop_first();
        }
        if !blamed.is_empty() {
            // Before what blames is written over.
            replace(&counts, &serde_json::to_vec(&self.earlier)?)?;
        }
        Ok(Lines {
            map: mapped(&under_way, boot.trim())?,
            used: vec![false; LINES],
        })
    }

    pub(super) fn deaths(&self, doing: &Doing) -> Option<Deaths> {
        self.earlier.get(&doing.whom()).copied()
    }

    /// Whether too many processes died over it. That one died over a decision says nothing of reading.
    pub(super) fn deadly(&self, doing: &Doing) -> Option<Deadly> {
        let deaths = self.deaths(doing)?;
        let holds = deaths.at != At::Decide || matches!(doing, Doing::Decide(_));
        (deaths.count >= limits::RUN_DEFECTS && holds).then_some(Deadly(deaths))
    }

    /// Notes what is done until the answer is dropped.
    pub(crate) async fn turn(&self, doing: &Doing) -> Turn<'_> {
        let whom = doing.whom();
        let turn = if self.earlier.contains_key(&whom) {
            Lock::Alone {
                _lock: self.turns.write().await,
            }
        } else {
            Lock::Beside {
                _lock: self.turns.read().await,
            }
        };
        Turn {
            line: self.note(doing.at(), &whom),
            black_box: self,
            _turn: turn,
        }
    }

    fn note(&self, at: At, whom: &str) -> Option<usize> {
        let mut lines = self
            .lines
            .as_ref()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let free = lines.used.iter().position(|used| !used)?;
        let mut line = [b' '; LINE];
        line[LINE - 1] = b'\n';
        line[2..]
            .iter_mut()
            .zip(whom.bytes().take(LINE - 3))
            .for_each(|(to, from)| *to = from);
        line[0] = at.letter();
        lines.used[free] = true;
        let start = LINE * (free + 1);
        lines.map[start..start + LINE].copy_from_slice(&line);
        Some(free)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let (Some(line), Some(lines)) = (self.line, &self.black_box.lines) {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.map[LINE * (line + 1)] = b' ';
            lines.used[line] = false;
        }
    }
}

/// What is noted as under way in this boot.
fn noted(bytes: &[u8], boot: &str) -> Vec<(String, At)> {
    let mut lines = bytes.chunks_exact(LINE);
    let text = |line: &[u8]| String::from_utf8_lossy(line).trim().to_owned();
    if lines.next().map(text).as_deref() != Some(boot) {
        return Vec::new();
    }
    let mut found: Vec<(String, At)> = lines
        .filter_map(|line| Some((text(&line[2..]), At::of(line[0])?)))
        .collect();
    // Read twice at once, it is still one death.
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.dedup_by(|a, b| a.0 == b.0);
    found
}

#[expect(unsafe_code, reason = "a file is mapped; the block says why it is sound")]
fn mapped(path: &Path, boot: &str) -> io::Result<MmapMut> {
    let mut blank = vec![b' '; LINE * (LINES + 1)];
    blank
        .chunks_exact_mut(LINE)
        .for_each(|line| line[LINE - 1] = b'\n');
    blank
        .iter_mut()
        .zip(boot.bytes().take(LINE - 1))
        .for_each(|(to, from)| *to = from);
    // A new one each time: a process that still maps the old one does not write here.
    replace(path, &blank)?;
    let file = File::options().read(true).write(true).open(path)?;
    // SAFETY: the file has just been made whole, in a directory that belongs to this process alone (the store's lock is
    // held), and nothing shortens it.
    unsafe { MmapMut::map_mut(&file) }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new: PathBuf = path.with_extension("new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use types::Timestamp;

    use super::*;

    fn run(n: u8) -> RunId {
        RunId::new(Timestamp::from_unix_ms(1), [n; 10])
    }

    /// As a process that dies: nothing is dropped.
    async fn die_at(dir: &Path, doing: &[Doing]) {
        let black_box = BlackBox::open(dir);
        for one in doing {
            std::mem::forget(black_box.turn(one).await);
        }
        std::mem::forget(black_box);
    }

    #[tokio::test]
    async fn what_a_process_was_at_when_it_died_is_known_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let [bad, good, ill] = [
            Doing::Decide(run(1)),
            Doing::Load(run(2)),
            Doing::Begin("ab12".into()),
        ];
        {
            let black_box = BlackBox::open(dir.path());
            drop(black_box.turn(&good).await);
        }
        die_at(dir.path(), &[bad.clone(), ill.clone()]).await;
        die_at(dir.path(), &[Doing::Load(run(1))]).await;
        let black_box = BlackBox::open(dir.path());
        let two = Deaths {
            count: 2,
            at: At::Load,
        };
        assert_eq!(black_box.deaths(&bad), Some(two));
        assert_eq!(black_box.deaths(&ill).map(|deaths| deaths.count), Some(1));
        assert_eq!(black_box.deaths(&good), None);
        assert_eq!(black_box.deadly(&bad), None);
        drop(black_box);
        die_at(dir.path(), std::slice::from_ref(&bad)).await;
        let black_box = BlackBox::open(dir.path());
        assert!(black_box.deadly(&bad).is_some());
        // It can still be read, to be ended in order.
        assert_eq!(black_box.deadly(&Doing::Load(run(1))), None);
        // Once more without a death: it is not counted again.
        assert_eq!(BlackBox::open(dir.path()).deaths(&bad).unwrap().count, 3);
    }

    #[tokio::test]
    async fn what_is_suspected_goes_alone() {
        let dir = tempfile::tempdir().unwrap();
        let [suspect, other] = [Doing::Decide(run(1)), Doing::Decide(run(2))];
        die_at(dir.path(), std::slice::from_ref(&suspect)).await;
        let black_box = BlackBox::open(dir.path());
        let alone = black_box.turn(&suspect).await;
        let moment = std::time::Duration::from_millis(50);
        assert!(
            tokio::time::timeout(moment, black_box.turn(&other))
                .await
                .is_err()
        );
        drop(alone);
        let _one = black_box.turn(&other).await;
        let _beside = tokio::time::timeout(moment, black_box.turn(&other))
            .await
            .unwrap();
        assert!(
            tokio::time::timeout(moment, black_box.turn(&suspect))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn another_boot_blames_nobody_and_damage_keeps_nobody_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        let bad = Doing::Decide(run(1));
        die_at(dir.path(), std::slice::from_ref(&bad)).await;
        let path = dir.path().join(UNDER_WAY);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] = b'?';
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(BlackBox::open(dir.path()).deaths(&bad), None);
        std::fs::write(&path, b"short").unwrap();
        std::fs::write(dir.path().join(COUNTS), b"{").unwrap();
        assert_eq!(BlackBox::open(dir.path()).deaths(&bad), None);
    }

    #[tokio::test]
    async fn more_than_there_are_lines_for_goes_unnoted_and_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let black_box = BlackBox::open(dir.path());
        let mut turns = Vec::new();
        for _ in 0..LINES + 3 {
            turns.push(black_box.turn(&Doing::Load(run(7))).await);
        }
        assert_eq!(turns.iter().filter(|turn| turn.line.is_some()).count(), LINES);
        drop(turns);
        assert!(black_box.turn(&Doing::Load(run(7))).await.line.is_some());
    }
}
