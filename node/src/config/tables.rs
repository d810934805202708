//! Tables that no flag stands for, such as an agent's `[policy]`: what they may hold, and what they hold.

use std::collections::BTreeMap;

use super::{Kind, Place, Setting};

/// One table that a file may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableShape {
    /// Its path: `["secrets", "*", "vault"]`; `*` is a name that the file chooses.
    pub path: &'static [&'static str],
    /// What it is for, for the reference.
    pub about: &'static str,
    /// Its keys; tables below it have shapes of their own.
    pub keys: &'static [KeyShape],
}

/// One key of such a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyShape {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it means, for the reference.
    pub about: &'static str,
    /// Its value when it is absent, in TOML; empty for none.
    pub default: &'static str,
}

impl TableShape {
    /// Whether it is the shape of a table with this path.
    #[must_use]
    pub fn fits(&self, path: &[String]) -> bool {
        self.path.len() == path.len() && self.begins(path)
    }

    /// Whether a path is the way to it, or it.
    pub(super) fn begins(&self, path: &[String]) -> bool {
        path.len() <= self.path.len() && self.path.iter().zip(path).all(|(shape, part)| same(shape, part))
    }

    /// Whether the file chose its name.
    pub(super) fn is_named(&self) -> bool {
        self.path.last() == Some(&"*")
    }
}

fn same(shape: &str, part: &str) -> bool {
    shape == "*" || shape == part
}

/// A table as a file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Where it begins.
    pub place: Place,
    /// Its keys.
    pub keys: BTreeMap<String, Setting>,
}

/// Tables by their paths.
pub type Tables = BTreeMap<Vec<String>, Table>;
