//! The top of a definition: name, what starts it, inputs.

use std::collections::HashMap;

use types::{Type, Value, limits};

use super::{
    At, InputSpec, Spec,
    fields::{Known, Name, Reader, short},
    foreign::{self, Here},
    step,
};
use crate::{
    code::Code,
    diagnostic::{Loc, Sink},
    source::SourceFile,
    template::ExprSpec,
    yaml::{Data, Entry, Node},
};

const KEYS: [&str; 6] = ["name", "description", "on", "inputs", "steps", "actions"];
const PLANNED: [&str; 6] = [
    "finally",
    "concurrency",
    "schedule",
    "outputs",
    "secrets",
    "defaults",
];

/// Lowers the tree. What is wrong is in the sink; the rest is in the spec.
pub(crate) fn lower(root: &Node, source: &SourceFile, sink: &mut Sink) -> Spec {
    let mut reader = Reader { source, sink };
    let mut spec = Spec::default();
    let known = Known {
        planned: &PLANNED,
        foreign: &foreign::WORKFLOW,
        elsewhere: Some(("a step", &step::KEYS)),
        ..Known::keys("a workflow", &KEYS)
    };
    let Some(fields) = reader.fields(root, &known) else {
        return spec;
    };
    match fields.get("name") {
        Some(entry) => spec.name = name(&mut reader, &entry.value),
        None if !fields.lacks("name") => {}
        None => {
            let at = Loc {
                start: fields.at.start,
                end: fields.at.start,
            };
            reader
                .sink
                .error(Code::MissingKey, at, "a workflow needs a `name`")
                .help("add `name: incident-response` at the top");
        }
    }
    if let Some(entry) = fields.get("description") {
        spec.description = reader.text(&entry.value, "`description`").map(str::to_owned);
    }
    if let Some(entry) = fields.get("on") {
        spec.on_alert = on(&mut reader, &entry.value);
    }
    if let Some(entry) = fields.get("inputs") {
        spec.inputs = inputs(&mut reader, &entry.value);
    }
    if let Some(entry) = fields.get("actions") {
        spec.actions = actions(&mut reader, &entry.value);
    }
    match fields.get("steps") {
        Some(entry) => spec.steps = steps(&mut reader, entry),
        None if !fields.lacks("steps") => {}
        None => {
            let at = Loc {
                start: fields.at.start,
                end: fields.at.start,
            };
            reader
                .sink
                .error(Code::MissingKey, at, "a workflow needs `steps`")
                .help("add `steps:` with at least one step");
        }
    }
    spec
}

fn name(reader: &mut Reader<'_>, node: &Node) -> String {
    let Some(text) = reader.text(node, "`name`") else {
        return String::new();
    };
    if !super::is_name(text, Name::Key) {
        reader.name(text, node.at, "a workflow's name", Name::Key);
    }
    text.to_owned()
}

const BY_HAND: &str =
    "`on` takes `alert`; without `on` the workflow is started by people and programs: `firehall run`";
/// What starts workflows elsewhere.
const EVENTS: [(&str, Here); 4] = [
    ("push", Here::Not(BY_HAND)),
    ("pull_request", Here::Not(BY_HAND)),
    ("workflow_dispatch", Here::Not(BY_HAND)),
    ("cron", Here::Not(BY_HAND)),
];

/// `on: alert`, `on: [alert]`, `on: {alert: {when: …}}`.
fn on(reader: &mut Reader<'_>, node: &Node) -> Option<Option<ExprSpec>> {
    const PLANNED: [&str; 5] = ["schedule", "manual", "signal", "incident", "webhook"];
    match &node.data {
        Data::Map(_) => {
            let known = Known {
                planned: &PLANNED,
                foreign: &EVENTS,
                ..Known::keys("`on`", &["alert"])
            };
            let fields = reader.fields(node, &known)?;
            let alert = fields.get("alert")?;
            if matches!(alert.value.data, Data::Scalar(Value::Null)) {
                return Some(None);
            }
            let fields = reader.fields(&alert.value, &Known::keys("`on.alert`", &["when"]))?;
            Some(fields.get("when").and_then(|entry| when(reader, &entry.value)))
        }
        _ => {
            let mut bound = None;
            for event in reader.texts(node, "`on`") {
                if event.value == "alert" {
                    bound = Some(None);
                } else if PLANNED.contains(&event.value.as_str()) {
                    let message = format!("`on: {}` is not supported yet", event.value);
                    reader
                        .sink
                        .error(Code::NotSupported, event.at, message)
                        .help(BY_HAND);
                } else {
                    let message = format!("`on` does not take `{}`", short(&event.value));
                    let draft = reader.sink.error(Code::BadValue, event.at, message);
                    match crate::nearest(&event.value, ["alert"]) {
                        Some(near) => draft.help("did you mean `alert`?").suggest(event.at, near),
                        None => draft.help(BY_HAND),
                    };
                }
            }
            bound
        }
    }
}

/// A bare expression.
pub(super) fn when(reader: &mut Reader<'_>, node: &Node) -> Option<ExprSpec> {
    let text = match &node.data {
        Data::Scalar(Value::String(text)) => text.trim().to_owned(),
        Data::Scalar(Value::Bool(value)) => value.to_string(),
        _ => {
            let help = "compare with something: `steps.check.outputs.ok`, `inputs.mode == \"fast\"`";
            reader.wrong_kind_but(node, "`when`", "an expression", help);
            return None;
        }
    };
    if text.contains("${{") {
        let bare = text.replace("${{", " ").replace("}}", " ");
        let bare: Vec<&str> = bare.split_whitespace().collect();
        reader
            .sink
            .error(Code::WhenBraces, node.at, "`when` is an expression already")
            .help("write it without ${{ }}")
            .suggest(node.at, bare.join(" "));
        return None;
    }
    Some(ExprSpec::of_scalar(&text, node.at, reader.source, reader.sink))
}

fn inputs(reader: &mut Reader<'_>, node: &Node) -> Vec<InputSpec> {
    let Some(entries) = reader.map(node, "`inputs`") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        reader.name(&entry.key, entry.key_at, "an input's name", Name::Plain);
        found.push(input(reader, entry));
    }
    found
}

fn input(reader: &mut Reader<'_>, entry: &Entry) -> InputSpec {
    let mut input = InputSpec {
        name: At {
            value: entry.key.clone(),
            at: entry.key_at,
        },
        ty: None,
        default: None,
        one_of: Vec::new(),
        description: None,
    };
    // The short form: `name: string`.
    if let Data::Scalar(Value::String(_)) = &entry.value.data {
        input.ty = ty(reader, &entry.value);
        return input;
    }
    let known = Known {
        foreign: &foreign::INPUT,
        ..Known::keys("an input", &["type", "default", "enum", "description"])
    };
    let Some(fields) = reader.fields(&entry.value, &known) else {
        return input;
    };
    match fields.get("type") {
        Some(entry) => input.ty = ty(reader, &entry.value),
        None if !fields.lacks("type") => {}
        None => {
            reader
                .sink
                .error(
                    Code::MissingKey,
                    entry.key_at,
                    format!("the input `{}` needs a `type`", short(&entry.key)),
                )
                .help("add `type: string`");
        }
    }
    if let Some(entry) = fields.get("description") {
        input.description = reader.text(&entry.value, "`description`").map(str::to_owned);
    }
    if let Some(entry) = fields.get("enum") {
        match &entry.value.data {
            Data::List(items) => {
                let values = items
                    .iter()
                    .filter_map(|item| fitting(reader, item, input.ty.as_ref()));
                input.one_of = values.collect();
            }
            _ => reader.wrong_kind(&entry.value, "`enum`", "a list"),
        }
    }
    if let Some(entry) = fields.get("default") {
        input.default = fitting(reader, &entry.value, input.ty.as_ref());
        if let Some(default) = &input.default
            && !input.one_of.is_empty()
            && !input.one_of.contains(default)
        {
            reader
                .sink
                .error(
                    Code::BadDefault,
                    entry.value.at,
                    "the default is not one of `enum`",
                )
                .help("add it there, or choose one of them");
        }
    }
    input
}

/// Actions that the definition brings along.
fn actions(reader: &mut Reader<'_>, node: &Node) -> crate::local::Known {
    let mut known = crate::local::Known::default();
    for entry in reader.map(node, "`actions`").unwrap_or_default() {
        let name = &entry.key;
        if !crate::local::is_local(name) {
            reader.name(name, entry.key_at, "an action's name", Name::Key);
        }
        match super::lower_action(&entry.value, name, None, reader.source, reader.sink) {
            Some(def) => drop(known.defs.insert(name.clone(), def)),
            None => drop(known.wrong.insert(name.clone())),
        }
    }
    known
}

/// A plain value of the type; says when it does not fit.
pub(super) fn fitting(reader: &mut Reader<'_>, node: &Node, ty: Option<&Type>) -> Option<Value> {
    let value = plain(reader, node)?;
    match ty.map(|ty| ty.check(&value)) {
        None | Some(Ok(())) => Some(value),
        Some(Err(error)) => {
            let message = format!("this does not fit the input's type: {error}");
            let draft = reader.sink.error(Code::BadDefault, node.at, message);
            if error.expected == "string" {
                draft.help("quote it to make it text");
            }
            None
        }
    }
}

/// The value of a node without expressions.
fn plain(reader: &mut Reader<'_>, node: &Node) -> Option<Value> {
    match &node.data {
        Data::Scalar(Value::String(_)) => reader.text(node, "this value").map(Value::from),
        Data::Scalar(value) => Some(value.clone()),
        Data::List(items) => items
            .iter()
            .map(|item| plain(reader, item))
            .collect::<Option<Vec<_>>>()
            .map(Value::Array),
        Data::Map(entries) => entries
            .iter()
            .map(|entry| Some((entry.key.clone(), plain(reader, &entry.value)?)))
            .collect::<Option<types::Object>>()
            .map(Value::Object),
        Data::Wrong => None,
    }
}

pub(super) fn ty(reader: &mut Reader<'_>, node: &Node) -> Option<Type> {
    let text = reader.text(node, "`type`")?;
    match text.parse::<Type>() {
        Ok(ty) => Some(ty),
        Err(error) => {
            let known = [
                "bool",
                "int",
                "float",
                "string",
                "json",
                "list<string>",
                "map<string>",
            ];
            let foreign = [
                ("number", "float"),
                ("integer", "int"),
                ("boolean", "bool"),
                ("str", "string"),
                ("text", "string"),
                ("list", "list<string>"),
                ("array", "list<string>"),
                ("object", "json"),
                ("map", "map<string>"),
            ];
            let draft = reader.sink.error(Code::BadType, node.at, error.to_string());
            match foreign
                .iter()
                .find(|(word, _)| *word == text.to_ascii_lowercase())
            {
                Some((_, here)) => draft
                    .help(format!("did you mean `{here}`?"))
                    .suggest(node.at, *here),
                None => draft.nearest(node.at, text, known),
            };
            None
        }
    }
}

fn steps(reader: &mut Reader<'_>, entry: &Entry) -> Vec<super::StepSpec> {
    if let Data::List(_) = &entry.value.data {
        let help = "write each step under its own key, without a dash: `build: { image: …, run: … }`";
        reader.wrong_kind_but(&entry.value, "`steps`", "a map", help);
        return Vec::new();
    }
    let Some(entries) = reader.map(&entry.value, "`steps`") else {
        return Vec::new();
    };
    if entries.is_empty() {
        reader
            .sink
            .error(
                Code::StepCount,
                entry.key_at,
                "a workflow needs at least one step",
            )
            .help("write one below: `hello: { image: host, run: echo hello }`");
    }
    if entries.len() > limits::STEPS {
        let message = format!("{} steps; at most {} are allowed", entries.len(), limits::STEPS);
        reader
            .sink
            .error(Code::StepCount, entry.key_at, message)
            .help("do the same for many things by `foreach`");
        return Vec::new();
    }
    let mut names: HashMap<String, &Entry> = HashMap::new();
    for entry in entries {
        let name = entry.key.replace('-', "_");
        if let Some(first) = names.insert(name, entry) {
            reader
                .sink
                .error(
                    Code::KeysCoincide,
                    entry.key_at,
                    format!(
                        "`{}` and `{}` are the same name in an expression",
                        first.key, entry.key
                    ),
                )
                .also(first.key_at, "the first one")
                .help("rename one of them");
        }
    }
    entries.iter().map(|entry| step::lower(reader, entry)).collect()
}
