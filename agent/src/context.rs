//! What all parts of one agent share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use runtime::Runtime;
use types::{AgentId, Labels, Secret};

use crate::{config::Grant, data_dir::DataDir, mask::Masker};

/// What all parts of one agent share; fixed for its life.
pub(crate) struct Context {
    pub id: AgentId,
    pub name: String,
    pub labels: Labels,
    pub capacity: u32,
    pub dir: DataDir,
    /// The kernel's name of this boot.
    pub boot: String,
    pub allow: BTreeSet<Grant>,
    pub secrets: BTreeMap<String, Secret>,
    pub masker: Masker,
    pub actions: actions::Registry,
    pub connections: actions::Connections,
    /// What runs containers, or why nothing does.
    pub runtime: Result<Arc<dyn Runtime>, String>,
}
