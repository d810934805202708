//! An offered work is held against this agent's policy, and against what a server of this version can ask for at all: a
//! server that is not what it seems gets nothing started.

use serde_json::Value;
use types::{Failure, FailureKind, HostView, Network, Refusal, Rule, Whose, Work, WorkBody, text::clip};

use crate::{context::Context, spool::Meta};

/// The longest name of a workflow or a step.
const NAME_BYTES: usize = 256;
/// Fields with their default that a work may have written out; what has more is not of this version.
const STRANGE: usize = 16;
/// Where an action of a team's own finds its inputs: the plan sets it.
const INPUTS: &str = "FIREHALL_INPUTS";
/// How much of a hostile name is shown.
const SHOWN: usize = 60;

/// The work, when it may be started here.
///
/// # Errors
/// It is not understood, is nothing that a definition can ask for, or is refused by the policy; each with its way out.
pub(super) fn admit(context: &Context, meta: &Meta) -> Result<Work, Failure> {
    let work = understood(meta)?;
    let refused = |message: String| Failure::new(FailureKind::Refused, message);
    names(meta, &work)
        .and_then(|()| types::within_language(&work))
        .map_err(|why| {
            refused(format!(
                "agent {} refuses what no definition can ask for: {why}. Either server and agent are of different \
                 versions, or the server is not to be trusted",
                context.name
            ))
        })?;
    let whose = Whose {
        workflow: Some(&meta.workflow),
        step: Some(&meta.key.step),
        image_is_open: false,
    };
    match context.policy.check(&work, whose) {
        Ok(()) => Ok(work),
        Err(refusal) => Err(refused(explained(context, &refusal))),
    }
}

/// A field that this agent does not know may be a limit: what it cannot keep it does not start.
fn understood(meta: &Meta) -> Result<Work, Failure> {
    let start = |what: String| {
        let message = format!("this agent does not understand the work ({what}): update it");
        Failure::new(FailureKind::Start, message)
    };
    let work = meta.work().map_err(|error| start(error.to_string()))?;
    let given: Value = serde_json::from_str(&meta.work_json).map_err(|error| start(error.to_string()))?;
    let known = serde_json::to_value(&work).map_err(|error| start(error.to_string()))?;
    let mut strange = Vec::new();
    not_in(&given, &known, "", &mut strange);
    let unknown = strange
        .iter()
        .find(|path| strange.len() > STRANGE || !is_read(&given, path));
    match unknown {
        None => Ok(work),
        Some(path) => Err(start(format!("unknown field {:?}", clip(path, SHOWN)))),
    }
}

/// Paths of what was given that is not in what was understood.
fn not_in(given: &Value, known: &Value, path: &str, found: &mut Vec<String>) {
    let below = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (key, value) in given {
                match known.get(key) {
                    _ if found.len() > STRANGE => return,
                    Some(known) => not_in(value, known, &below(key), found),
                    // An empty part says the same as an absent one.
                    None if is_empty(value) => {}
                    None => found.push(below(key)),
                }
            }
        }
        (Value::Array(given), Value::Array(known)) if given.len() == known.len() => {
            for (at, (given, known)) in given.iter().zip(known).enumerate() {
                not_in(given, known, &below(&at.to_string()), found);
            }
        }
        _ => {}
    }
}

/// Whether anybody reads a field: then nonsense in it is noticed. One with its default is not written again.
fn is_read(given: &Value, path: &str) -> bool {
    let mut nonsense = given.clone();
    if let Some(field) = nonsense.pointer_mut(path) {
        *field = serde_json::json!({ "\u{0}": [] });
    }
    serde_json::from_value::<Work>(nonsense).is_err()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Names go into messages, labels and environment variables of this host.
fn names(meta: &Meta, work: &Work) -> Result<(), String> {
    let plain = |what: &str, name: &str| {
        let fits = name.len() <= NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && !name.contains(['/', '\\']) && name != ".." {
            Ok(())
        } else {
            Err(format!("the {what} {:?} is no name", clip(name, SHOWN)))
        }
    };
    plain("workflow", &meta.workflow)?;
    plain("step", &meta.key.step)?;
    let WorkBody::Container(container) = &work.body else {
        return Ok(());
    };
    let is_variable = |name: &str| {
        name.len() <= NAME_BYTES
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with("FIREHALL_")
            || name == INPUTS
    };
    let services = container.services.values();
    let beside = services.flat_map(|service| service.env.keys().chain(service.secrets.keys()));
    let variables = container.env.keys().chain(container.secrets.keys()).chain(beside);
    let mut variables = variables.filter(|name| !is_variable(name));
    match variables.next() {
        None => Ok(()),
        Some(name) => Err(format!(
            "{:?} is no variable that a step can set",
            clip(name, SHOWN)
        )),
    }
}

/// Which rule, where it stands, and what to do.
fn explained(context: &Context, refusal: &Refusal) -> String {
    let Refusal { rule, asked, allows } = refusal;
    let place = match context.places.get(&rule.to_string()) {
        Some(place) => format!("{rule} ({place})"),
        None => format!("{rule} (by default)"),
    };
    let way_out = short_form(rule, asked).map_or_else(
        || format!("change {rule} in the agent's file and restart it"),
        |flag| format!("start it with {flag} or add it to {rule} in its file"),
    );
    format!(
        "agent {} refuses {asked}: {place} allows {allows}. Ask for less, send the step to an agent that takes it, or \
         {way_out}",
        context.name
    )
}

/// The flag that allows it, where there is one.
fn short_form(rule: &Rule, asked: &str) -> Option<String> {
    let flag = match rule {
        Rule::Policy("networks") if asked.ends_with(Network::Host.as_str()) => {
            format!("network:{}", Network::Host.as_str())
        }
        Rule::Policy("host-views") => {
            let views = [HostView::Proc, HostView::Sys].map(HostView::as_str);
            format!("host-view:{}", views.iter().find(|view| asked.ends_with(**view))?)
        }
        _ => return None,
    };
    Some(format!("--allow {flag}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use node::clock::Boot;

    use super::*;

    fn reads(work: Value) -> Result<(), String> {
        let run = types::RunId::new(types::Timestamp::from_unix_ms(1), [7; 10]);
        let meta = Meta {
            key: types::AttemptKey {
                run,
                step: "s".to_owned(),
                index: None,
                attempt: 1,
            },
            workflow: "w".to_owned(),
            work_json: work.to_string(),
            base: Boot::now(),
        };
        understood(&meta).map(drop).map_err(|failure| failure.message)
    }

    #[test]
    fn what_is_not_read_is_found_at_any_depth_and_what_is_need_not_be_written() {
        let good = serde_json::json!({
            "kind": "container", "image": "host", "argv": ["true"], "timeout_ms": 1, "grace_ms": 1, "disconnect_ms": 1,
            "pull": "missing", "user": null, "host_view": [], "secrets": {}, "env": {"A": "b"},
            "resources": {"memory_bytes": 1, "pids": 1, "cpu_millis": null},
        });
        assert_eq!(reads(good.clone()), Ok(()));
        for (path, value) in [
            ("privileged", serde_json::json!(true)),
            (
                "resources",
                serde_json::json!({"memory_bytes": 1, "pids": 1, "devices": ["/dev/sda"]}),
            ),
            (
                "outputs",
                serde_json::json!({"a": {"type": "int", "optional": false, "to": "/etc"}}),
            ),
        ] {
            let mut work = good.clone();
            work[path] = value;
            let said = reads(work).unwrap_err();
            assert!(
                said.contains("unknown field") || said.contains("missing field"),
                "{said}"
            );
        }
        let mut many = good;
        for n in 0..100 {
            many[format!("x{n}")] = serde_json::json!(1);
        }
        assert!(reads(many).unwrap_err().contains("unknown field"));
    }
}
