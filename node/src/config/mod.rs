//! Configuration files: TOML in sections, one laid over the other. Every value keeps its place, so that whoever finds it
//! wrong later can say where it stands. All that is wrong with all files is found in one pass.

mod places;
mod read;
mod tables;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, path::PathBuf};

pub use places::{Candidate, candidates};
pub use read::{near, read};
pub use tables::{KeyShape, Table, TableShape, Tables};

/// The most bytes that a configuration file may have.
pub const FILE_BYTES: usize = 1024 * 1024;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string that names a file or a directory; a relative one is meant from the file's own directory.
    Path,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Bool,
    /// A list of strings.
    List,
}

impl Kind {
    /// In words, for people: "expected …".
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Path => "a string that names a file or directory",
            Self::Integer => "a whole number",
            Self::Bool => "true or false",
            Self::List => "a list of strings",
        }
    }
}

/// What a file may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    /// Keys that flags stand for: by section, then by name.
    pub sections: BTreeMap<String, BTreeMap<String, Kind>>,
    /// All other tables.
    pub tables: &'static [TableShape],
}

/// Where something stands; line and column from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A value as its key's flag would be given: one text, for a list any number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The texts.
    pub values: Vec<String>,
    /// Where the value stands.
    pub place: Place,
}

/// What the files say: the last file's word for each key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    by_key: BTreeMap<String, BTreeMap<String, Setting>>,
    tables: Tables,
}

impl Settings {
    /// A key's value.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&Setting> {
        self.by_key.get(section)?.get(key)
    }

    /// The tables that no flag stands for.
    #[must_use]
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Every value of a flag with its section and its key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Setting)> {
        self.by_key.iter().flat_map(|(section, keys)| {
            keys.iter()
                .map(move |(key, setting)| (section.as_str(), key.as_str(), setting))
        })
    }
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What.
    pub message: String,
    /// The way out.
    pub help: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  {}", self.place, self.message, self.help)
    }
}

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// A file that was named is missing, or one that is there cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The files are wrong: everything that is, in their order.
    Wrong(Vec<Problem>),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, reason } => {
                write!(f, "the configuration {} cannot be read: {reason}", file.display())
            }
            Self::Wrong(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&problems.join("\n"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}
