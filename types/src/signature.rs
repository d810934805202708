//! Signatures of actions, as data: what the checker, the planner and the agents agree on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Millis, Type, Value};

/// Whether a text may steer the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// From the workflow's author, the operator or a checked source.
    Trusted,
    /// From an alert or another outsider, or derived from it.
    Untrusted,
}

/// A parameter of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether it must be given.
    pub required: bool,
    /// Its value when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// `Trusted`: a sink that takes no untrusted value. `Untrusted`: takes any.
    pub takes: Trust,
    /// One line for people.
    pub doc: String,
}

/// An output of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether it may be absent though the action succeeded (or degraded).
    #[serde(default)]
    pub optional: bool,
    /// Whether what it says comes from outsiders.
    pub gives: Trust,
    /// One line for people.
    pub doc: String,
}

/// What an action does outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Computes only.
    None,
    /// Reads from a vendor.
    Reads,
    /// Changes something at a vendor.
    Writes,
}

/// What happens to a step whose agent is lost while it may have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfLost {
    /// Run it again, at most `limits::RERUNS` times.
    Rerun,
    /// The step fails with `lost: may have run`.
    Fail,
    /// A person decides; the verdict after the wait is fail.
    Ask,
}

/// The contract of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// `slack/war-room`.
    pub name: String,
    /// Its major version.
    pub major: u32,
    /// One line for people.
    pub doc: String,
    /// Parameters by name.
    pub params: BTreeMap<String, Param>,
    /// Outputs by name.
    pub outputs: BTreeMap<String, Output>,
    /// What it does outside.
    pub effect: Effect,
    /// The connection that the agent must hold (`slack`), which placement looks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The parameter that names the connection, where it has one of many: `connection: jira` needs `http:jira`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_by: Option<String>,
    /// Vendor scopes it needs, and those it can do without.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Vendor scopes without which it degrades.
    #[serde(default)]
    pub optional_scopes: Vec<String>,
    /// What to do when its agent is lost.
    pub if_lost: IfLost,
    /// Its time by default.
    pub timeout_ms: Millis,
}

impl Signature {
    /// The connection of a name, for an action that has one of many.
    #[must_use]
    pub fn connection_named(&self, name: &str) -> String {
        let vendor = self.name.split('/').next().unwrap_or_default();
        format!("{vendor}:{name}")
    }

    /// The SHA-256 of its JSON form, in hex: a plan pins it.
    #[must_use]
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        data_encoding::HEXLOWER.encode(&Sha256::digest(&json))
    }
}

/// The signatures that a server knows, by name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Catalogue(pub BTreeMap<String, Signature>);

impl Catalogue {
    /// From a list; a later one of the same name wins.
    #[must_use]
    pub fn new(signatures: impl IntoIterator<Item = Signature>) -> Self {
        Self(signatures.into_iter().map(|s| (s.name.clone(), s)).collect())
    }

    /// One by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Signature> {
        self.0.get(name)
    }
}
