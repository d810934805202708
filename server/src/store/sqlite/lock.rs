//! One server for one directory: an advisory lock that the kernel drops with the process.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

use super::StoreError;

/// Held as long as a store may write.
#[derive(Debug)]
pub(super) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes `dir/lock`, or says at once that another server has it. `flock` belongs to the open file, so a fork
    /// that execs does not keep it (the file is close-on-exec), and a file left by a dead server does not matter.
    pub(super) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("lock");
        let unavailable = |error: &io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = file.map_err(|error| unavailable(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Unavailable(format!(
                "another server is running on {} (it holds {})",
                dir.display(),
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(unavailable(&error)),
        }
    }
}
