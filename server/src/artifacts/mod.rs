//! Where the bytes of artifacts are: in an object store, by their own sum, so that nobody can put other bytes in their
//! place unseen. What is on its way lies beside the store of histories until it is whole.

mod claims;
mod collect;
mod incoming;
mod objects;
mod open;
mod sweep;
mod turns;

use std::{path::PathBuf, sync::Arc, time::Duration};

use object_store::ObjectStore;

pub(crate) use claims::held;
use collect::Uses;
pub(crate) use incoming::{Incoming, Wrong};
pub(crate) use objects::{Bytes, ReadError};
pub use open::{ArtifactsError, Credentials, Place};
pub(crate) use sweep::{is_live, watch};
pub(crate) use turns::{Turns, Writing};

/// The artifacts of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Artifacts {
    objects: Arc<dyn ObjectStore>,
    /// For people.
    place: String,
    incoming: PathBuf,
    keep: Keep,
    uses: Arc<Uses>,
    pub(crate) turns: Arc<Turns>,
}

/// What stays of artifacts whose runs have ended; without bounds all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Since it was stored last.
    pub age: Option<Duration>,
    /// All together: what was stored longest ago goes first.
    pub bytes: Option<u64>,
}
