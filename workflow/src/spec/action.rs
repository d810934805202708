//! An action of a team's own (`action.yaml`): a signature and the container that it is. Everything in it is fixed; its
//! inputs reach it as JSON in `$FIREHALL_INPUTS`, never as text that is run.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use types::{Effect, IfLost, Network, Output, Param, Signature, Trust, Value, limits};

use super::{
    ContainerSpec,
    fields::{Fields, Known, Name, Reader, short},
    workflow::{fitting, ty},
};
use crate::{
    code::Code,
    diagnostic::{Loc, Sink},
    source::SourceFile,
    template::{Tpl, TplKind},
    yaml::{Data, Entry, Node},
};

const KEYS: [&str; 21] = [
    "name",
    "description",
    "inputs",
    "outputs",
    "image",
    "pull",
    "run",
    "command",
    "main",
    "code",
    "env",
    "secrets",
    "resources",
    "network",
    "host-view",
    "workdir",
    "user",
    "runtime",
    "output-from",
    "timeout",
    "if-lost",
];

/// What an action is: its contract, and what runs.
#[derive(Debug)]
pub(crate) struct ActionDef {
    pub(crate) signature: Signature,
    /// Its values are plain texts.
    pub(crate) container: Box<ContainerSpec>,
    /// SHA-256 of the definition with its code, hex.
    pub(crate) digest: String,
}

/// Lowers an action's tree. `main` is the text of the file that it names, where there is a folder. None: what is wrong
/// has been said.
pub(crate) fn lower(
    root: &Node,
    uses: &str,
    main: Option<&str>,
    source: &SourceFile,
    sink: &mut Sink,
) -> Option<ActionDef> {
    let mut reader = Reader { source, sink };
    let fields = reader.fields(root, &Known::keys("an action", &KEYS))?;
    let params = match fields.get("inputs") {
        Some(entry) => params(&mut reader, &entry.value),
        None => BTreeMap::new(),
    };
    let outputs = match fields.get("outputs") {
        Some(entry) => outputs(&mut reader, &entry.value),
        None => BTreeMap::new(),
    };
    let mut word = |key: &str| {
        let entry = fields.get(key)?;
        reader.text(&entry.value, &format!("`{key}`")).map(str::to_owned)
    };
    let name = word("name");
    let doc = word("description").or(name).unwrap_or_else(|| uses.to_owned());
    let timeout = fields
        .get("timeout")
        .and_then(|entry| reader.duration(&entry.value, "`timeout`", 1, limits::TIMEOUT_MAX_MS));
    let if_lost = fields.get("if-lost").and_then(|entry| {
        let words = [
            ("rerun", IfLost::Rerun),
            ("fail", IfLost::Fail),
            ("ask", IfLost::Ask),
        ];
        reader.word(&entry.value, "`if-lost`", &words)
    });
    let container = container(&mut reader, root, uses, &fields, main)?;
    let signature = Signature {
        name: uses.to_owned(),
        major: 1,
        doc,
        params,
        outputs,
        // What a program does with a network is its own: the cautious word.
        effect: match container.network {
            Network::None => Effect::None,
            Network::Egress | Network::Host => Effect::Writes,
        },
        connection: None,
        connection_by: None,
        scopes: Vec::new(),
        optional_scopes: Vec::new(),
        if_lost: if_lost.unwrap_or(IfLost::Fail),
        timeout_ms: timeout.unwrap_or(limits::TIMEOUT_MS),
    };
    let text = json(root, main).to_string();
    Some(ActionDef {
        signature,
        container,
        digest: data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())),
    })
}

/// The definition as JSON in one piece: the text of `main` stands in `code`.
pub(crate) fn json(root: &Node, main: Option<&str>) -> Value {
    let mut json = value(root);
    if let (Some(object), Some(text)) = (json.as_object_mut(), main) {
        object.remove("main");
        object.insert("code".to_owned(), text.into());
    }
    json
}

/// The file that `main` names, as it is written.
pub(crate) fn main_of(root: &Node) -> Option<&str> {
    let Data::Map(entries) = &root.data else {
        return None;
    };
    let entry = entries.iter().find(|entry| entry.key == "main")?;
    match &entry.value.data {
        Data::Scalar(Value::String(name)) => Some(name),
        _ => None,
    }
}

fn value(node: &Node) -> Value {
    match &node.data {
        Data::Scalar(value) => value.clone(),
        Data::List(items) => items.iter().map(value).collect(),
        Data::Map(entries) => {
            let pairs = entries
                .iter()
                .map(|entry| (entry.key.clone(), value(&entry.value)));
            Value::Object(pairs.collect())
        }
        Data::Wrong => Value::Null,
    }
}

fn params(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, Param> {
    let mut found = BTreeMap::new();
    for entry in reader.map(node, "`inputs`").unwrap_or_default() {
        reader.name(&entry.key, entry.key_at, "an input's name", Name::Plain);
        if let Some(param) = param(reader, entry) {
            found.insert(entry.key.clone(), param);
        }
    }
    found
}

fn param(reader: &mut Reader<'_>, entry: &Entry) -> Option<Param> {
    let mut param = Param {
        ty: types::Type::Json,
        required: true,
        default: None,
        takes: Trust::Trusted,
        doc: String::new(),
    };
    // The short form: `name: string`.
    if let Data::Scalar(Value::String(_)) = &entry.value.data {
        param.ty = ty(reader, &entry.value)?;
        return Some(param);
    }
    let keys = ["type", "default", "optional", "trust", "description"];
    let fields = reader.fields(&entry.value, &Known::keys("an action's input", &keys))?;
    param.ty = typed(reader, entry, &fields, "input")?;
    if let Some(entry) = fields.get("default") {
        param.default = fitting(reader, &entry.value, Some(&param.ty));
    }
    if let Some(entry) = fields.get("optional") {
        param.required = !reader.bool(&entry.value, "`optional`").unwrap_or_default();
    }
    param.required &= param.default.is_none();
    if let Some(entry) = fields.get("trust") {
        let words = [("trusted", Trust::Trusted), ("any", Trust::Untrusted)];
        param.takes = reader.word(&entry.value, "`trust`", &words)?;
    }
    if let Some(entry) = fields.get("description") {
        param.doc = reader.text(&entry.value, "`description`")?.to_owned();
    }
    Some(param)
}

/// What a program prints is an outsider's text, whatever it says of itself.
fn outputs(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, Output> {
    let mut found = BTreeMap::new();
    for entry in reader.map(node, "`outputs`").unwrap_or_default() {
        reader.name(&entry.key, entry.key_at, "an output's name", Name::Plain);
        if let Some(output) = output(reader, entry) {
            found.insert(entry.key.clone(), output);
        }
    }
    found
}

fn output(reader: &mut Reader<'_>, entry: &Entry) -> Option<Output> {
    let mut output = Output {
        ty: types::Type::Json,
        optional: false,
        gives: Trust::Untrusted,
        doc: String::new(),
    };
    if let Data::Scalar(Value::String(_)) = &entry.value.data {
        output.ty = ty(reader, &entry.value)?;
        return Some(output);
    }
    let keys = ["type", "optional", "description"];
    let fields = reader.fields(&entry.value, &Known::keys("an action's output", &keys))?;
    output.ty = typed(reader, entry, &fields, "output")?;
    if let Some(entry) = fields.get("optional") {
        output.optional = reader.bool(&entry.value, "`optional`").unwrap_or_default();
    }
    if let Some(entry) = fields.get("description") {
        output.doc = reader.text(&entry.value, "`description`")?.to_owned();
    }
    Some(output)
}

fn typed(reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>, what: &str) -> Option<types::Type> {
    match fields.get("type") {
        Some(found) => ty(reader, &found.value),
        None => {
            if fields.lacks("type") {
                let message = format!("the {what} `{}` needs a `type`", short(&entry.key));
                let draft = reader.sink.error(Code::MissingKey, entry.key_at, message);
                draft.help("add `type: string`");
            }
            None
        }
    }
}

fn container(
    reader: &mut Reader<'_>,
    root: &Node,
    uses: &str,
    fields: &Fields<'_>,
    main: Option<&str>,
) -> Option<Box<ContainerSpec>> {
    let top = Loc {
        start: fields.at.start,
        end: fields.at.start,
    };
    let runs = fields.get("run").or(fields.get("command"));
    if runs.is_none() && fields.lacks("run") && fields.lacks("command") {
        reader
            .sink
            .error(Code::MissingKey, top, "the action does nothing")
            .help("add `run: |` with a script, or `command: [python3, -c]` with `main: main.py`");
    }
    if !fields.has("image") && fields.lacks("image") {
        reader
            .sink
            .error(Code::ImageMissing, top, "the action does not say what it runs in")
            .help("add `image: python:3.13-alpine`, or `image: host` for the agent's own system");
    }
    let code = code(reader, fields, main);
    if runs.is_none() || !fields.has("image") {
        return None;
    }
    let entry = Entry {
        key: uses.to_owned(),
        key_at: top,
        value: root.clone(),
    };
    let super::BodySpec::Container(mut container) = super::container::lower(reader, &entry, fields) else {
        return None;
    };
    container.argv.extend(code?);
    plain(reader, &container).then_some(container)
}

/// The text that is the command's last argument. The outer None: said.
fn code(reader: &mut Reader<'_>, fields: &Fields<'_>, main: Option<&str>) -> Option<Option<Tpl>> {
    let (entry, text) =
        match (fields.get("code"), fields.get("main")) {
            (None, None) => return Some(None),
            (Some(code), Some(file)) => {
                reader
                    .sink
                    .error(
                        Code::Conflict,
                        file.key_at,
                        "an action has `code` or `main`, not both",
                    )
                    .also(code.key_at, "`code` is here")
                    .help("`main` names a file of the action's folder, `code` holds the text itself");
                return None;
            }
            (Some(code), None) => (code, reader.text(&code.value, "`code`")?),
            (None, Some(file)) => {
                match main {
                    Some(text) => (file, text),
                    None => {
                        reader
                    .sink
                    .error(Code::BadValue, file.value.at, "there is no folder that has this file")
                    .help("`main` stands in the action.yaml of a folder; here write the text in `code: |`");
                        return None;
                    }
                }
            }
        };
    if !fields.has("command") {
        reader
            .sink
            .error(
                Code::Conflict,
                entry.key_at,
                format!("`{}` needs a `command` that takes it", entry.key),
            )
            .help(
                "add `command: [python3, -c]`, `[node, -e]` or `[ruby, -e]`: the text is its last argument",
            );
        return None;
    }
    let kind = TplKind::Literal(text.into());
    Some(Some(Tpl {
        at: entry.value.at,
        kind,
    }))
}

/// Whether everything in it is a text without an expression; says what is not.
fn plain(reader: &mut Reader<'_>, container: &ContainerSpec) -> bool {
    let env = container.env.iter().map(|(_, _, value)| value);
    let mut all = true;
    for value in std::iter::once(&container.image)
        .chain(&container.argv)
        .chain(env)
    {
        let (code, message) = match value.constant() {
            Some(Value::String(text)) if !text.is_empty() || !std::ptr::eq(value, &container.image) => {
                continue;
            }
            Some(Value::String(_)) => (Code::BadValue, "`image` is empty"),
            Some(_) => (Code::WrongKind, "this takes a text: quote it"),
            None if matches!(value.kind, TplKind::Wrong) => {
                all = false;
                continue;
            }
            None => (Code::NoExpression, "an action's definition takes no expression"),
        };
        all = false;
        let draft = reader.sink.error(code, value.at, message);
        if code == Code::NoExpression {
            draft.help("declare an input: all of them come as one JSON object in `$FIREHALL_INPUTS`");
        }
    }
    all
}
