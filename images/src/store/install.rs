//! A layer unpacked into the store, once.

use std::io::BufRead;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};

use super::{Store, sync_dir};
use crate::error::tried;
use crate::layer::{self, Budget};
use crate::{Digest, ImageError};

impl Store {
    /// Whether a layer is here, and of how many bytes.
    pub(crate) fn layer_bytes(&self, diff_id: &Digest) -> Option<u64> {
        let text = std::fs::read_to_string(self.layer_home(diff_id).join("bytes")).ok()?;
        text.trim().parse().ok()
    }

    /// Unpacks a layer and puts it in its place, if it is what it should be. The caller holds the digest's claim.
    /// Blocks.
    pub(crate) fn install(
        &self,
        reference: &str,
        source: impl BufRead,
        diff_id: &Digest,
        budget: &mut Budget,
    ) -> Result<(), ImageError> {
        let tmp = Unfinished::new(self, diff_id)?;
        let root = tmp.path.join("fs");
        std::fs::DirBuilder::new()
            .mode(0o755)
            .create(&root)
            .map_err(tried("cannot make a layer's directory"))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&root, flags, Mode::empty())
            .and_then(|dir| {
                // Whatever the umask.
                rustix::fs::fchmod(&dir, Mode::from_raw_mode(0o755))?;
                Ok(dir)
            })
            .map_err(|error| tried("cannot open a layer's directory")(error.into()))?;
        let owned = rustix::process::geteuid().is_root();
        let unpacked = layer::unpack(source, dir, owned, budget).map_err(|cause| ImageError::Layer {
            reference: reference.to_owned(),
            layer: diff_id.clone(),
            cause,
        })?;
        if unpacked.diff_id != *diff_id {
            return Err(ImageError::Digest {
                reference: reference.to_owned(),
                what: "an unpacked layer",
                expected: diff_id.clone(),
                found: unpacked.diff_id,
            });
        }
        let place = || {
            super::write_durably(&tmp.path, "bytes", unpacked.bytes.to_string().as_bytes())?;
            match fs_err::rename(&tmp.path, self.layer_home(diff_id)) {
                // Another process loaded the same from an archive.
                Err(_) if self.layer_bytes(diff_id).is_some() => Ok(()),
                Err(error) => Err(error),
                Ok(()) => sync_dir(&self.layers_dir()),
            }
        };
        place().map_err(tried("cannot put a layer in its place"))
    }
}

/// A directory that is locked while it is filled, and goes when it is not finished. What a crash leaves is unlocked,
/// and the next removal takes it.
struct Unfinished {
    path: PathBuf,
    _lock: std::fs::File,
}

impl Unfinished {
    fn new(store: &Store, diff_id: &Digest) -> Result<Self, ImageError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.{}.{number}", diff_id.hex(), std::process::id());
        let path = store.tmp().join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(tried("cannot make a directory"))?;
        let lock = std::fs::File::open(&path).map_err(tried("cannot open a directory"))?;
        lock.try_lock()
            .map_err(|error| tried("cannot lock a directory")(error.into()))?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing; else what stays is taken by the next removal.
        if self.path.exists()
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::debug!(%error, "a layer that was not finished stays for now");
        }
    }
}
