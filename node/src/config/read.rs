//! TOML text to settings, and everything that is wrong with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{ErrorKind, Read},
    ops::Range,
    path::Path,
};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{Candidate, ConfigError, FILE_BYTES, Kind, Place, Problem, Schema, Setting, Settings, Table};

/// Reads the files that are there and lays each over those before it.
///
/// # Errors
/// When a named file is missing, one cannot be read, or anything in them is wrong.
pub fn read(candidates: &[Candidate], schema: &Schema) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    let mut problems = Vec::new();
    for candidate in candidates {
        if let Some(text) = text(candidate)? {
            let mut reader = Reader {
                file: &candidate.path,
                text: &text,
                schema,
                settings: &mut settings,
                problems: &mut problems,
            };
            let before = reader.problems.len();
            reader.file();
            // Tables come in the order of their keys; people read from the top.
            reader.problems[before..].sort_by_key(|one| (one.place.line, one.place.column));
        }
    }
    if problems.is_empty() {
        Ok(settings)
    } else {
        Err(ConfigError::Wrong(problems))
    }
}

/// A file's text; none when it is not there and nobody named it.
fn text(candidate: &Candidate) -> Result<Option<String>, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable {
        file: candidate.path.clone(),
        reason,
    };
    let file = match std::fs::File::open(&candidate.path) {
        Ok(file) => file,
        // A part of the path that is a file, not a directory, is "not there" too.
        Err(error)
            if !candidate.named && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() > FILE_BYTES {
        return Err(unreadable(format!("it is larger than {FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|error| unreadable(format!("it is not UTF-8: {error}")))
}

struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    schema: &'a Schema,
    settings: &'a mut Settings,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn file(&mut self) {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            self.wrong(
                span,
                format!("this is not TOML: {}", error.message()),
                "see https://toml.io",
            );
        }
        // What follows a syntax error is read by guesses.
        if errors.is_empty() {
            for (section, value) in document.get_ref() {
                self.section(section.get_ref(), section.span(), value);
            }
        }
    }

    fn section(&mut self, section: &str, at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let schema = self.schema;
        if schema
            .tables
            .iter()
            .any(|shape| shape.path.first() == Some(&section))
        {
            return self.table(&[section.to_owned()], at, value);
        }
        let Some(keys) = schema.sections.get(section) else {
            // A key in front of all sections, or of another one.
            let owner = schema
                .sections
                .iter()
                .find(|(_, keys)| !value.get_ref().is_table() && keys.contains_key(section));
            let help = match owner {
                Some((owner, _)) => format!("it belongs below [{owner}]"),
                None => {
                    let tables = schema
                        .tables
                        .iter()
                        .filter_map(|shape| shape.path.first().copied());
                    let known: BTreeSet<&str> =
                        schema.sections.keys().map(String::as_str).chain(tables).collect();
                    near(section, known.into_iter(), "sections")
                }
            };
            return self.wrong(at, format!("no section or key is called {section:?}"), help);
        };
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("{section} is a section, not {}", in_words(value.get_ref()));
            return self.wrong(
                value.span(),
                message,
                format!("write [{section}] and its keys below"),
            );
        };
        for (key, value) in table {
            match keys.get(key.get_ref().as_ref()) {
                Some(kind) => {
                    if let Some(setting) = self.value(section, key.get_ref(), *kind, value) {
                        let keys = self.settings.by_key.entry(section.to_owned()).or_default();
                        keys.insert(key.get_ref().to_string(), setting);
                    }
                }
                None => {
                    let message = format!("[{section}] has no key {:?}", key.get_ref());
                    let known = keys.keys().map(String::as_str);
                    self.wrong(key.span(), message, near(key.get_ref(), known, "keys"));
                }
            }
        }
    }

    /// A table that no flag stands for, and those below it. One whose name the file chose takes the place of an earlier
    /// file's; of the others each key does.
    fn table(&mut self, path: &[String], at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let shapes = self.schema.tables;
        let shape = shapes.iter().find(|shape| shape.fits(path));
        let name = in_brackets(path);
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("{name} is a table, not {}", in_words(value.get_ref()));
            return self.wrong(value.span(), message, format!("write {name} and its keys below"));
        };
        if let Some(shape) = shape {
            if shape.is_named() {
                self.settings.tables.retain(|known, _| !known.starts_with(path));
            }
            let place = self.place(at.start);
            let keys = BTreeMap::new();
            self.settings
                .tables
                .entry(path.to_vec())
                .or_insert(Table { place, keys });
        }
        for (key, value) in table {
            let below = [path, &[key.get_ref().to_string()]].concat();
            let known = shape.and_then(|shape| shape.keys.iter().find(|known| known.name == key.get_ref()));
            if let Some(known) = known {
                if let Some(setting) = self.value(&path.join("."), known.name, known.kind, value)
                    && let Some(table) = self.settings.tables.get_mut(path)
                {
                    table.keys.insert(known.name.to_owned(), setting);
                }
            } else if shapes.iter().any(|shape| shape.begins(&below)) {
                self.table(&below, key.span(), value);
            } else {
                let keys = shape
                    .into_iter()
                    .flat_map(|shape| shape.keys)
                    .map(|known| known.name);
                let tables = shapes
                    .iter()
                    .filter(|shape| shape.begins(path))
                    .filter_map(|shape| shape.path.get(path.len()).copied());
                let known: BTreeSet<&str> = keys.chain(tables).collect();
                let message = format!("{name} has no key {:?}", key.get_ref());
                self.wrong(
                    key.span(),
                    message,
                    near(key.get_ref(), known.into_iter(), "keys"),
                );
            }
        }
    }

    fn value(
        &mut self,
        section: &str,
        key: &str,
        kind: Kind,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Setting> {
        let values = match (kind, value.get_ref()) {
            (Kind::Text, DeValue::String(text)) => vec![text.to_string()],
            (Kind::Path, DeValue::String(text)) => vec![self.path(text)],
            (Kind::Integer, DeValue::Integer(number)) if number.radix() == 10 => {
                vec![number.as_str().to_owned()]
            }
            (Kind::Bool, DeValue::Boolean(yes)) => vec![yes.to_string()],
            (Kind::List, DeValue::Array(items)) => self.items(section, key, items)?,
            (_, other) => {
                let message = format!(
                    "{section}.{key}: expected {}, found {}",
                    kind.expected(),
                    in_words(other)
                );
                self.wrong(value.span(), message, example(key, kind));
                return None;
            }
        };
        let place = self.place(value.span().start);
        Some(Setting { values, place })
    }

    fn items(&mut self, section: &str, key: &str, items: &DeArray<'_>) -> Option<Vec<String>> {
        let mut values = Vec::new();
        let before = self.problems.len();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => values.push(text.to_string()),
                other => {
                    let message = format!(
                        "{section}.{key}: expected a string in the list, found {}",
                        in_words(other)
                    );
                    self.wrong(item.span(), message, example(key, Kind::List));
                }
            }
        }
        (self.problems.len() == before).then_some(values)
    }

    /// A path as it is meant: from the file's own directory, wherever the program is started.
    fn path(&self, text: &str) -> String {
        let dir = self.file.parent().unwrap_or_else(|| Path::new(""));
        dir.join(text).display().to_string()
    }

    fn place(&self, byte: usize) -> Place {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }

    fn wrong(&mut self, at: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem {
            place: self.place(at.start),
            message: message.into(),
            help: help.into(),
        });
    }
}

fn in_words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(number) if number.radix() == 10 => "a whole number",
        DeValue::Integer(_) => "a number that is not decimal",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn example(key: &str, kind: Kind) -> String {
    match kind {
        Kind::Text => format!("write {key} = \"…\""),
        Kind::Path => format!("write {key} = \"/a/path\""),
        Kind::Integer => format!("write {key} = 7"),
        Kind::Bool => format!("write {key} = true"),
        Kind::List => format!("write {key} = [\"…\", \"…\"]"),
    }
}

/// `[secrets.TOKEN]`, as a file has it.
fn in_brackets(path: &[String]) -> String {
    let bare = |part: &String| {
        part.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let parts: Vec<String> = path
        .iter()
        .map(|part| {
            if bare(part) {
                part.clone()
            } else {
                format!("{part:?}")
            }
        })
        .collect();
    format!("[{}]", parts.join("."))
}

/// The nearest of the known names, or all of them.
#[must_use]
pub fn near<'a>(word: &str, known: impl Iterator<Item = &'a str>, what: &str) -> String {
    let known: Vec<&str> = known.collect();
    let nearest = known
        .iter()
        .map(|one| (strsim::damerau_levenshtein(word, one), *one))
        .filter(|(distance, one)| *distance <= (one.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, near)) => format!("did you mean {near}?"),
        None => format!("{what} here: {}", known.join(", ")),
    }
}
