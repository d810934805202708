//! Reading single fields: absent, null and empty are the same; a wrong type is a refusal that names it. What was read is
//! kept, so that it can be said what was not.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashSet},
};

use serde_json::{Map, Value};
use types::{Alert, AlertState, Link, Monitor, Severity, Timestamp};

use super::LIST_ITEMS;
use crate::{Refused, Source, delivery};

/// A body's own fields.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    read: RefCell<HashSet<&'a str>>,
    unfilled: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(map: &'a Map<String, Value>) -> Self {
        Self {
            map,
            read: RefCell::default(),
            unfilled: RefCell::default(),
        }
    }

    /// Notes that a field holds a variable's name in place of its value.
    pub(super) fn is_unfilled(&self, field: &str) {
        if let Some((field, _)) = self.map.get_key_value(field) {
            self.unfilled.borrow_mut().insert(field);
        }
    }

    /// The fields that nothing was taken from, in their order, and those that a vendor did not fill in; the first of each.
    pub(super) fn left(&self) -> (Vec<String>, Vec<String>) {
        let read = self.read.borrow();
        let unread = self.map.keys().filter(|key| !read.contains(key.as_str()));
        let unfilled = self.unfilled.borrow();
        (
            unread.take(LIST_ITEMS).cloned().collect(),
            unfilled
                .iter()
                .take(LIST_ITEMS)
                .map(|&key| key.to_owned())
                .collect(),
        )
    }
}

/// Where a field is looked up.
pub(super) trait Lookup {
    fn look(&self, field: &str) -> Option<&Value>;
}

impl Lookup for Fields<'_> {
    fn look(&self, field: &str) -> Option<&Value> {
        let (field, value) = self.map.get_key_value(field)?;
        self.read.borrow_mut().insert(field);
        Some(value)
    }
}

impl Lookup for Map<String, Value> {
    fn look(&self, field: &str) -> Option<&Value> {
        self.get(field)
    }
}

/// An alert being read, with its notes.
pub(super) struct Draft {
    alert: Alert,
    hosts: HashSet<String>,
    /// How many came, of which the first are kept.
    metrics: usize,
    /// See `metrics`.
    notes: usize,
}

impl Draft {
    pub(super) fn new(source: Source, title: String) -> Self {
        Self {
            alert: Alert {
                source: source.as_str().to_owned(),
                id: String::new(),
                dedupe_key: None,
                state: AlertState::Firing,
                title,
                severity: Severity::Unknown,
                description: None,
                hosts: Vec::new(),
                tags: Vec::new(),
                links: Vec::new(),
                monitor: None,
                metrics: BTreeMap::new(),
                fired_at: None,
                notes: Vec::new(),
            },
            hosts: HashSet::new(),
            metrics: 0,
            notes: 0,
        }
    }

    pub(super) fn set(&mut self) -> &mut Alert {
        &mut self.alert
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes += 1;
        if self.notes <= LIST_ITEMS {
            self.alert.notes.push(text.into());
        }
    }

    /// A value; the first by their names are kept, so that a body with many does not grow.
    pub(super) fn metric(&mut self, name: String, value: String) {
        self.metrics += 1;
        self.alert.metrics.insert(name, value);
        if self.alert.metrics.len() > LIST_ITEMS {
            self.alert.metrics.pop_last();
        }
    }

    pub(super) fn host(&mut self, host: &str) {
        let host = host.trim();
        if !host.is_empty() && self.hosts.insert(host.to_owned()) {
            self.alert.hosts.push(host.to_owned());
        }
    }

    pub(super) fn tag(&mut self, tag: &str) {
        let tag = tag.trim();
        if let Some(host) = tag.strip_prefix("host:") {
            self.host(host);
        }
        if !tag.is_empty() {
            self.alert.tags.push(tag.to_owned());
        }
    }

    pub(super) fn link(&mut self, title: &str, url: &str) {
        let url = url.trim();
        if is_web(url) {
            self.alert.links.push(Link {
                title: title.to_owned(),
                url: url.to_owned(),
            });
        } else if !url.is_empty() {
            self.note(format!("a link was left out: it is not http or https ({title})"));
        }
    }

    pub(super) fn monitor(&mut self, monitor: Monitor) {
        if monitor != Monitor::default() {
            self.alert.monitor = Some(monitor);
        }
    }

    pub(super) fn fired(&mut self, field: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        match instant(text) {
            Some(at) => self.alert.fired_at = Some(at),
            None => self.note(format!("{field} is no time that we can read")),
        }
    }

    /// Cuts to the limits, gives an alert without an id the hash of its body. True: the key is that hash.
    pub(super) fn finish(mut self, body: &[u8]) -> (Alert, bool) {
        for (name, length) in [
            ("hosts", self.alert.hosts.len()),
            ("tags", self.alert.tags.len()),
            ("links", self.alert.links.len()),
            ("metrics", self.metrics),
            ("notes", self.notes),
        ] {
            if length > LIST_ITEMS {
                let cut = format!("{name}: the first {LIST_ITEMS} of {length} are kept");
                self.alert.notes.push(cut);
            }
        }
        self.alert.hosts.truncate(LIST_ITEMS);
        self.alert.tags.truncate(LIST_ITEMS);
        self.alert.links.truncate(LIST_ITEMS);
        let mut by_body = false;
        if self.alert.id.is_empty() {
            let hash = delivery::hash(body);
            self.alert.id = format!("body-{}", &hash[..16]);
            let none = "the source gave no id: the id is a hash of the body";
            self.alert.notes.push(none.to_owned());
            if self.alert.dedupe_key.is_none() {
                self.alert.dedupe_key = Some(format!("{}:body:{hash}", self.alert.source));
                by_body = true;
            }
        }
        let alert = &mut self.alert;
        let key = alert
            .dedupe_key
            .take()
            .unwrap_or_else(|| format!("{}:{}", alert.source, alert.id));
        alert.dedupe_key = Some(delivery::bounded(key));
        (self.alert, by_body)
    }
}

/// What a JSON value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A scalar as the sender wrote it; other values as compact JSON.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The field, unless it is absent, null or empty text.
pub(super) fn present<'a>(object: &'a impl Lookup, field: &str) -> Option<&'a Value> {
    object.look(field).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    })
}

/// A scalar field as text.
pub(super) fn scalar(object: &impl Lookup, field: &str) -> Result<Option<String>, Refused> {
    match present(object, field) {
        None => Ok(None),
        Some(value @ (Value::Array(_) | Value::Object(_))) => Err(Refused::field(field, "text", kind(value))),
        Some(value) => Ok(Some(as_text(value))),
    }
}

/// The one field that must be there.
pub(super) fn title(object: &impl Lookup) -> Result<String, Refused> {
    match object.look("title") {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
        Some(Value::String(_)) => Err(Refused::field("title", "text", "empty text")),
        Some(other) => Err(Refused::field("title", "text", kind(other))),
        None => Err(Refused::field("title", "text", "nothing")),
    }
}

/// Whether a person may be sent there: http or https with a host, no white space or control characters.
pub(super) fn is_web(url: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| {
        let head = url.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
    });
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !url.chars().any(|c| c.is_whitespace() || c.is_control())
    })
}

/// RFC 3339, or Unix milliseconds, or Unix seconds (what is below the year 5138 in seconds).
fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        let ms = if number.unsigned_abs() < 100_000_000_000 {
            number.checked_mul(1_000)?
        } else {
            number
        };
        return Some(Timestamp::from_unix_ms(ms));
    }
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_unix_ms(at.as_millisecond()))
}
