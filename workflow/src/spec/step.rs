//! A step as written.

use std::collections::BTreeSet;

use types::{HostView, IfLost, Label, Millis, Network, OutputFrom, Resources, Retry, RetryOn, Value, limits};

use super::{
    At, BodySpec, ContainerSpec, FanSpec, OutputSpec, StepSpec,
    fields::{Fields, LONGEST, Name, Reader, short},
    units,
    workflow::{ty, when},
};
use crate::{
    code::Code,
    diagnostic::Loc,
    template::{Tpl, TplKind},
    yaml::{Data, Entry, Node},
};

const KEYS: [&str; 29] = [
    "name",
    "uses",
    "with",
    "image",
    "run",
    "command",
    "env",
    "secrets",
    "resources",
    "network",
    "host-view",
    "workdir",
    "user",
    "needs",
    "when",
    "foreach",
    "max-parallel",
    "follow",
    "gather",
    "runs-on",
    "pickup",
    "outputs",
    "output-from",
    "timeout",
    "grace",
    "disconnect",
    "retry",
    "allow-failure",
    "if-lost",
];
const PLANNED: [&str; 10] = [
    "workflow",
    "wait",
    "finally",
    "undo",
    "concurrency",
    "schedule",
    "services",
    "files",
    "artifacts",
    "gate",
];
/// Keys of containers only.
const CONTAINER: [&str; 12] = [
    "image",
    "run",
    "command",
    "env",
    "secrets",
    "resources",
    "network",
    "host-view",
    "workdir",
    "user",
    "output-from",
    "outputs",
];

pub(super) fn lower(reader: &mut Reader<'_>, entry: &Entry) -> StepSpec {
    reader.name(&entry.key, entry.key_at, "step's key", Name::Key);
    let mut step = StepSpec {
        key: At {
            value: entry.key.clone(),
            at: entry.key_at,
        },
        name: None,
        needs: Vec::new(),
        when: None,
        fan: None,
        runs_on: Vec::new(),
        pickup: None,
        outputs: Vec::new(),
        outputs_at: None,
        timeout: None,
        grace: None,
        disconnect: None,
        retry: Retry::default(),
        allow_failure: None,
        if_lost: None,
        body: BodySpec::Wrong,
    };
    let Some(fields) = reader.fields(&entry.value, "a step", &KEYS, &PLANNED) else {
        return step;
    };
    common(reader, &fields, &mut step);
    step.fan = fan(reader, &fields);
    step.body = body(reader, entry, &fields);
    step
}

fn common(reader: &mut Reader<'_>, fields: &Fields<'_>, step: &mut StepSpec) {
    if let Some(entry) = fields.get("name") {
        step.name = reader.text(&entry.value, "`name`").map(str::to_owned);
    }
    if let Some(entry) = fields.get("needs") {
        step.needs = reader.texts(&entry.value, "`needs`");
    }
    if let Some(entry) = fields.get("when") {
        step.when = when(reader, &entry.value);
    }
    if let Some(entry) = fields.get("runs-on") {
        step.runs_on = runs_on(reader, &entry.value);
    }
    let mut duration = |key: &str, low, high| {
        let entry = fields.get(key)?;
        reader.duration(&entry.value, &format!("`{key}`"), low, high)
    };
    step.pickup = duration("pickup", 1, LONGEST);
    step.timeout = duration("timeout", 1, LONGEST);
    step.grace = duration("grace", 0, 600_000);
    step.disconnect = duration("disconnect", 1_000, limits::DISCONNECT_MAX_MS);
    if let Some(entry) = fields.get("outputs") {
        step.outputs_at = Some(entry.key_at);
        step.outputs = outputs(reader, &entry.value);
    }
    if let Some(entry) = fields.get("retry") {
        step.retry = retry(reader, &entry.value);
    }
    if let Some(entry) = fields.get("allow-failure") {
        let allowed = reader.bool(&entry.value, "`allow-failure`");
        step.allow_failure = allowed.filter(|allowed| *allowed).map(|_| entry.key_at);
    }
    if let Some(entry) = fields.get("if-lost") {
        step.if_lost = if_lost(reader, &entry.value);
    }
}

fn runs_on(reader: &mut Reader<'_>, node: &Node) -> Vec<(String, Loc, Tpl)> {
    if let Data::Map(entries) = &node.data {
        let mut labels = Vec::new();
        for entry in entries {
            if reader.name(&entry.key, entry.key_at, "label", Name::Label) {
                let value = Tpl::read(&entry.value, reader.source, reader.sink);
                labels.push((entry.key.clone(), entry.key_at, value));
            }
        }
        return labels;
    }
    let mut labels: Vec<(String, Loc, Tpl)> = Vec::new();
    for text in reader.texts(node, "`runs-on`") {
        match text.value.parse::<Label>() {
            Ok(label) if labels.iter().any(|(key, _, _)| *key == label.key) => {
                let message = format!("`runs-on` has the label `{}` twice", label.key);
                reader.sink.error(Code::BadValue, text.at, message);
            }
            Ok(label) => labels.push((
                label.key,
                text.at,
                Tpl {
                    at: text.at,
                    kind: TplKind::Literal(label.value.into()),
                },
            )),
            Err(error) => {
                reader
                    .sink
                    .error(Code::BadValue, text.at, error.to_string())
                    .help("write `runs-on: { host: db-1 }` or `runs-on: host=db-1`");
            }
        }
    }
    labels
}

fn outputs(reader: &mut Reader<'_>, node: &Node) -> Vec<OutputSpec> {
    let Some(entries) = reader.map(node, "`outputs`") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        reader.name(&entry.key, entry.key_at, "output's name", Name::Plain);
        let mut output = OutputSpec {
            name: At {
                value: entry.key.clone(),
                at: entry.key_at,
            },
            ty: None,
            optional: false,
        };
        if let Data::Map(_) = &entry.value.data {
            if let Some(fields) = reader.fields(&entry.value, "an output", &["type", "optional"], &[]) {
                match fields.get("type") {
                    Some(entry) => output.ty = ty(reader, &entry.value),
                    None => {
                        let message = format!("the output `{}` needs a `type`", entry.key);
                        reader.sink.error(Code::MissingKey, entry.key_at, message);
                    }
                }
                if let Some(entry) = fields.get("optional") {
                    output.optional = reader.bool(&entry.value, "`optional`").unwrap_or_default();
                }
            }
        } else {
            output.ty = ty(reader, &entry.value);
        }
        found.push(output);
    }
    found
}

fn retry(reader: &mut Reader<'_>, node: &Node) -> Retry {
    let mut retry = Retry::default();
    if let Data::Scalar(Value::Number(_)) = &node.data {
        retry.limit = limit(reader, node);
        return retry;
    }
    let keys = ["limit", "delay", "backoff", "max-delay", "jitter", "on"];
    let Some(fields) = reader.fields(node, "`retry`", &keys, &[]) else {
        return retry;
    };
    match fields.get("limit") {
        Some(entry) => retry.limit = limit(reader, &entry.value),
        None if !fields.lacks("limit") => {}
        None => {
            reader
                .sink
                .error(Code::MissingKey, node.at, "`retry` needs a `limit`")
                .help("add `limit: 2`: the tries after the first");
        }
    }
    if let Some(entry) = fields.get("delay") {
        retry.delay_ms = reader
            .duration(&entry.value, "`delay`", 0, LONGEST)
            .unwrap_or(retry.delay_ms);
        retry.max_delay_ms = retry.max_delay_ms.max(retry.delay_ms);
    }
    if let Some(entry) = fields.get("max-delay") {
        retry.max_delay_ms = reader
            .duration(&entry.value, "`max-delay`", 0, LONGEST)
            .unwrap_or(retry.max_delay_ms);
    }
    if let Some(entry) = fields.get("backoff") {
        match &entry.value.data {
            Data::Scalar(Value::Number(number)) => match number.as_f64() {
                Some(factor) if (1.0..=100.0).contains(&factor) => retry.backoff = factor,
                _ => {
                    reader.sink.error(
                        Code::BadValue,
                        entry.value.at,
                        "`backoff` is a number from 1 to 100",
                    );
                }
            },
            _ => reader.wrong_kind(&entry.value, "`backoff`", "a number"),
        }
    }
    if let Some(entry) = fields.get("jitter") {
        retry.jitter = reader.bool(&entry.value, "`jitter`").unwrap_or(true);
    }
    if let Some(entry) = fields.get("on") {
        let nodes = match &entry.value.data {
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        retry.on = nodes.iter().filter_map(|node| retry_on(reader, node)).collect();
    }
    retry
}

fn limit(reader: &mut Reader<'_>, node: &Node) -> u32 {
    let limit = reader.int(node, "`limit`", 0, 100);
    limit
        .and_then(|limit| u32::try_from(limit).ok())
        .unwrap_or_default()
}

fn retry_on(reader: &mut Reader<'_>, node: &Node) -> Option<RetryOn> {
    if let Data::Scalar(Value::Number(_)) = &node.data {
        let code = reader.int(node, "an exit code", 1, 255)?;
        return i32::try_from(code).ok().map(RetryOn::ExitCode);
    }
    let words = [
        ("timeout", RetryOn::Timeout),
        ("oom", RetryOn::Oom),
        ("rate-limited", RetryOn::RateLimited),
    ];
    reader.word(node, "`on` of `retry`", &words)
}

fn if_lost(reader: &mut Reader<'_>, node: &Node) -> Option<(IfLost, Option<Millis>)> {
    if let Data::Map(_) = &node.data {
        let fields = reader.fields(node, "`if-lost`", &["ask"], &[])?;
        let entry = fields.get("ask")?;
        let wait = reader.duration(&entry.value, "`ask`", 1_000, LONGEST)?;
        return Some((IfLost::Ask, Some(wait)));
    }
    let words = [
        ("rerun", IfLost::Rerun),
        ("fail", IfLost::Fail),
        ("ask", IfLost::Ask),
    ];
    reader.word(node, "`if-lost`", &words).map(|value| (value, None))
}

fn fan(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<FanSpec> {
    let max_parallel = fields.get("max-parallel").and_then(|entry| {
        if !fields.has("foreach") {
            reader.sink.error(
                Code::Conflict,
                entry.key_at,
                "`max-parallel` stands with `foreach`",
            );
        }
        let value = reader.int(&entry.value, "`max-parallel`", 1, limits::ITEMS as u64)?;
        u32::try_from(value).ok()
    });
    let gather = fields.get("gather").and_then(|entry| {
        if !fields.has("follow") {
            reader
                .sink
                .error(Code::Conflict, entry.key_at, "`gather` stands with `follow`");
        }
        reader.duration(&entry.value, "`gather`", 0, 600_000)
    });
    match (fields.get("foreach"), fields.get("follow")) {
        (Some(each), Some(follow)) => {
            reader
                .sink
                .error(
                    Code::Conflict,
                    follow.key_at,
                    "a step fans out by `foreach` or by `follow`, not both",
                )
                .also(each.key_at, "`foreach` is here");
            None
        }
        (Some(each), None) => {
            let items = Tpl::read(&each.value, reader.source, reader.sink);
            if let TplKind::List(list) = &items.kind
                && list.len() > limits::ITEMS
            {
                let message = format!("{} items; at most {} are allowed", list.len(), limits::ITEMS);
                reader.sink.error(Code::BadValue, each.value.at, message);
            }
            Some(FanSpec::Each { items, max_parallel })
        }
        (None, Some(follow)) => Some(FanSpec::Follow {
            steps: reader.texts(&follow.value, "`follow`"),
            gather,
        }),
        (None, None) => None,
    }
}

fn body(reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> BodySpec {
    if let Some(uses) = fields.get("uses") {
        for key in CONTAINER {
            if let Some(other) = fields.get(key) {
                reader
                    .sink
                    .error(
                        Code::Conflict,
                        other.key_at,
                        format!("`{key}` is a container's, and this step has `uses`"),
                    )
                    .also(uses.key_at, "the action is here")
                    .help("an action takes its parameters by `with`; its outputs are in its signature");
            }
        }
        let with = match fields.get("with") {
            Some(with) => templates(reader, &with.value, "`with`"),
            None => Vec::new(),
        };
        let Some(name) = reader.text(&uses.value, "`uses`") else {
            return BodySpec::Wrong;
        };
        let uses = At {
            value: name.to_owned(),
            at: uses.value.at,
        };
        return BodySpec::Action { uses, with };
    }
    if let Some(with) = fields.get("with") {
        reader
            .sink
            .error(Code::Conflict, with.key_at, "`with` stands with `uses`")
            .help("a container takes values by `env`");
    }
    container(reader, entry, fields)
}

fn templates(reader: &mut Reader<'_>, node: &Node, what: &str) -> Vec<(String, Loc, Tpl)> {
    if matches!(node.data, Data::Scalar(Value::Null)) {
        return Vec::new();
    }
    let Some(entries) = reader.map(node, what) else {
        return Vec::new();
    };
    entries
        .iter()
        .map(|entry| {
            (
                entry.key.clone(),
                entry.key_at,
                Tpl::read(&entry.value, reader.source, reader.sink),
            )
        })
        .collect()
}

fn container(reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> BodySpec {
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
                .also(run.key_at, "`run` is here");
            None
        }
        (Some(run), None) => script(reader, &run.value),
        (None, Some(command)) => argv(reader, &command.value),
        (None, None) if !(fields.lacks("run") && fields.lacks("command") && fields.lacks("uses")) => {
            return BodySpec::Wrong;
        }
        (None, None) => {
            let planned = matches!(&entry.value.data, Data::Map(entries)
                if entries.iter().any(|entry| PLANNED.contains(&entry.key.as_str())));
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
                format!("the step `{}` says not what it runs in", short(&entry.key)),
            )
            .help("add `image: alpine:3.22`, or `image: host` for the agent's own system");
    }
    let (env, secrets) = environment(reader, fields);
    let rest = rest(reader, fields);
    let (Some(image), Some(argv)) = (image, argv) else {
        return BodySpec::Wrong;
    };
    BodySpec::Container(Box::new(ContainerSpec {
        image,
        argv,
        env,
        secrets,
        ..rest
    }))
}

fn environment(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
) -> (Vec<(String, Loc, Tpl)>, Vec<(String, String)>) {
    let mut env = match fields.get("env") {
        Some(entry) => templates(reader, &entry.value, "`env`"),
        None => Vec::new(),
    };
    env.retain(|(name, at, _)| reader.name(name, *at, "environment name", Name::Env));
    let mut secrets = Vec::new();
    let listed = fields
        .get("secrets")
        .and_then(|entry| reader.map(&entry.value, "`secrets`"));
    for entry in listed.unwrap_or_default() {
        if !reader.name(&entry.key, entry.key_at, "environment name", Name::Env) {
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
                .also(first, "in `env` here");
        }
        if let Some(name) = reader.text(&entry.value, "`secrets`") {
            secrets.push((entry.key.clone(), name.to_owned()));
        }
    }
    (env, secrets)
}

/// What has no expressions.
fn rest(reader: &mut Reader<'_>, fields: &Fields<'_>) -> ContainerSpec {
    let mut spec = ContainerSpec {
        image: Tpl {
            at: fields.at,
            kind: TplKind::Wrong,
        },
        argv: Vec::new(),
        env: Vec::new(),
        secrets: Vec::new(),
        resources: Resources::default(),
        network: Network::default(),
        host_view: BTreeSet::new(),
        workdir: None,
        user: None,
        output_from: OutputFrom::default(),
    };
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
        let user = reader.int(&entry.value, "`user`", 0, 65_534);
        spec.user = user.and_then(|user| u32::try_from(user).ok());
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
    spec
}

fn resources(reader: &mut Reader<'_>, node: &Node) -> Resources {
    let mut resources = Resources::default();
    let Some(fields) = reader.fields(node, "`resources`", &["cpu", "memory", "pids"], &[]) else {
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
                reader
                    .sink
                    .error(Code::BadSize, entry.value.at, "`memory` takes a size")
                    .help("write 64MiB, 512MB or 1GiB");
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
        let pids = reader.int(&entry.value, "`pids`", 1, 65_536);
        resources.pids = pids
            .and_then(|pids| u32::try_from(pids).ok())
            .unwrap_or(resources.pids);
    }
    resources
}

fn script(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Tpl>> {
    let Data::Scalar(Value::String(text)) = &node.data else {
        reader.wrong_kind(node, "`run`", "a script");
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

fn argv(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Tpl>> {
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
                .error(Code::BadValue, node.at, "`command` needs a program");
            None
        }
        Data::Scalar(Value::String(_)) => {
            reader
                .sink
                .error(
                    Code::WrongKind,
                    node.at,
                    "`command` takes a list of a program and its arguments",
                )
                .help("write [program, argument, …]; for a line of shell use `run`");
            None
        }
        _ => {
            reader.wrong_kind(node, "`command`", "a list");
            None
        }
    }
}
