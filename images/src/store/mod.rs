//! Images on this host's disk.
//!
//! | path | what |
//! |---|---|
//! | `lock` | locked shared by who adds or starts, exclusively by who removes |
//! | `blobs/sha256/HEX` | manifests, configurations; layers until they are unpacked |
//! | `blobs/sha256/HEX.part` | a layer on its way: the next try goes on from its end |
//! | `layers/HEX/` | an unpacked layer by the digest of its tar: `fs` and how many `bytes`; whole, since it is renamed into place |
//! | `tmp/` | layers that are being unpacked, each locked meanwhile |
//! | `images/HEX.json` | an image whose layers are all here; locked shared by every container of it |
//! | `refs/HEX.json` | what a name meant when it was last asked for |
//! | `locks/HEX` | who fetches or unpacks this digest now |

mod blob;
mod hold;
mod install;
mod record;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use blob::{Arrived, Partial};
pub use record::Image;
pub(crate) use record::{Name, Record, read};

use crate::error::tried;
use crate::{Digest, ImageError};

/// Where layers lie changes with their form.
const LAYERS: &str = "layers";

/// The images of one agent. Cheap to clone; several processes may use one directory at once.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// Opens a store, making (0700) what is missing.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn open(dir: &Path) -> Result<Self, ImageError> {
        use std::os::unix::fs::DirBuilderExt;
        for sub in ["blobs/sha256", LAYERS, "images", "refs", "locks", "tmp"] {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir.join(sub))
                .map_err(tried(format!("cannot make {}", dir.join(sub).display())))?;
        }
        let dir = fs_err::canonicalize(dir).map_err(tried("cannot find the directory"))?;
        Ok(Self { dir })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.dir.join("blobs/sha256").join(digest.hex())
    }

    pub(crate) fn part(&self, digest: &Digest) -> PathBuf {
        self.dir
            .join("blobs/sha256")
            .join(format!("{}.part", digest.hex()))
    }

    fn layer_home(&self, diff_id: &Digest) -> PathBuf {
        self.dir.join(LAYERS).join(diff_id.hex())
    }

    /// Its files.
    fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layer_home(diff_id).join("fs")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.dir.join("blobs/sha256")
    }

    pub(crate) fn layers_dir(&self) -> PathBuf {
        self.dir.join(LAYERS)
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.dir.join("images")
    }

    pub(crate) fn refs(&self) -> PathBuf {
        self.dir.join("refs")
    }

    pub(crate) fn locks(&self) -> PathBuf {
        self.dir.join("locks")
    }

    fn record_path(&self, manifest: &Digest) -> PathBuf {
        self.records().join(format!("{}.json", manifest.hex()))
    }
}

/// Writes a file so that after a crash it is there whole or not at all.
pub(crate) fn write_durably(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let tmp = dir.join(format!("{name}.{}.tmp", std::process::id()));
    let mut file = File::create(&tmp)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs_err::rename(&tmp, dir.join(name))?;
    sync_dir(dir)
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
