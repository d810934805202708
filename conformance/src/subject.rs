//! The runtime that is looked at.

use std::path::Path;
use std::sync::Arc;

use runtime::Runtime;

use crate::Answers;

/// A runtime and how a test gets at it.
pub trait Subject: Sync {
    /// Opens it on a directory of a test's own, as an agent does when it starts; called again, it is what an agent has
    /// after a restart.
    fn open(&self, state: &Path) -> Arc<dyn Runtime>;

    /// Where it answers differently from another runtime, on purpose.
    fn answers(&self) -> Answers;

    /// Takes in an image, as `docker save` writes it, for what was opened on this directory. Blocks.
    fn load(&self, state: &Path, archive: &[u8]);

    /// Takes an image away again, where it is kept beyond the directory. Blocks.
    fn unload(&self, name: &str);

    /// What this machine still holds of an attempt by its container's id, a line each: containers, cgroups, networks.
    fn remains(&self, id: &str) -> Vec<String>;
}
