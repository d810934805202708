//! A step as written.

use types::{IfLost, Label, Millis, Retry, RetryOn, Value, limits};

use super::{
    At, BodySpec, FanSpec, OutputSpec, StepSpec, container,
    fields::{Fields, Known, LONGEST, Name, Reader, short},
    foreign,
    workflow::{ty, when},
};
use crate::{
    code::Code,
    diagnostic::Loc,
    template::{Tpl, TplKind},
    yaml::{Data, Entry, Node},
};

pub(super) const KEYS: [&str; 34] = [
    "name",
    "uses",
    "with",
    "image",
    "pull",
    "run",
    "command",
    "env",
    "secrets",
    "files",
    "artifacts",
    "resources",
    "network",
    "host-view",
    "workdir",
    "user",
    "runtime",
    "services",
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
pub(super) const PLANNED: [&str; 7] = [
    "workflow",
    "wait",
    "finally",
    "undo",
    "concurrency",
    "schedule",
    "gate",
];
/// Keys of containers only.
const CONTAINER: [&str; 17] = [
    "image",
    "pull",
    "run",
    "command",
    "env",
    "secrets",
    "files",
    "artifacts",
    "resources",
    "network",
    "host-view",
    "workdir",
    "user",
    "runtime",
    "services",
    "output-from",
    "outputs",
];

pub(super) fn lower(reader: &mut Reader<'_>, entry: &Entry) -> StepSpec {
    reader.name(&entry.key, entry.key_at, "a step's key", Name::Key);
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
    let known = Known {
        planned: &PLANNED,
        foreign: &foreign::STEP,
        elsewhere: Some(("the workflow, beside `steps`", &["inputs", "on", "steps"])),
        ..Known::keys("a step", &KEYS)
    };
    let Some(fields) = reader.fields(&entry.value, &known) else {
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
    step.grace = duration("grace", 0, limits::GRACE_MAX_MS);
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
            if reader.name(&entry.key, entry.key_at, "a label", Name::Label) {
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
            Err(_) => {
                let message = format!(
                    "`runs-on` takes an agent's labels, and `{}` is none",
                    short(&text.value)
                );
                reader.sink.error(Code::BadValue, text.at, message).help(
                    "a label has a value: `runs-on: { host: db-1 }` or `runs-on: host=db-1`; what the step runs in is its `image`",
                );
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
        reader.name(&entry.key, entry.key_at, "an output's name", Name::Plain);
        let mut output = OutputSpec {
            name: At {
                value: entry.key.clone(),
                at: entry.key_at,
            },
            ty: None,
            optional: false,
        };
        if let Data::Map(_) = &entry.value.data {
            if let Some(fields) =
                reader.fields(&entry.value, &Known::keys("an output", &["type", "optional"]))
            {
                match fields.get("type") {
                    Some(entry) => output.ty = ty(reader, &entry.value),
                    None if !fields.lacks("type") => {}
                    None => {
                        let message = format!("the output `{}` needs a `type`", short(&entry.key));
                        reader
                            .sink
                            .error(Code::MissingKey, entry.key_at, message)
                            .help("add `type: string`");
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
    let Some(fields) = reader.fields(node, &Known::keys("`retry`", &keys)) else {
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
        let fields = reader.fields(node, &Known::keys("`if-lost`", &["ask"]))?;
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
            reader
                .sink
                .error(
                    Code::Conflict,
                    entry.key_at,
                    "`max-parallel` stands with `foreach`",
                )
                .help("a step without `foreach` runs once; remove `max-parallel`");
        }
        let value = reader.int(&entry.value, "`max-parallel`", 1, limits::ITEMS as u64)?;
        u32::try_from(value).ok()
    });
    let gather = fields.get("gather").and_then(|entry| {
        if !fields.has("follow") {
            reader
                .sink
                .error(Code::Conflict, entry.key_at, "`gather` stands with `follow`")
                .help("it says how long a batch of followed items waits for more; remove it");
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
                .also(each.key_at, "`foreach` is here")
                .help("make it two steps");
            None
        }
        (Some(each), None) => {
            if let Data::List(list) = &each.value.data
                && list.len() > limits::ITEMS
            {
                let message = format!("{} items; at most {} are allowed", list.len(), limits::ITEMS);
                reader.sink.error(Code::BadValue, each.value.at, message);
                let at = each.value.at;
                let kind = TplKind::Wrong;
                return Some(FanSpec::Each {
                    items: Tpl { at, kind },
                    max_parallel,
                });
            }
            let items = Tpl::read(&each.value, reader.source, reader.sink);
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
            .help("a container takes values by `env`; an action is named by `uses`");
    }
    container::lower(reader, entry, fields)
}

pub(super) fn templates(reader: &mut Reader<'_>, node: &Node, what: &str) -> Vec<(String, Loc, Tpl)> {
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
