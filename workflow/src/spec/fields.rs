//! Reads the entries of a map by their keys and turns values into what the keys take.

use std::collections::HashMap;

use types::{Millis, Value, limits};

use super::{At, foreign::Here, units};
use crate::{
    code::Code,
    diagnostic::{Loc, Sink},
    source::SourceFile,
    yaml::{Data, Entry, Node},
};

/// What reading needs: the source for places, the sink for what is wrong.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a SourceFile,
    pub(crate) sink: &'a mut Sink,
}

/// The entries of a map by key.
pub(crate) struct Fields<'a> {
    pub(crate) at: Loc,
    entries: HashMap<&'a str, &'a Entry>,
    /// Known keys that an unknown one was probably meant to be.
    meant: Vec<String>,
    /// What seems missing may stand in a merge key.
    merges: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<&'a Entry> {
        self.entries.get(key).copied()
    }

    /// Whether it is missing, and not only misspelt, which has been said.
    pub(crate) fn lacks(&self, key: &str) -> bool {
        !self.has(key) && !self.merges && !self.meant.iter().any(|meant| meant == key)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }
}

/// A map of the language: its name in messages, the keys it has, and what else is written there.
pub(crate) struct Known<'a> {
    pub(crate) what: &'a str,
    pub(crate) keys: &'a [&'a str],
    /// Keys that a later version will have.
    pub(crate) planned: &'a [&'a str],
    /// Keys of other systems.
    pub(super) foreign: &'a [(&'a str, Here)],
    /// Keys that stand elsewhere: where, and which.
    pub(crate) elsewhere: Option<(&'a str, &'a [&'a str])>,
}

impl<'a> Known<'a> {
    /// One that nobody mistakes for another.
    pub(crate) const fn keys(what: &'a str, keys: &'a [&'a str]) -> Self {
        Self {
            what,
            keys,
            planned: &[],
            foreign: &[],
            elsewhere: None,
        }
    }
}

impl Reader<'_> {
    /// The map's entries; says each key that is not known.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, known: &Known<'_>) -> Option<Fields<'n>> {
        let entries = self.map(node, known.what)?;
        let mut found = HashMap::new();
        let mut meant = Vec::new();
        for entry in entries {
            let key = entry.key.as_str();
            if known.keys.contains(&key) {
                found.insert(key, entry);
            } else if known.planned.contains(&key) {
                let message = format!("`{key}` of {} is not supported yet", known.what);
                self.sink
                    .error(Code::NotSupported, entry.key_at, message)
                    .help("remove it; this version would not do what it says");
            } else if !entry.value.is_shared() {
                meant.extend(self.unknown_key(entry, known));
            }
        }
        Some(Fields {
            at: node.at,
            entries: found,
            meant,
            merges: node.merges,
        })
    }

    /// Says that a key is not known; gives the one that was meant.
    fn unknown_key(&mut self, entry: &Entry, known: &Known<'_>) -> Option<String> {
        let key = entry.key.as_str();
        let message = format!("{} has no key `{}`", known.what, short(key));
        let draft = self.sink.error(Code::UnknownKey, entry.key_at, message);
        match known.foreign.iter().find(|(foreign, _)| *foreign == key) {
            Some((_, Here::Called(here))) => {
                draft
                    .help(format!("it is called `{here}` here"))
                    .suggest(entry.key_at, *here);
                return Some((*here).to_owned());
            }
            Some((_, Here::Like(here, how))) => {
                draft.help(*how);
                return Some((*here).to_owned());
            }
            Some((_, Here::Not(why))) => {
                draft.help(*why);
                return None;
            }
            None => {}
        }
        if known.what == "a step" && holds_a_step(&entry.value) {
            draft.help("a step stands directly under `steps`: move it to the column of the other steps");
            return None;
        }
        match known.elsewhere.filter(|(_, keys)| keys.contains(&key)) {
            Some((place, _)) => draft.help(format!("`{key}` belongs to {place}")),
            None => draft.nearest(entry.key_at, key, known.keys.iter().copied()),
        };
        draft
            .suggestion
            .as_ref()
            .map(|(_, replacement)| replacement.clone())
    }

    pub(crate) fn wrong_kind(&mut self, node: &Node, what: &str, wanted: &str) {
        self.wrong_kind_but(node, what, wanted, "");
    }

    /// As `wrong_kind`, with the way out.
    pub(crate) fn wrong_kind_but(&mut self, node: &Node, what: &str, wanted: &str, help: &str) {
        if matches!(node.data, Data::Wrong) {
            return;
        }
        let message = format!("{what} takes {wanted}, found {}", node.kind());
        let draft = self.sink.error(Code::WrongKind, node.at, message);
        if !help.is_empty() {
            draft.help(help);
        }
    }

    pub(crate) fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        match &node.data {
            Data::Map(entries) => Some(entries),
            Data::List(_) => {
                self.wrong_kind_but(node, what, "a map", "write `key: value` lines without dashes");
                None
            }
            _ => {
                self.wrong_kind(node, what, "a map");
                None
            }
        }
    }

    /// Text without expressions.
    pub(crate) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.data {
            Data::Scalar(Value::String(text)) if text.contains("${{") => {
                self.sink
                    .error(Code::NoExpression, node.at, format!("{what} takes no expression"))
                    .help("it is fixed when the workflow is compiled; write the value itself");
                None
            }
            Data::Scalar(Value::String(text)) => Some(text),
            Data::Scalar(Value::Number(_) | Value::Bool(_)) => {
                self.wrong_kind_but(node, what, "a text", "quote it to make it text");
                None
            }
            _ => {
                self.wrong_kind(node, what, "a text");
                None
            }
        }
    }

    /// One text or a list of texts.
    pub(crate) fn texts(&mut self, node: &Node, what: &str) -> Vec<At<String>> {
        let nodes = match &node.data {
            Data::List(items) => items.as_slice(),
            Data::Map(_) => {
                self.wrong_kind(node, what, "a text or a list of texts");
                return Vec::new();
            }
            _ => std::slice::from_ref(node),
        };
        nodes
            .iter()
            .filter_map(|node| {
                let value = self.text(node, what)?.to_owned();
                Some(At { value, at: node.at })
            })
            .collect()
    }

    pub(crate) fn bool(&mut self, node: &Node, what: &str) -> Option<bool> {
        match &node.data {
            Data::Scalar(Value::Bool(value)) => Some(*value),
            Data::Scalar(Value::String(text))
                if matches!(
                    text.to_ascii_lowercase().as_str(),
                    "yes" | "no" | "on" | "off" | "y" | "n"
                ) =>
            {
                let meant = matches!(text.to_ascii_lowercase().as_str(), "yes" | "on" | "y").to_string();
                self.sink
                    .error(
                        Code::WrongKind,
                        node.at,
                        format!("{what} takes true or false, found a text"),
                    )
                    .help(format!("`{text}` is a text; write `{meant}`"))
                    .suggest(node.at, meant);
                None
            }
            _ => {
                self.wrong_kind(node, what, "true or false");
                None
            }
        }
    }

    pub(crate) fn int(&mut self, node: &Node, what: &str, low: u64, high: u64) -> Option<u64> {
        let Data::Scalar(Value::Number(number)) = &node.data else {
            self.wrong_kind(node, what, "a whole number");
            return None;
        };
        match number.as_u64() {
            Some(value) if (low..=high).contains(&value) => Some(value),
            _ => {
                let message = format!("{what} is a whole number from {low} to {high}");
                self.sink.error(Code::BadValue, node.at, message);
                None
            }
        }
    }

    pub(crate) fn duration(&mut self, node: &Node, what: &str, low: Millis, high: Millis) -> Option<Millis> {
        let text = match &node.data {
            Data::Scalar(Value::String(text)) => text.clone(),
            Data::Scalar(Value::Number(number)) => number.to_string(),
            _ => {
                self.wrong_kind(node, what, "a duration such as 20s");
                return None;
            }
        };
        if text.contains("${{") {
            self.text(node, what);
            return None;
        }
        let Some(ms) = units::duration(&text) else {
            let draft = self
                .sink
                .error(Code::BadDuration, node.at, format!("{what} takes a duration"));
            match units::meant_duration(&text) {
                Some((help, meant)) => draft.help(help).suggest(node.at, meant),
                None => draft.help("write 500ms, 20s, 5m or 1h"),
            };
            return None;
        };
        if !(low..=high).contains(&ms) {
            let (low, high) = (units::duration_text(low), units::duration_text(high));
            self.sink
                .error(Code::BadValue, node.at, format!("{what} is from {low} to {high}"));
            return None;
        }
        Some(ms)
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            self.sink
                .error(
                    Code::BadValue,
                    node.at,
                    format!("{what} does not take `{}`", short(text)),
                )
                .nearest(node.at, text, words.iter().map(|(word, _)| *word));
        }
        found.map(|(_, value)| *value)
    }

    /// A name; says when it is not well formed.
    pub(crate) fn name(&mut self, name: &str, at: Loc, what: &str, rule: Name) -> bool {
        if is_name(name, rule) {
            return true;
        }
        let (pattern, fixed) = match rule {
            Name::Key => ("[a-z][a-z0-9_-]*", fix(name, "_-")),
            Name::Plain => ("[a-z][a-z0-9_]*", fix(name, "_")),
            Name::Env => ("[A-Za-z_][A-Za-z0-9_]*", replaced(name, "_")),
            Name::Label => ("[a-z][a-z0-9_.-]*", fix(name, "_.-")),
        };
        let message = format!("`{}` cannot be {what}", short(name));
        let draft = self.sink.error(Code::BadName, at, message);
        if rule == Name::Env && name.starts_with("FIREHALL_") {
            draft.help("names that begin with FIREHALL_ are set by Firehall itself");
        } else if is_name(&fixed, rule) {
            draft
                .help(format!("names here are {pattern}: write `{fixed}`"))
                .suggest(at, fixed);
        } else {
            draft.help(format!("names here are {pattern}, at most 63 characters"));
        }
        false
    }
}

fn holds_a_step(node: &Node) -> bool {
    let says = |entry: &Entry| matches!(entry.key.as_str(), "image" | "run" | "command" | "uses");
    matches!(&node.data, Data::Map(entries) if entries.iter().any(says))
}

/// What a name may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// A step's key.
    Key,
    /// An input's or an output's.
    Plain,
    /// An environment variable's.
    Env,
    /// A label's key.
    Label,
}

pub(crate) fn is_name(name: &str, rule: Name) -> bool {
    let first = |c: char| match rule {
        Name::Env => c.is_ascii_alphabetic() || c == '_',
        _ => c.is_ascii_lowercase(),
    };
    let rest = |c: char| match rule {
        Name::Key => c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-',
        Name::Plain => c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
        Name::Env => c.is_ascii_alphanumeric() || c == '_',
        Name::Label => c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c),
    };
    name.len() <= 63
        && name.starts_with(first)
        && name.chars().all(rest)
        && !(rule == Name::Env && name.starts_with("FIREHALL_"))
}

fn fix(name: &str, also: &str) -> String {
    replaced(&name.to_ascii_lowercase(), also)
}

fn replaced(name: &str, also: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || also.contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// Its beginning, for messages.
pub(crate) fn short(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The longest wait that a definition may ask for.
pub(crate) const LONGEST: Millis = limits::TIMEOUT_MAX_MS;
