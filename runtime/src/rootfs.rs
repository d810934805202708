//! The root of a container from an image, and whom the native runtime asks for one.

use std::fs::File;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use types::Pull;

use crate::StartError;

/// An image on this host's disk, unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// What its registry calls it: goes into the record.
    pub digest: String,
    /// Directories to lay over each other, the lowest first, in the form of overlayfs with `userxattr`.
    pub layers: Vec<PathBuf>,
    /// A file that the container's shim locks (shared) for its life: meanwhile nothing of the image is removed.
    pub hold: PathBuf,
    /// The image's environment; the step's own comes over it.
    pub env: Vec<(String, String)>,
    /// The image's working directory; empty when it says none.
    pub workdir: String,
    /// The image's user: a name or number of its own, with a group behind a colon perhaps; empty when it says none.
    pub user: String,
    /// What the image runs by itself: its entrypoint and its command; empty when it says none.
    #[serde(default)]
    pub command: Vec<String>,
}

/// Who keeps images.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// The image behind a name, fetched if it must be, with a lock on its `hold`.
    ///
    /// # Errors
    /// Why the image is not to be had.
    async fn rootfs(&self, reference: &str, pull: Pull) -> Result<(Rootfs, File), StartError>;
}
