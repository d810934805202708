//! The places, in debug builds.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use nix::sys::signal::{Signal, raise};

/// What to do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Kill,
    Stop,
    Panic,
    Sleep(u64),
}

/// The file's text: on which visit, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Armed {
    visit: Visit,
    deed: Deed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    Nth(u64),
    Every,
}

pub(crate) fn dir() -> Option<&'static Path> {
    static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();
    DIR.get_or_init(|| std::env::var_os(crate::VARIABLE).map(PathBuf::from))
        .as_deref()
}

pub(crate) fn reach(place: &str) {
    if let Some(deed) = dir().and_then(|dir| take(dir, place)) {
        carry_out(deed, place);
    }
}

pub(crate) fn reach_of(place: &str, what: &str) {
    if dir().is_some() {
        reach(place);
        reach(&format!("{place}@{}", what.replace('/', ".")));
    }
}

/// The deed, when this is the visit that counts. Visits of one process are counted one after the other.
fn take(dir: &Path, place: &str) -> Option<Deed> {
    static ONE: Mutex<()> = Mutex::new(());
    let file = dir.join(place);
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = fs::read_to_string(&file).ok()?;
    let Some(armed) = parse(&text) else {
        panic!(
            "{}: {text:?} is no `[VISIT | every] kill | stop | panic | sleep MS`",
            file.display()
        );
    };
    let reached = dir.join(format!("{place}.reached"));
    let visit = match armed.visit {
        Visit::Nth(visit) => visit,
        Visit::Every => {
            let mut lines = fs::File::options().create(true).append(true).open(reached).ok()?;
            writeln!(lines, "{}", std::process::id()).ok()?;
            return Some(armed.deed);
        }
    };
    if visit > 1 {
        // Put in its place whole, so that another process never reads a half.
        let next = text.trim_start().split_once(' ').map_or("", |(_, deed)| deed);
        let new = dir.join(format!("{place}.{}", std::process::id()));
        fs::write(&new, format!("{} {next}", visit - 1)).ok()?;
        fs::rename(&new, &file).ok()?;
        return None;
    }
    // Whoever renames it has it.
    fs::rename(&file, reached).ok()?;
    Some(armed.deed)
}

fn parse(text: &str) -> Option<Armed> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (visit, deed) = match words.as_slice() {
        ["every", rest @ ..] => (Visit::Every, rest),
        [first, rest @ ..] if first.parse::<u64>().is_ok() => (Visit::Nth(first.parse().ok()?), rest),
        all => (Visit::Nth(1), all),
    };
    let deed = match deed {
        ["kill"] => Deed::Kill,
        ["stop"] => Deed::Stop,
        ["panic"] => Deed::Panic,
        ["sleep", ms] => Deed::Sleep(ms.parse().ok()?),
        _ => return None,
    };
    (visit != Visit::Nth(0)).then_some(Armed { visit, deed })
}

fn carry_out(deed: Deed, place: &str) {
    let signal = match deed {
        Deed::Kill => Signal::SIGKILL,
        Deed::Stop => Signal::SIGSTOP,
        Deed::Sleep(ms) => return std::thread::sleep(Duration::from_millis(ms)),
        Deed::Panic => panic!("a test wants a panic at {place}"),
    };
    raise(signal).expect("a process may signal itself");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_a_file_says() {
        let armed = |visit, deed| Some(Armed { visit, deed });
        assert_eq!(parse("kill"), armed(Visit::Nth(1), Deed::Kill));
        assert_eq!(parse("3 stop\n"), armed(Visit::Nth(3), Deed::Stop));
        assert_eq!(parse("every panic"), armed(Visit::Every, Deed::Panic));
        for wrong in ["", "0 kill", "die", "stop 5", "1 2 kill"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_visit_that_counts_takes_it_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.b"), "3 stop").unwrap();
        let taken: Vec<_> = (0..5).map(|_| take(dir.path(), "a.b")).collect();
        assert_eq!(taken, [None, None, Some(Deed::Stop), None, None]);
        assert!(dir.path().join("a.b.reached").exists());
        assert_eq!(take(dir.path(), "a"), None);
    }

    #[test]
    fn every_visit_is_taken_and_noted() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a@b"), "every panic").unwrap();
        assert_eq!(take(dir.path(), "a@b"), Some(Deed::Panic));
        assert_eq!(take(dir.path(), "a@b"), Some(Deed::Panic));
        let noted = fs::read_to_string(dir.path().join("a@b.reached")).unwrap();
        assert_eq!(noted.lines().count(), 2);
    }
}
