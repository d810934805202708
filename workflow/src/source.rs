//! A definition's source and its lines.

use std::string::FromUtf8Error;

use types::limits;

use crate::{
    code::Code,
    diagnostic::{Diagnostic, Loc, Sink, Span},
    yaml,
};

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

    /// A definition's bytes as they were read.
    ///
    /// # Errors
    /// What is wrong with them as a whole (larger than `limits::DEFINITION_BYTES`, not UTF-8), and what can be shown of
    /// them beside it.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, Refused> {
        let name = name.into();
        if bytes.len() > limits::DEFINITION_BYTES {
            let source = Self::new(name, "");
            let diagnostics = refusal(&source, yaml::too_large);
            return Err(Refused { source, diagnostics });
        }
        String::from_utf8(bytes)
            .map(|text| Self {
                name: name.clone(),
                text,
            })
            .map_err(|error| not_utf8(name, &error))
    }

    /// What is said of a definition that could not be read at all: `why` names the reason, `help` the way out.
    #[must_use]
    pub fn unreadable(name: impl Into<String>, why: &str, help: &str) -> Refused {
        let source = Self::new(name, "");
        let diagnostics = refusal(&source, |sink| {
            sink.error(Code::Unreadable, Loc::default(), why).help(help);
        });
        Refused { source, diagnostics }
    }

    /// Where each line starts.
    pub(crate) fn line_starts(&self) -> impl Iterator<Item = usize> {
        let breaks = self.text.match_indices('\n').map(|(at, _)| at + 1);
        std::iter::once(0).chain(breaks)
    }

    pub(crate) fn lines(&self) -> Lines<'_> {
        Lines {
            source: self,
            starts: self.line_starts().collect(),
        }
    }
}

/// A definition that is no text to compile.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// What can be shown of it.
    pub source: SourceFile,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

fn refusal(source: &SourceFile, say: impl FnOnce(&mut Sink)) -> Vec<Diagnostic> {
    let mut sink = Sink::default();
    say(&mut sink);
    sink.finish(source)
}

fn not_utf8(name: String, error: &FromUtf8Error) -> Refused {
    let (bytes, start) = (error.as_bytes(), error.utf8_error().valid_up_to());
    // What is shown has one U+FFFD in place of what is no character; before it nothing moves.
    let source = SourceFile::new(name, String::from_utf8_lossy(bytes));
    let at = Loc {
        start,
        end: start + char::REPLACEMENT_CHARACTER.len_utf8(),
    };
    let (message, help) = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => (
            "this file is UTF-16, not UTF-8".to_owned(),
            "save it as UTF-8: `iconv -f utf-16 -t utf-8`",
        ),
        _ => (
            format!(
                "this file is not UTF-8: the byte 0x{:02X} here is no part of a character",
                bytes[start]
            ),
            "save it as UTF-8; from Latin-1 `iconv -f latin1 -t utf-8` does it",
        ),
    };
    let diagnostics = refusal(&source, |sink| {
        sink.error(Code::Encoding, at, message).help(help);
    });
    Refused { source, diagnostics }
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
