//! `services` of a step: containers beside it, and when they are ready.

use types::{Ready, ReadyCheck, Value, is_service_name, limits};

use super::{
    At, ContainerSpec, ServiceSpec, container,
    fields::{Fields, Known, Reader, short},
    foreign,
};
use crate::{
    code::Code,
    template::TplKind,
    yaml::{Data, Entry, Node},
};

const KEYS: [&str; 11] = [
    "image",
    "pull",
    "run",
    "command",
    "env",
    "secrets",
    "files",
    "resources",
    "workdir",
    "user",
    "ready",
];
/// Keys of a step that hold for its services too.
const STEPS: [&str; 5] = ["network", "host-view", "timeout", "grace", "runs-on"];

pub(super) fn lower(reader: &mut Reader<'_>, node: &Node) -> Vec<ServiceSpec> {
    let Data::Map(entries) = &node.data else {
        let help = "write `services: { db: { image: postgres:17, ready: { tcp: 5432 } } }`";
        reader.wrong_kind_but(node, "`services`", "a map of names", help);
        return Vec::new();
    };
    if entries.len() > limits::SERVICES {
        let message = format!(
            "{} services; at most {} are allowed beside a step",
            entries.len(),
            limits::SERVICES
        );
        reader
            .sink
            .error(Code::BadValue, node.at, message)
            .help("what several steps need for longer than one of them runs is no service of a step");
    }
    entries
        .iter()
        .filter_map(|entry| service(reader, entry))
        .collect()
}

fn service(reader: &mut Reader<'_>, entry: &Entry) -> Option<ServiceSpec> {
    let named = name(reader, entry);
    let known = Known {
        foreign: &foreign::SERVICE,
        elsewhere: Some(("the step, and holds for its services too", &STEPS)),
        ..Known::keys("a service", &KEYS)
    };
    let fields = reader.fields(&entry.value, &known)?;
    let ready = fields.get("ready").and_then(|entry| ready(reader, &entry.value));
    let container = body(reader, entry, &fields)?;
    named.then(|| ServiceSpec {
        name: At {
            value: entry.key.clone(),
            at: entry.key_at,
        },
        container,
        ready,
    })
}

fn name(reader: &mut Reader<'_>, entry: &Entry) -> bool {
    if is_service_name(&entry.key) {
        return true;
    }
    let message = format!("`{}` cannot be a service's name", short(&entry.key));
    let draft = reader.sink.error(Code::BadName, entry.key_at, message);
    let fixed = entry.key.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    if is_service_name(&fixed) {
        draft
            .help(format!("it is a host's name: write `{fixed}`"))
            .suggest(entry.key_at, fixed);
    } else {
        draft.help(format!(
            "it is a host's name: [a-z][a-z0-9-]*, at most {} characters, and not `localhost`, `step` or `firehall`",
            limits::SERVICE_NAME_BYTES
        ));
    }
    false
}

fn body(reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> Option<ContainerSpec> {
    let image = fields
        .get("image")
        .map(|entry| crate::template::Tpl::read(&entry.value, reader.source, reader.sink));
    if image.is_none() && fields.lacks("image") {
        let message = format!("the service `{}` does not say what it runs in", short(&entry.key));
        reader
            .sink
            .error(Code::ImageMissing, entry.key_at, message)
            .help("add `image: postgres:17`, or `image: host` for the agent's own system");
    }
    let argv = match (fields.get("run"), fields.get("command")) {
        (Some(run), Some(command)) => {
            reader
                .sink
                .error(
                    Code::Conflict,
                    command.key_at,
                    "a service has `run` or `command`, not both",
                )
                .also(run.key_at, "`run` is here")
                .help("keep one: a script in `run`, or a program with its arguments in `command`");
            None
        }
        (Some(run), None) => container::script(reader, &run.value),
        (None, Some(command)) => container::argv(reader, &command.value),
        // What its image runs by itself.
        (None, None) => Some(Vec::new()),
    };
    let on_host = image.as_ref().is_some_and(
        |image| matches!(&image.kind, TplKind::Literal(Value::String(name)) if name == types::HOST_IMAGE),
    );
    if on_host && argv.as_ref().is_some_and(Vec::is_empty) && fields.lacks("run") && fields.lacks("command") {
        let message = format!("the service `{}` does nothing", short(&entry.key));
        reader
            .sink
            .error(Code::MissingKey, entry.key_at, message)
            .help("the host's own system has no program of its own: add `run: script` or `command: [program, argument]`");
    }
    let (env, (secrets, secret_files)) = container::environment(reader, fields);
    let rest = container::rest(reader, fields);
    Some(ContainerSpec {
        image: image?,
        argv: argv?,
        env,
        secrets,
        secret_files,
        ..rest
    })
}

fn ready(reader: &mut Reader<'_>, node: &Node) -> Option<Ready> {
    let known = Known {
        foreign: &foreign::READY,
        ..Known::keys("`ready`", &["tcp", "command", "run", "interval", "timeout"])
    };
    let fields = reader.fields(node, &known)?;
    let check = check(reader, node, &fields);
    let mut duration = |key: &str, low, high| {
        let entry = fields.get(key)?;
        reader.duration(&entry.value, &format!("`{key}` of `ready`"), low, high)
    };
    let interval = duration(
        "interval",
        limits::READY_INTERVAL_MIN_MS,
        limits::READY_INTERVAL_MAX_MS,
    );
    let timeout = duration(
        "timeout",
        limits::READY_TIMEOUT_MIN_MS,
        limits::READY_TIMEOUT_MAX_MS,
    );
    Some(Ready {
        check: check?,
        interval_ms: interval.unwrap_or(limits::READY_INTERVAL_MS),
        timeout_ms: timeout.unwrap_or(limits::READY_TIMEOUT_MS),
    })
}

fn check(reader: &mut Reader<'_>, node: &Node, fields: &Fields<'_>) -> Option<ReadyCheck> {
    let given: Vec<&Entry> = ["tcp", "command", "run"]
        .iter()
        .filter_map(|key| fields.get(key))
        .collect();
    match given.as_slice() {
        [] => {
            if fields.lacks("tcp") && fields.lacks("command") && fields.lacks("run") {
                reader
                    .sink
                    .error(Code::MissingKey, node.at, "`ready` does not say what is tried")
                    .help("add `tcp: 5432`, or `command: [pg_isready]`, or `run: script`");
            }
            None
        }
        [one] if one.key == "tcp" => {
            let port = reader.int(&one.value, "`tcp`", 1, u16::MAX.into())?;
            u16::try_from(port).ok().map(ReadyCheck::Tcp)
        }
        [one] => {
            let argv = if one.key == "run" {
                container::script(reader, &one.value)?
            } else {
                container::argv(reader, &one.value)?
            };
            let mut plain = Vec::with_capacity(argv.len());
            for value in &argv {
                match (
                    &value.kind,
                    value.constant().and_then(|value| crate::expr::text_of(&value)),
                ) {
                    (TplKind::Wrong, _) => return None,
                    (_, Some(text)) => plain.push(text),
                    (_, None) => {
                        let message = format!("`{}` of `ready` takes no expression", one.key);
                        reader
                            .sink
                            .error(Code::NoExpression, value.at, message)
                            .help("give the value to the service by `env`, which its readiness sees too, and use `run`");
                        return None;
                    }
                }
            }
            Some(ReadyCheck::Command(plain))
        }
        [first, second, ..] => {
            let message = format!("`ready` has `{}` and `{}`", first.key, second.key);
            reader
                .sink
                .error(Code::Conflict, second.key_at, message)
                .also(first.key_at, format!("`{}` is here", first.key))
                .help("keep the one that says that the service can be used");
            None
        }
    }
}
