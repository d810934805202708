//! Content by its digest: nothing comes under a digest's name that does not have it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use sha2::{Digest as _, Sha256};

use super::{Store, sync_dir};
use crate::Digest;

/// A blob on its way to the store.
pub(crate) struct Partial {
    file: File,
    hasher: Sha256,
    /// Bytes so far.
    pub length: u64,
}

/// How the end of a [`Partial`] went.
pub(crate) enum Arrived {
    /// It is in the store.
    Whole,
    /// Its content is not what its name says; it is gone.
    Other(Digest),
}

impl Store {
    /// Goes on with what an earlier try left, whose digest is computed anew. The caller holds the digest's claim.
    pub(crate) fn resume(&self, digest: &Digest) -> io::Result<Partial> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.part(digest))?;
        let mut hasher = Sha256::new();
        let mut length = 0;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            length += count as u64;
        }
        Ok(Partial { file, hasher, length })
    }

    /// Ends it: durable under its name, or gone.
    pub(crate) fn arrive(&self, digest: &Digest, partial: Partial) -> io::Result<Arrived> {
        let found = Digest::finish(partial.hasher);
        if found != *digest {
            std::fs::remove_file(self.part(digest))?;
            return Ok(Arrived::Other(found));
        }
        partial.file.sync_all()?;
        let blob = self.blob(digest);
        fs_err::rename(self.part(digest), &blob)?;
        if let Some(dir) = blob.parent() {
            sync_dir(dir)?;
        }
        Ok(Arrived::Whole)
    }
}

impl Partial {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what there is: the registry sends from the start.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hasher = Sha256::new();
        self.length = 0;
        Ok(())
    }
}
