//! What attempts that are over leave behind emptied, for attempts to come: their directories, and the notes about them.
//!
//! Before it gives out an inode, ext4 passes over every one of its group that was deleted in the last minutes
//! (`recently_deleted` in the kernel's `fs/ext4/ialloc.c`): where many short steps run, to make a file costs more than all
//! that is done with it. What is kept here is renamed instead of made. It is thrown away when the runtime is opened.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use fs_err as fs;

use crate::attempt_dir::{LOCK, RECORD_ROOM, UNSTARTED, blank_record};

/// How many are kept: what comes and goes at once on a busy host.
const MOST: usize = 64;
/// The files of a directory that are kept with it. Each of them means nothing when it is empty; the room for the record never does.
const KEPT: [&str; 7] = [LOCK, "job.json", "shim.log", "out", "err", UNSTARTED, RECORD_ROOM];

/// Directories or files below a directory of their own.
#[derive(Debug)]
pub(crate) struct Spares {
    dir: PathBuf,
    free: Mutex<Vec<PathBuf>>,
    /// In all, for their names.
    kept: AtomicU64,
}

impl Spares {
    /// None yet. Those of an earlier process are put aside before they are removed: whoever still knew one of them cannot take it
    /// while it is emptied.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        let there = |done: io::Result<()>| match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
        let aside = dir.with_extension("gone");
        there(fs::remove_dir_all(&aside))?;
        there(fs::rename(&dir, &aside))?;
        there(fs::remove_dir_all(&aside))?;
        Ok(Self {
            dir,
            free: Mutex::default(),
            kept: AtomicU64::new(0),
        })
    }

    /// One of them at this path, where nothing is yet; false when there is none.
    pub(crate) fn take(&self, to: &Path) -> bool {
        if to.exists() {
            return false;
        }
        // Whatever is wrong with it, another one can be made.
        self.file().is_some_and(|spare| fs::rename(spare, to).is_ok())
    }

    /// One of them where it lies, to be written and renamed by the caller.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Empties an attempt's directory and keeps it; false when there are enough. Its lock is let go when nobody can find the
    /// directory any more, and before anybody is given it.
    ///
    /// # Errors
    /// It is still there, and not as it was.
    pub(crate) fn keep_dir(&self, dir: &Path, lock: &File) -> io::Result<bool> {
        if self.is_full() {
            return Ok(false);
        }
        empty(dir)?;
        let spare = self.put(dir)?;
        // Not only closed: a process that this one has just forked has it too, until it executes its program.
        lock.unlock()?;
        self.give(spare);
        Ok(true)
    }

    /// Keeps a file; false when there are enough.
    ///
    /// # Errors
    /// It is still there.
    pub(crate) fn keep_file(&self, file: &Path) -> io::Result<bool> {
        if self.is_full() {
            return Ok(false);
        }
        truncate(file)?;
        let spare = self.put(file)?;
        self.give(spare);
        Ok(true)
    }

    fn is_full(&self) -> bool {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).len() >= MOST
    }

    /// Where it lies now.
    fn put(&self, path: &Path) -> io::Result<PathBuf> {
        let number = self.kept.fetch_add(1, Ordering::Relaxed);
        let spare = self.dir.join(number.to_string());
        match fs::rename(path, &spare) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => {
                std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&self.dir)?;
                fs::rename(path, &spare)?;
            }
            renamed => renamed?,
        }
        Ok(spare)
    }

    fn give(&self, spare: PathBuf) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(spare);
    }
}

/// Leaves nothing in it but some empty files. The record of the end becomes the room for the next one, by its name before it is
/// emptied. The marker of the start waits under another name, too.
fn empty(dir: &Path) -> io::Result<()> {
    for (name, kept) in [("exit.json", RECORD_ROOM), ("started", UNSTARTED)] {
        match fs::rename(dir.join(name), dir.join(kept)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, meta) = (entry.path(), entry.metadata()?);
        if meta.is_dir() {
            fs::remove_dir_all(path)?;
        } else if meta.is_file() && meta.nlink() == 1 && KEPT.iter().any(|name| entry.file_name() == *name) {
            // Its blocks stay: to free them, and to take others for the next one, is what costs.
            if entry.file_name() == RECORD_ROOM {
                blank_record(&path)?;
            } else if meta.len() > 0 {
                truncate(&path)?;
            }
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn truncate(file: &Path) -> io::Result<()> {
    File::options()
        .write(true)
        .truncate(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(file)
        .map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::AttemptDir;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn lock(dir: &Path) -> File {
        AttemptDir::new(dir).try_lock().unwrap().unwrap()
    }

    #[test]
    fn a_directory_comes_back_with_empty_files_and_nothing_else() {
        let tmp = tempfile::tempdir().unwrap();
        let spares = Spares::open(tmp.path().join("spare")).unwrap();
        let (one, two) = (tmp.path().join("one"), tmp.path().join("two"));
        assert!(!spares.take(&two), "there is none");
        fs::create_dir_all(one.join("files/below")).unwrap();
        for name in [
            "job.json",
            "out",
            "err",
            "exit.json",
            "started",
            "stop",
            "sent-out",
        ] {
            fs::write(one.join(name), "secret").unwrap();
        }
        symlink("/etc/passwd", one.join("shim.log")).unwrap();
        assert!(spares.keep_dir(&one, &lock(&one)).unwrap());
        assert!(!one.exists() && spares.take(&two));
        drop(lock(&two));
        assert_eq!(
            names(&two),
            ["err", "exit.json.tmp", "job.json", "lock", "out", "unstarted"]
        );
        for name in names(&two) {
            let said = fs::read(two.join(&name)).unwrap();
            let expected: &[u8] = if name == RECORD_ROOM { &[0; 6] } else { b"" };
            assert_eq!(said, expected, "{name}");
        }
        assert!(fs::metadata("/etc/passwd").unwrap().len() > 0);
        assert!(!spares.take(&one), "it is taken");
    }

    #[test]
    fn one_that_cannot_be_emptied_stays_and_is_not_given_out() {
        let tmp = tempfile::tempdir().unwrap();
        let spares = Spares::open(tmp.path().join("spare")).unwrap();
        let one = tmp.path().join("one");
        fs::create_dir(&one).unwrap();
        let held = lock(&one);
        fs::remove_dir_all(&one).unwrap();
        spares.keep_dir(&one, &held).unwrap_err();
        fs::create_dir(&one).unwrap();
        assert!(spares.keep_dir(&one, &lock(&one)).unwrap());
        // Somebody else's in its place: the spare one is still there afterwards.
        fs::create_dir(&one).unwrap();
        assert!(!spares.take(&one));
        assert!(spares.take(&tmp.path().join("two")));
    }

    #[test]
    fn there_are_not_more_than_enough_and_none_after_a_restart() {
        let tmp = tempfile::tempdir().unwrap();
        let open = || Spares::open(tmp.path().join("spare")).unwrap();
        let spares = open();
        let keep = |n: usize| {
            let dir = tmp.path().join(n.to_string());
            fs::create_dir(&dir).unwrap();
            spares.keep_dir(&dir, &lock(&dir)).unwrap()
        };
        assert!((0..MOST).all(keep));
        assert!(!keep(MOST));
        let again = open();
        assert!(!again.take(&tmp.path().join("new")));
        assert!(
            !spares.take(&tmp.path().join("new")),
            "nor are the old ones there"
        );
    }
}
