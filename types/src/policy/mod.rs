//! What the operator of an agent lets a server ask for. The agent refuses by it, whatever the server says; placement looks
//! at it, so that refused work goes to an agent that takes it.

mod check;
mod image;
mod pattern;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

pub use check::{Whose, within_language};
pub use image::{HOST_IMAGE, IMAGE_BYTES, ImageName};
pub use pattern::Pattern;

use crate::{HostView, Millis, Network, limits};

/// What steps may ask for. Its JSON form goes to the server with a Hello; a part that is absent there has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Images; see [`ImageName`] for how a pattern is completed. `host` is the agent's own system.
    pub images: Vec<Pattern>,
    /// Whether images other than `host` must be named by their digest.
    pub digest_only: bool,
    /// Registries that images may come from; none for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registries: Option<Vec<Pattern>>,
    /// Networks.
    pub networks: BTreeSet<Network>,
    /// The host's own trees.
    pub host_views: BTreeSet<HostView>,
    /// Users inside a container. 1000 is the one of a step that names none.
    pub users: Vec<UserRange>,
    /// Actions by name.
    pub actions: Vec<Pattern>,
    /// Actions that `actions` allows and that are refused all the same.
    pub deny_actions: Vec<Pattern>,
    /// Limits.
    pub limits: PolicyLimits,
    /// Who may take which secret; one that is not here may be taken by any step.
    pub secrets: BTreeMap<String, SecretRule>,
}

/// The most that a step may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyLimits {
    /// Memory and swap together; none for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: u32,
    /// Thousandths of a core; none for any. A step that asks for none gets this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// An attempt's time.
    pub timeout_ms: Millis,
    /// All artifacts of an attempt together; 0 lets no step keep any.
    pub artifact_bytes: u64,
}

impl Default for PolicyLimits {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            pids: limits::PIDS_MAX,
            cpu_millis: None,
            timeout_ms: limits::TIMEOUT_MAX_MS,
            artifact_bytes: limits::ARTIFACT_BYTES,
        }
    }
}

/// Users from one number to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRange {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

impl fmt::Display for UserRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Who may take a secret; what is none is not asked for, an empty list is nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretRule {
    /// Workflows by name. It is the server that says which workflow a step is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflows: Option<Vec<Pattern>>,
    /// Steps by key; the server's word too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Pattern>>,
    /// Images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<Pattern>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            images: vec![Pattern::new("*")],
            digest_only: false,
            registries: None,
            networks: BTreeSet::from([Network::None, Network::Egress]),
            host_views: BTreeSet::new(),
            users: vec![UserRange {
                first: 1,
                last: limits::USER_MAX,
            }],
            actions: vec![Pattern::new("*")],
            deny_actions: Vec::new(),
            limits: PolicyLimits::default(),
            secrets: BTreeMap::new(),
        }
    }
}

/// The part of a policy that refuses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Of the policy itself, by its key: `images`, `limits.memory`.
    Policy(&'static str),
    /// Of a secret: its name and its key.
    Secret(String, &'static str),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(key) => write!(f, "policy.{key}"),
            Self::Secret(name, key) => write!(f, "secrets.{name}.{key}"),
        }
    }
}

/// Why a policy refuses a work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which part.
    pub rule: Rule,
    /// What was asked for.
    pub asked: String,
    /// What is allowed.
    pub allows: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} allows {}", self.asked, self.rule, self.allows)
    }
}

#[cfg(test)]
mod tests;
