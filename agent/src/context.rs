//! What all parts of one agent share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicU64},
};

use node::config::Place;
use types::{AgentId, Labels, Policy};

use crate::{
    config::Grant,
    data_dir::DataDir,
    link::Server,
    mask::Masker,
    registries::Registries,
    runtimes::Runtimes,
    secrets::{Kept, Masks, Secrets},
    vendors::Vendors,
};

/// What all parts of one agent share; fixed for its life.
pub(crate) struct Context {
    pub id: AgentId,
    pub server: Server,
    pub name: String,
    pub labels: Labels,
    pub capacity: u32,
    pub dir: DataDir,
    /// Of this process alone, at random: with it the server tells a copy of the agent from the agent.
    pub instance: String,
    /// The kernel's name of this boot.
    pub boot: String,
    /// What its operator grants, for a Hello.
    pub grants: BTreeSet<Grant>,
    /// What steps may ask for.
    pub policy: Policy,
    /// Where each of its rules stands; one that is not here has its default.
    pub places: BTreeMap<String, Place>,
    /// The size of a step's `/tmp`, at most.
    pub tmp_bytes: u64,
    pub secrets: Arc<Secrets>,
    pub masks: Arc<Masks>,
    pub kept: Kept,
    pub registries: Registries,
    pub actions: actions::Registry,
    pub vendors: Vendors,
    /// Leftovers of attempts that were found and removed since this process began.
    pub leftovers_removed: AtomicU64,
    /// What logs of acknowledged attempts may take of the disk while the server does not have them.
    pub logs_waiting_bytes: u64,
    /// What they take.
    pub log_bytes_waiting: AtomicU64,
    /// Bytes of them that were given up since this process began.
    pub log_bytes_given_up: AtomicU64,
    /// What runs containers, or why nothing does.
    pub runtimes: Result<Runtimes, String>,
}

impl Context {
    /// What masks every secret that is known now.
    pub(crate) fn masker(&self) -> Arc<Masker> {
        self.masks.now()
    }
}
