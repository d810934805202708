//! What was found, and how it is shown.

use serde::Serialize;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::{table, text};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    Ok,
    Warning,
    Error,
    /// It cannot be known from here.
    Unknown,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }

    /// The parameters of "select graphic rendition".
    const fn paint(self) -> &'static str {
        match self {
            Self::Ok => "32",
            Self::Warning => "33",
            Self::Error => "31",
            Self::Unknown => "36",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// A stable name.
    check: String,
    level: Level,
    message: String,
    /// What to do.
    help: Option<String>,
}

/// All that was looked at, in the order of looking.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    pub(super) fn ok(&mut self, check: &str, message: impl Into<String>) {
        self.add(check, Level::Ok, message, None);
    }

    pub(super) fn warning(&mut self, check: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(check, Level::Warning, message, Some(help.into()));
    }

    pub(super) fn error(&mut self, check: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(check, Level::Error, message, Some(help.into()));
    }

    pub(super) fn unknown(&mut self, check: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(check, Level::Unknown, message, Some(help.into()));
    }

    pub(super) fn add(
        &mut self,
        check: &str,
        level: Level,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.0.push(Finding {
            check: text::line(check).into_owned(),
            level,
            message: text::line(&message.into()).into_owned(),
            help: help.map(|help| text::line(&help).into_owned()),
        });
    }

    pub(super) fn has_errors(&self) -> bool {
        self.count(Level::Error) > 0
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|one| one.level == level).count()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "errors": self.count(Level::Error),
            "warnings": self.count(Level::Warning),
            "unknown": self.count(Level::Unknown),
            "findings": self.0,
        })
    }

    pub(super) fn table(&self) -> Vec<String> {
        let rows: Vec<Vec<String>> = self
            .0
            .iter()
            .map(|one| {
                let help = one.help.clone().unwrap_or_default();
                vec![
                    one.check.clone(),
                    one.level.word().to_owned(),
                    one.message.clone(),
                    help,
                ]
            })
            .collect();
        table::layout(&["CHECK", "LEVEL", "FOUND", "WHAT TO DO"], &rows)
    }

    /// A line for each finding, one more for what to do, and a last one that counts.
    pub(super) fn text(&self, coloured: bool) -> Vec<String> {
        let width = self.0.iter().map(|one| one.check.width()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for one in &self.0 {
            let word = text::pad(one.level.word(), 7);
            let word = if coloured {
                format!("\u{1b}[{}m{word}\u{1b}[0m", one.level.paint())
            } else {
                word
            };
            lines.push(format!(
                "{word}  {}  {}",
                text::pad(&one.check, width),
                one.message
            ));
            lines.extend(
                one.help
                    .iter()
                    .map(|help| format!("{}→ {help}", " ".repeat(width + 11))),
            );
        }
        let count = |level, one: &str, many: &str| {
            let count = self.count(level);
            format!("{count} {}", if count == 1 { one } else { many })
        };
        lines.push(format!(
            "\n{}, {}, {} unknown, {} ok",
            count(Level::Error, "error", "errors"),
            count(Level::Warning, "warning", "warnings"),
            self.count(Level::Unknown),
            self.count(Level::Ok)
        ));
        lines
    }
}
