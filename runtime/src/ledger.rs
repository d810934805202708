//! Which cgroups this runtime made: what is left of them can be told from other people's, whatever they are called.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::attempt_dir::create_empty;
use crate::cgroup::Delegated;
use crate::spares::Spares;
use crate::spec;

/// A file for each container below `STATE/made`, named by its id, with the attempt's directory in it, and behind a NUL the
/// part of the cgroups where its own was made, if that part was delegated. Not synced: a cgroup does not outlive a crash
/// of the host.
#[derive(Debug)]
pub(crate) struct Ledger {
    dir: PathBuf,
    spares: Spares,
}

/// What was noted of a container.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// Its attempt's directory.
    pub dir: PathBuf,
    /// The next agent may have been given another part.
    pub part: Option<Delegated>,
}

impl Ledger {
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let dir = state.join("made");
        fs::create_dir_all(&dir)?;
        let spares = Spares::open(state.join("spare-notes"))?;
        Ok(Self { dir, spares })
    }

    /// Before anything is made.
    pub(crate) fn note(&self, id: &str, attempt: &Path, part: Option<&Delegated>) -> io::Result<()> {
        let mut line = attempt.as_os_str().as_bytes().to_vec();
        if let Some(part) = part {
            line.push(0);
            line.extend(serde_json::to_vec(part)?);
        }
        let note = self.dir.join(id);
        match self.spares.file() {
            // It is whole before it has its name.
            Some(spare) if write(&spare, &line).is_ok() && fs::rename(&spare, &note).is_ok() => Ok(()),
            _ => write(&note, &line),
        }
    }

    /// After all of it is gone.
    pub(crate) fn forget(&self, id: &str) -> io::Result<()> {
        let note = self.dir.join(id);
        if matches!(self.spares.keep_file(&note), Ok(true)) {
            return Ok(());
        }
        match fs::remove_file(note) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Where an attempt was.
    pub(crate) fn attempt(&self, id: &str) -> io::Result<Option<Made>> {
        let bytes = match fs::read(self.dir.join(id)) {
            // Forgotten meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let mut fields = bytes.splitn(2, |byte| *byte == 0);
        let dir = PathBuf::from(OsStr::from_bytes(fields.next().unwrap_or_default()));
        let part = fields.next().map(serde_json::from_slice).transpose()?;
        Ok(Some(Made { dir, part }))
    }

    /// The ids whose attempt has no directory any more, with the directory that it had.
    pub(crate) fn orphaned(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let Ok(id) = entry.file_name().into_string() else {
                continue;
            };
            if spec::validate_id(&id).is_ok()
                && let Some(made) = self.attempt(&id)?
                && !made.dir.exists()
            {
                found.push((id, made.dir));
            }
        }
        Ok(found)
    }
}

fn write(note: &Path, line: &[u8]) -> io::Result<()> {
    create_empty(note)?.write_all(line)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_what_was_noted_and_has_no_directory_is_orphaned() {
        let tmp = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(tmp.path()).unwrap();
        let attempt = tmp.path().join("attempt");
        fs::create_dir(&attempt).unwrap();
        let part = Delegated {
            dir: "/sys/fs/cgroup/mine".into(),
            path: "/mine".into(),
            cpu: false,
        };
        ledger.note("one", &attempt, None).unwrap();
        ledger.note("two", &tmp.path().join("gone"), Some(&part)).unwrap();
        fs::write(tmp.path().join("made/Not An Id"), "/nowhere").unwrap();
        assert_eq!(
            ledger.orphaned().unwrap(),
            [("two".to_owned(), tmp.path().join("gone"))]
        );
        assert_eq!(ledger.attempt("two").unwrap().unwrap().part, Some(part));
        assert_eq!(ledger.attempt("one").unwrap().unwrap().part, None);
        ledger.forget("two").unwrap();
        ledger.forget("two").unwrap();
        assert_eq!(ledger.orphaned().unwrap(), Vec::new());
    }
}
