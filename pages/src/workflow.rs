//! One workflow: what starts it, what it is made of, and its source.

use askama::Template;
use proto::v1;

use crate::{Shell, graph::Graph, parts};

/// What starts a workflow without a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Nothing.
    No,
    /// Each alert.
    Always,
    /// Alerts for which this expression holds.
    When(String),
}

/// A workflow in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// SHA-256 of its source, hex.
    pub version: String,
    /// When it was kept, Unix milliseconds.
    pub stored_at_ms: i64,
    /// One line for people; may be empty.
    pub description: String,
    /// What starts it.
    pub bound: Bound,
    /// How many steps it has.
    pub steps: usize,
}

impl Facts {
    /// As much of the version as people compare.
    #[must_use]
    pub fn short(&self) -> &str {
        self.version.get(..12).unwrap_or(&self.version)
    }
}

/// An input in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: String,
    /// One line for people; may be empty.
    pub description: String,
    /// What it is when none is given, as JSON; without one it is required.
    pub default: Option<String>,
    /// What it may be, as JSON; empty: anything of its type.
    pub one_of: Vec<String>,
}

/// A workflow with its source.
#[derive(Debug, Template)]
#[template(path = "workflow.html")]
pub struct Workflow {
    /// Around it.
    pub shell: Shell,
    /// In a few words.
    pub facts: Facts,
    /// Whether this version is the one that alerts start.
    pub newest: bool,
    /// Its inputs, by name.
    pub inputs: Vec<Input>,
    /// Its plan as a picture.
    pub graph: Graph,
    /// Its source.
    pub source: String,
    /// Its newest runs.
    pub runs: Vec<v1::Run>,
}

impl Workflow {
    /// The source's lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.source.lines().enumerate().map(|(n, line)| (n + 1, line))
    }
}
