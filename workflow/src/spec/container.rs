//! What a container runs: its image, its program, its surroundings.

use std::collections::BTreeSet;

use types::{HostView, Network, OutputFrom, Pull, Resources, RuntimeName, Value, limits};

use super::{
    BodySpec, ContainerSpec, artifacts,
    fields::{Fields, Known, Name, Reader, short},
    files, foreign, service,
    step::{self, templates},
    units,
};
use crate::{
    code::Code,
    diagnostic::Loc,
    template::{Tpl, TplKind},
    yaml::{Data, Entry, Node},
};

pub(super) fn lower(reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> BodySpec {
    let (run, command) = (fields.get("run"), fields.get("command"));
    let argv = match (run, command) {
        (Some(run), Some(command)) => {
            reader
                .sink
                .error(
                    Code::Conflict,
                    command.key_at,
                    "a step has `run` or `command`, not both",
                )
                .also(run.key_at, "`run` is here")
                .help("keep one: a script in `run`, or a program with its arguments in `command`");
            None
        }
        (Some(run), None) => script(reader, &run.value),
        (None, Some(command)) => argv(reader, &command.value),
        (None, None) if !(fields.lacks("run") && fields.lacks("command") && fields.lacks("uses")) => {
            return BodySpec::Wrong;
        }
        (None, None) => {
            let planned = matches!(&entry.value.data, Data::Map(entries)
                if entries.iter().any(|entry| step::PLANNED.contains(&entry.key.as_str())));
            if !planned {
                reader
                    .sink
                    .error(Code::MissingKey, entry.key_at, format!("the step `{}` does nothing", short(&entry.key)))
                    .help("give it `uses: action`, or `image` with `run: script` or `command: [program, argument]`");
            }
            return BodySpec::Wrong;
        }
    };
    let image = fields
        .get("image")
        .map(|entry| Tpl::read(&entry.value, reader.source, reader.sink));
    if image.is_none() && fields.lacks("image") {
        let at = run.or(command).map_or(entry.key_at, |entry| entry.key_at);
        reader
            .sink
            .error(
                Code::ImageMissing,
                at,
                format!("the step `{}` does not say what it runs in", short(&entry.key)),
            )
            .help("add `image: alpine:3.22`, or `image: host` for the agent's own system");
    }
    let (env, secrets) = environment(reader, fields);
    let (secrets, secret_files) = secrets;
    let mut rest = rest(reader, fields);
    if let Some(entry) = fields.get("services") {
        rest.services = service::lower(reader, &entry.value);
    }
    let (Some(image), Some(argv)) = (image, argv) else {
        return BodySpec::Wrong;
    };
    BodySpec::Container(Box::new(ContainerSpec {
        image,
        argv,
        env,
        secrets,
        secret_files,
        ..rest
    }))
}

/// Secrets by the name that the step knows them under, and those of them that are files.
pub(super) type Secrets = (Vec<(String, String)>, BTreeSet<String>);

pub(super) fn environment(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
) -> (Vec<(String, Loc, Tpl)>, Secrets) {
    let mut env = match fields.get("env") {
        Some(entry) if matches!(entry.value.data, Data::List(_)) => {
            reader.wrong_kind_but(&entry.value, "`env`", "a map", "write `env: { NAME: value }`");
            Vec::new()
        }
        Some(entry) => templates(reader, &entry.value, "`env`"),
        None => Vec::new(),
    };
    env.retain(|(name, at, _)| reader.name(name, *at, "an environment variable's name", Name::Env));
    let (mut secrets, mut files) = (Vec::new(), BTreeSet::new());
    let listed = fields
        .get("secrets")
        .and_then(|entry| reader.map(&entry.value, "`secrets`"));
    for entry in listed.unwrap_or_default() {
        if !reader.name(
            &entry.key,
            entry.key_at,
            "an environment variable's name",
            Name::Env,
        ) {
            continue;
        }
        if let Some((_, first, _)) = env.iter().find(|(name, _, _)| *name == entry.key) {
            let first = *first;
            reader
                .sink
                .error(
                    Code::Conflict,
                    entry.key_at,
                    format!("`{}` is in `env` and in `secrets`", entry.key),
                )
                .also(first, "in `env` here")
                .help("remove one of them");
        }
        if let Some((name, is_file)) = secret(reader, &entry.value) {
            secrets.push((entry.key.clone(), name));
            if is_file {
                files.insert(entry.key.clone());
            }
        }
    }
    (env, (secrets, files))
}

/// `NAME`, or `{ name: NAME, as: file }`.
fn secret(reader: &mut Reader<'_>, node: &Node) -> Option<(String, bool)> {
    if !matches!(node.data, Data::Map(_)) {
        return Some((reader.text(node, "`secrets`")?.to_owned(), false));
    }
    let fields = reader.fields(node, &Known::keys("a secret", &["name", "as"]))?;
    let words = [("env", false), ("file", true)];
    let is_file = fields
        .get("as")
        .and_then(|entry| reader.word(&entry.value, "`as`", &words));
    let Some(name) = fields.get("name") else {
        if fields.lacks("name") {
            reader
                .sink
                .error(Code::MissingKey, node.at, "a secret needs its `name`")
                .help("write { name: DEPLOY_TOKEN, as: file }");
        }
        return None;
    };
    let name = reader.text(&name.value, "`name`")?.to_owned();
    Some((name, is_file.unwrap_or_default()))
}

/// What has no expressions.
pub(super) fn rest(reader: &mut Reader<'_>, fields: &Fields<'_>) -> ContainerSpec {
    let mut spec = ContainerSpec {
        image: Tpl {
            at: fields.at,
            kind: TplKind::Wrong,
        },
        pull: Pull::default(),
        argv: Vec::new(),
        env: Vec::new(),
        secrets: Vec::new(),
        secret_files: BTreeSet::new(),
        files: Vec::new(),
        artifacts: Vec::new(),
        resources: Resources::default(),
        network: Network::default(),
        host_view: BTreeSet::new(),
        workdir: None,
        user: None,
        output_from: OutputFrom::default(),
        runtime: None,
        services: Vec::new(),
    };
    if let Some(entry) = fields.get("pull") {
        let words = [Pull::Missing, Pull::Always, Pull::Never].map(|pull| (pull.as_str(), pull));
        spec.pull = reader.word(&entry.value, "`pull`", &words).unwrap_or_default();
    }
    if let Some(entry) = fields.get("files") {
        spec.files = files::lower(reader, &entry.value);
    }
    if let Some(entry) = fields.get("artifacts") {
        spec.artifacts = artifacts::lower(reader, &entry.value);
    }
    if let Some(entry) = fields.get("resources") {
        spec.resources = resources(reader, &entry.value);
    }
    if let Some(entry) = fields.get("network") {
        let words =
            [Network::None, Network::Egress, Network::Host].map(|network| (network.as_str(), network));
        spec.network = reader.word(&entry.value, "`network`", &words).unwrap_or_default();
    }
    if let Some(entry) = fields.get("host-view") {
        let words = [HostView::Proc, HostView::Sys].map(|view| (view.as_str(), view));
        let nodes = match &entry.value.data {
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        spec.host_view = nodes
            .iter()
            .filter_map(|node| reader.word(node, "`host-view`", &words))
            .collect();
    }
    if let Some(entry) = fields.get("workdir") {
        spec.workdir = reader.text(&entry.value, "`workdir`").map(str::to_owned);
        if spec.workdir.as_ref().is_some_and(|path| !path.starts_with('/')) {
            reader
                .sink
                .error(Code::BadValue, entry.value.at, "`workdir` is an absolute path")
                .help("begin it with /");
        }
    }
    if let Some(entry) = fields.get("user") {
        spec.user = user(reader, &entry.value);
    }
    if let Some(entry) = fields.get("output-from") {
        let words = [
            ("file", OutputFrom::File),
            ("stdout-json", OutputFrom::StdoutJson),
        ];
        spec.output_from = reader
            .word(&entry.value, "`output-from`", &words)
            .unwrap_or_default();
    }
    if let Some(entry) = fields.get("runtime") {
        let words = [RuntimeName::Native, RuntimeName::Docker].map(|runtime| (runtime.as_str(), runtime));
        spec.runtime = reader.word(&entry.value, "`runtime`", &words);
    }
    spec
}

fn user(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    if let Data::Scalar(Value::String(_)) = &node.data {
        let help = "write the number: names differ from image to image; 0 is root";
        reader.wrong_kind_but(node, "`user`", "a whole number", help);
        return None;
    }
    let user = reader.int(node, "`user`", 0, limits::USER_MAX.into())?;
    u32::try_from(user).ok()
}

fn resources(reader: &mut Reader<'_>, node: &Node) -> Resources {
    let mut resources = Resources::default();
    let known = Known {
        foreign: &foreign::RESOURCES,
        ..Known::keys("`resources`", &["cpu", "memory", "pids"])
    };
    let Some(fields) = reader.fields(node, &known) else {
        return resources;
    };
    let scalar = |node: &Node| match &node.data {
        Data::Scalar(Value::String(text)) => Some(text.clone()),
        Data::Scalar(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    if let Some(entry) = fields.get("memory") {
        match scalar(&entry.value).and_then(|text| units::size(&text)) {
            Some(bytes) if bytes >= 4 << 20 => resources.memory_bytes = bytes,
            Some(_) => {
                reader
                    .sink
                    .error(Code::BadValue, entry.value.at, "`memory` is at least 4MiB");
            }
            None => {
                let draft = reader
                    .sink
                    .error(Code::BadSize, entry.value.at, "`memory` takes a size");
                let written = scalar(&entry.value).unwrap_or_default();
                match units::meant_size(&written) {
                    Some(meant) => draft
                        .help("write the unit in full")
                        .suggest(entry.value.at, meant),
                    None => draft.help("write 64MiB, 512MB or 1GiB"),
                };
            }
        }
    }
    if let Some(entry) = fields.get("cpu") {
        resources.cpu_millis = scalar(&entry.value).and_then(|text| units::cpu(&text));
        if resources.cpu_millis.is_none() {
            reader
                .sink
                .error(Code::BadSize, entry.value.at, "`cpu` takes cores")
                .help("write 0.5, 2 or 500m");
        }
    }
    if let Some(entry) = fields.get("pids") {
        let pids = reader.int(&entry.value, "`pids`", 1, limits::PIDS_MAX.into());
        resources.pids = pids
            .and_then(|pids| u32::try_from(pids).ok())
            .unwrap_or(resources.pids);
    }
    resources
}

pub(super) fn script(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Tpl>> {
    let Data::Scalar(Value::String(text)) = &node.data else {
        let help = "write the lines after `run: |`, each further in than `run`";
        reader.wrong_kind_but(node, "`run`", "a script", help);
        return None;
    };
    if let Some(start) = text.find("${{") {
        let inner = text[start + 3..].split("}}").next().unwrap_or_default().trim();
        let name: String = inner
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .take(40)
            .collect();
        let name = if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name
        } else {
            "VALUE".to_owned()
        };
        let raw = reader
            .source
            .text
            .get(node.at.start..node.at.end)
            .unwrap_or_default();
        let at = raw.find("${{").map_or(node.at, |offset| {
            let length = raw[offset..].find("}}").map_or(3, |end| end + 2);
            Loc {
                start: node.at.start + offset,
                end: node.at.start + offset + length,
            }
        });
        reader
            .sink
            .error(
                Code::RunExpression,
                at,
                "`run` takes no expression: its text would be executed",
            )
            .help(format!(
                "add `env: {{ {name}: \"${{{{ {} }}}}\" }}` to the step and write \"${name}\" in the script",
                short(inner)
            ));
        return None;
    }
    let argv = ["/bin/sh", "-e", "-c", text];
    let literal = |text: &str| Tpl {
        at: node.at,
        kind: TplKind::Literal(text.into()),
    };
    Some(argv.into_iter().map(literal).collect())
}

pub(super) fn argv(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Tpl>> {
    match &node.data {
        Data::List(items) if !items.is_empty() => Some(
            items
                .iter()
                .map(|item| Tpl::read(item, reader.source, reader.sink))
                .collect(),
        ),
        Data::List(_) => {
            reader
                .sink
                .error(Code::BadValue, node.at, "`command` needs a program")
                .help("write [program, argument, …]");
            None
        }
        Data::Scalar(Value::String(text)) => {
            let draft = reader.sink.error(
                Code::WrongKind,
                node.at,
                "`command` takes a list of a program and its arguments, found a text",
            );
            let plain = |c: char| c.is_ascii_alphanumeric() || " ./_-=".contains(c);
            if text.chars().all(plain) && text.len() <= 80 {
                let words: Vec<&str> = text.split_whitespace().collect();
                draft
                    .help("for a line of shell use `run`")
                    .suggest(node.at, format!("[{}]", words.join(", ")));
            } else {
                draft.help("write [program, argument, …]; for a line of shell use `run`");
            }
            None
        }
        _ => {
            reader.wrong_kind(node, "`command`", "a list");
            None
        }
    }
}
