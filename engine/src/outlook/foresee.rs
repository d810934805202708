//! Expressions before a run: evaluated when all that they read is known, named when not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use types::{Object, Value};
use workflow::{Expr, Plan, Reads, Scope, Template};

use super::view::Foreseen;

/// Values of more JSON than this are not shown.
const SHOWN_BYTES: usize = 4 * 1024;
/// An expression's text as it is shown, characters.
const SHOWN_CHARS: usize = 400;

/// What can be read before a run.
#[derive(Clone)]
pub(super) struct Known {
    scope: Scope,
    /// Whether each input has its value.
    all_inputs: bool,
}

impl Known {
    pub(super) fn new(plan: &Plan, inputs: &Object, alert: Option<&Value>) -> Self {
        let mut roots = Object::new();
        roots.insert("inputs".to_owned(), Value::Object(inputs.clone()));
        if let Some(alert) = alert {
            roots.insert("trigger".to_owned(), json!({ "alert": alert }));
        }
        let scope = Scope {
            roots,
            ..Scope::default()
        };
        Self {
            scope,
            all_inputs: plan.inputs.keys().all(|name| inputs.contains_key(name)),
        }
    }

    /// Puts one item of a fan-out in the place of the one before.
    pub(super) fn set_item(&mut self, value: &Value, index: usize) {
        let each = json!({ "value": value, "index": index });
        self.scope.roots.insert("each".to_owned(), each);
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    fn holds(&self, path: &str) -> bool {
        let mut names = path.split('.');
        match (names.next(), names.next()) {
            (Some("inputs"), None) => self.all_inputs,
            (Some("inputs"), Some(name)) => {
                let inputs = self.scope.roots.get("inputs");
                inputs.is_some_and(|inputs| inputs.get(name).is_some())
            }
            (Some("trigger"), Some("alert")) => self.scope.roots.contains_key("trigger"),
            (Some("each"), _) => self.scope.roots.contains_key("each"),
            // The incident's id, outputs and the run's own record come into being with a run.
            _ => false,
        }
    }

    /// What of it is not known yet.
    pub(super) fn lacks(&self, reads: Reads) -> BTreeSet<String> {
        let mut lacks: BTreeSet<String> = reads.paths.into_iter().filter(|path| !self.holds(path)).collect();
        if reads.needs {
            lacks.insert("needs".to_owned());
        }
        lacks
    }

    pub(super) fn template(&self, template: &Template) -> Foreseen {
        let waits_for = self.lacks(template.reads());
        if waits_for.is_empty() {
            return shown(template.eval(&self.scope).map_err(|error| error.to_string()));
        }
        Foreseen::Later {
            expression: cut(&source(template)),
            waits_for,
        }
    }

    pub(super) fn templates(&self, map: &BTreeMap<String, Template>) -> BTreeMap<String, Foreseen> {
        let of = |(key, template): (&String, &Template)| (key.clone(), self.template(template));
        map.iter().map(of).collect()
    }

    pub(super) fn condition(&self, when: &Expr) -> Foreseen {
        let waits_for = self.lacks(when.reads());
        if waits_for.is_empty() {
            return shown(when.eval(&self.scope).map_err(|error| error.to_string()));
        }
        Foreseen::Later {
            expression: cut(&when.0),
            waits_for,
        }
    }
}

/// A value, unless it is too large to be shown.
pub(super) fn shown(value: Result<Value, String>) -> Foreseen {
    match value {
        Ok(value) => match serde_json::to_vec(&value).map_or(usize::MAX, |json| json.len()) {
            bytes if bytes > SHOWN_BYTES => Foreseen::Large(bytes),
            _ => Foreseen::Value(value),
        },
        Err(error) => Foreseen::Wrong(error),
    }
}

/// A template as a definition would write it.
fn source(template: &Template) -> String {
    match template {
        Template::Literal(Value::String(text)) => text.clone(),
        Template::Literal(value) => value.to_string(),
        Template::Expr(expr) => format!("${{{{ {} }}}}", expr.0),
        Template::Concat(parts) => parts.iter().map(source).collect(),
        Template::List(parts) => format!("[{}]", parts.iter().map(source).collect::<Vec<_>>().join(", ")),
        Template::Map(parts) => {
            let of = |(key, part): (&String, &Template)| format!("{key}: {}", source(part));
            format!("{{ {} }}", parts.iter().map(of).collect::<Vec<_>>().join(", "))
        }
    }
}

pub(super) fn cut(text: &str) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(SHOWN_CHARS).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// What the values wait for.
pub(super) fn waiting<'a>(values: impl IntoIterator<Item = &'a Foreseen>) -> BTreeSet<String> {
    let of = |value: &'a Foreseen| match value {
        Foreseen::Later { waits_for, .. } => Some(waits_for),
        Foreseen::Value(_) | Foreseen::Large(_) | Foreseen::Wrong(_) => None,
    };
    values.into_iter().filter_map(of).flatten().cloned().collect()
}
