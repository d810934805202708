//! Locks between processes: a killed holder holds nothing.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::Store;
use crate::error::tried;
use crate::{Digest, ImageError};

/// Between two looks at another process's lock.
const LOOK: Duration = Duration::from_millis(50);

impl Store {
    /// Nothing is removed while this is held. Waits for a removal to end; bound it.
    pub(crate) async fn share(&self) -> Result<File, ImageError> {
        let file = open(&self.dir.join("lock"))?;
        wait(|| file.try_lock_shared()).await?;
        Ok(file)
    }

    /// Only this process fetches or unpacks this digest while this is held. Waits for another; bound it.
    pub(crate) async fn claim(&self, digest: &Digest) -> Result<File, ImageError> {
        let file = open(&self.locks().join(digest.hex()))?;
        wait(|| file.try_lock()).await?;
        Ok(file)
    }

    /// For a removal; none while somebody adds or starts.
    pub(crate) fn try_alone(&self) -> Result<Option<File>, ImageError> {
        let file = open(&self.dir.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(tried("cannot lock the store")(error)),
        }
    }
}

fn open(path: &Path) -> Result<File, ImageError> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(tried(format!("cannot open {}", path.display())))
}

async fn wait(mut lock: impl FnMut() -> Result<(), TryLockError>) -> Result<(), ImageError> {
    loop {
        match lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
            Err(TryLockError::Error(error)) => return Err(tried("cannot lock the store")(error)),
        }
    }
}
