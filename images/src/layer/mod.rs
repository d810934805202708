//! One layer's tar into a directory of its own, in the form that overlayfs takes (kernel: filesystems/overlayfs.rst).
//!
//! A layer is what a stranger wrote, and it is unpacked by root. So: every path is walked by the kernel below the
//! layer's directory (`openat2` with `RESOLVE_IN_ROOT`), nothing in it is followed out of it, device nodes are left
//! out, set-user-id bits are dropped, and bytes, entries and path lengths have limits. Whatever user a step runs as may
//! read all of its image: directories become readable and passable, files readable, programs executable for everybody.

mod compression;
mod entry;
mod place;
mod tape;

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read};
use std::os::fd::OwnedFd;

use sha2::{Digest as _, Sha256};
use tar::Archive;

use crate::Digest;
pub(crate) use compression::open as plain;
use place::Place;

/// What all layers of an image together may still bring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub bytes: u64,
    pub entries: u64,
}

/// What became of a layer.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// Of the uncompressed tar.
    pub diff_id: Digest,
    /// Of regular files.
    pub bytes: u64,
}

/// Why a layer is refused. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The archive cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
    /// An entry would lie outside.
    #[error("entry {path:?} {why}")]
    Entry {
        /// Its name, made printable.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// It brings more than an image may have.
    #[error("it unpacks to more than an image may have: {0}")]
    TooLarge(&'static str),
    /// The disk refused.
    #[error("cannot unpack {path:?}: {cause}")]
    Write {
        /// The entry.
        path: String,
        /// The cause.
        #[source]
        cause: io::Error,
    },
}

/// Unpacks a layer, compressed or not, into an empty directory. Blocks.
pub(crate) fn unpack(
    blob: impl BufRead,
    into: OwnedFd,
    owned: bool,
    budget: &mut Budget,
) -> Result<Unpacked, LayerError> {
    let before = budget.bytes;
    let plain = compression::open(blob).map_err(LayerError::Read)?;
    // Headers and padding count too: a layer of nothing but headers is as long as its tar.
    let limit = budget.bytes.saturating_add(budget.entries.saturating_mul(1536));
    let mut archive = Archive::new(Hashing {
        inner: plain,
        hasher: Sha256::new(),
        left: limit,
    });
    let mut place = Place::new(into, owned);
    tape::each(&mut archive, budget, &mut place)?;
    place.finish()?;
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(read_error)?;
    Ok(Unpacked {
        diff_id: Digest::finish(rest.hasher),
        bytes: before - budget.bytes,
    })
}

/// The limit of [`Hashing`] comes back through the archive's reader as an [`io::Error`].
fn read_error(error: io::Error) -> LayerError {
    if error.kind() == io::ErrorKind::FileTooLarge {
        LayerError::TooLarge("bytes")
    } else {
        LayerError::Read(error)
    }
}

/// Hashes what is read, and stops a compressed bomb.
struct Hashing<R> {
    inner: R,
    hasher: Sha256,
    left: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
