//! `/runs/{id}`: the run at a glance.

use askama::Template;

use super::{Head, Steps};
use crate::{Shell, graph::Graph, parts};

/// A run with its graph and its steps.
#[derive(Debug, Template)]
#[template(path = "run/overview.html")]
pub struct Run {
    /// Around it.
    pub shell: Shell,
    /// Above it.
    pub head: Head,
    /// All steps as a picture.
    pub graph: Graph,
    /// Some of them as a list.
    pub list: Steps,
}
