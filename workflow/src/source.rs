//! A definition's source and its lines.

use crate::diagnostic::{Loc, Span};

/// A definition with the name that diagnostics show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// `incident.yaml`
    pub name: String,
    /// YAML or JSON.
    pub text: String,
}

impl SourceFile {
    /// A source.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    pub(crate) fn lines(&self) -> Lines<'_> {
        let breaks = self.text.match_indices('\n').map(|(at, _)| at + 1);
        Lines {
            source: self,
            starts: std::iter::once(0).chain(breaks).collect(),
        }
    }
}

/// Where each line starts.
pub(crate) struct Lines<'a> {
    source: &'a SourceFile,
    starts: Vec<usize>,
}

impl Lines<'_> {
    pub(crate) fn span(&self, at: Loc) -> Span {
        let text = &self.source.text;
        let start = floor(text, at.start);
        let end = floor(text, at.end.max(at.start)).max(start);
        let (line, column) = self.position(start);
        let (end_line, end_column) = self.position(end);
        Span {
            file: self.source.name.clone(),
            line,
            column,
            end_line,
            end_column,
            start,
            end,
        }
    }

    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        // A line of a megabyte is counted once for each diagnostic; there are 200 at most.
        let column = self
            .source
            .text
            .get(start..at)
            .map_or(1, |text| text.chars().count() + 1);
        (line, column)
    }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
