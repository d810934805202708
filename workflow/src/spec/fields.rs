//! Reads the entries of a map by their keys and turns values into what the keys take.

use std::collections::HashMap;

use types::{Millis, Value, limits};

use super::{At, units};
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
}

impl<'a> Fields<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<&'a Entry> {
        self.entries.get(key).copied()
    }

    /// Whether it is missing, and not only misspelt, which has been said.
    pub(crate) fn lacks(&self, key: &str) -> bool {
        !self.has(key) && !self.meant.iter().any(|meant| meant == key)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }
}

/// What people of other systems write, and what it is here.
const FOREIGN: [(&str, &str); 12] = [
    ("if", "when"),
    ("continue-on-error", "allow-failure"),
    ("timeout-minutes", "timeout"),
    ("depends_on", "needs"),
    ("depends-on", "needs"),
    ("depends", "needs"),
    ("environment", "env"),
    ("script", "run"),
    ("args", "command"),
    ("container", "image"),
    ("with_items", "foreach"),
    ("retries", "retry"),
];

impl Reader<'_> {
    /// The map's entries; says each key that is not known.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
        planned: &[&str],
    ) -> Option<Fields<'n>> {
        let entries = self.map(node, what)?;
        let mut found = HashMap::new();
        let mut meant = Vec::new();
        for entry in entries {
            let key = entry.key.as_str();
            if known.contains(&key) {
                found.insert(key, entry);
            } else if planned.contains(&key) {
                self.sink
                    .error(
                        Code::NotSupported,
                        entry.key_at,
                        format!("`{key}` of {what} is not supported yet"),
                    )
                    .help("remove it; this version would not do what it says");
            } else {
                let draft = self.sink.error(
                    Code::UnknownKey,
                    entry.key_at,
                    format!("{what} has no key `{key}`"),
                );
                match FOREIGN
                    .iter()
                    .find(|(foreign, here)| *foreign == key && known.contains(here))
                {
                    Some((_, here)) => draft
                        .help(format!("it is called `{here}` here"))
                        .suggest(entry.key_at, *here),
                    None => draft.nearest(entry.key_at, key, known.iter().copied()),
                };
                meant.extend(
                    draft
                        .suggestion
                        .as_ref()
                        .map(|(_, replacement)| replacement.clone()),
                );
            }
        }
        Some(Fields {
            at: node.at,
            entries: found,
            meant,
        })
    }

    pub(crate) fn wrong_kind(&mut self, node: &Node, what: &str, wanted: &str) {
        if matches!(node.data, Data::Wrong) {
            return;
        }
        let message = format!("{what} takes {wanted}, found {}", node.kind());
        self.sink.error(Code::WrongKind, node.at, message);
    }

    pub(crate) fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        match &node.data {
            Data::Map(entries) => Some(entries),
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
                    .error(Code::NoExpression, node.at, format!("{what} takes no expression"));
                None
            }
            Data::Scalar(Value::String(text)) => Some(text),
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
            if text.chars().all(|c| c.is_ascii_digit()) {
                draft.help("say the unit").suggest(node.at, format!("{text}s"));
            } else {
                draft.help("write 500ms, 20s, 5m or 1h");
            }
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
            Name::Plain => ("[a-z][a-z0-9_]*", fix(&name.replace('-', "_"), "_")),
            Name::Env => (
                "[A-Za-z_][A-Za-z0-9_]*, without the prefix FIREHALL_",
                String::new(),
            ),
            Name::Label => ("[a-z][a-z0-9_.-]*", String::new()),
        };
        let message = format!("`{}` is no well-formed {what}", short(name));
        let draft = self.sink.error(Code::BadName, at, message);
        if is_name(&fixed, rule) {
            draft.help(format!("{what}s are {pattern}; write `{fixed}`"));
        } else {
            draft.help(format!("{what}s are {pattern}, at most 63 characters"));
        }
        false
    }
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
    name.chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| {
            if c.is_ascii_alphanumeric() || also.contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

pub(crate) fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The longest wait that a definition may ask for.
pub(crate) const LONGEST: Millis = limits::TIMEOUT_MAX_MS;
