//! Which cgroups this runtime made: what is left of them can be told from other people's, whatever they are called.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::spec;

/// A file for each container below `STATE/made`, named by its id, with the attempt's directory in it. Not synced: a
/// cgroup does not outlive a crash of the host.
#[derive(Debug)]
pub(crate) struct Ledger {
    dir: PathBuf,
}

impl Ledger {
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let dir = state.join("made");
        fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    /// Before anything is made.
    pub(crate) fn note(&self, id: &str, attempt: &Path) -> io::Result<()> {
        fs::write(self.dir.join(id), attempt.as_os_str().as_bytes())
    }

    /// After all of it is gone.
    pub(crate) fn forget(&self, id: &str) -> io::Result<()> {
        match fs::remove_file(self.dir.join(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Where an attempt was.
    pub(crate) fn attempt(&self, id: &str) -> io::Result<Option<PathBuf>> {
        match fs::read(self.dir.join(id)) {
            Ok(bytes) => Ok(Some(PathBuf::from(OsStr::from_bytes(&bytes)))),
            // Forgotten meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
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
                && let Some(attempt) = self.attempt(&id)?
                && !attempt.exists()
            {
                found.push((id, attempt));
            }
        }
        Ok(found)
    }
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
        ledger.note("one", &attempt).unwrap();
        ledger.note("two", &tmp.path().join("gone")).unwrap();
        fs::write(tmp.path().join("made/Not An Id"), "/nowhere").unwrap();
        assert_eq!(
            ledger.orphaned().unwrap(),
            [("two".to_owned(), tmp.path().join("gone"))]
        );
        ledger.forget("two").unwrap();
        ledger.forget("two").unwrap();
        assert_eq!(ledger.orphaned().unwrap(), Vec::new());
    }
}
