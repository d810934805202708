//! The graph: steps by level, each with what it does and where.

use engine::outlook::{
    Agents, Condition, Does, EffectKind, FanOutlook, Foreseen, Item, Outlook, StepOutlook,
};
use types::{HostView, IfLost, Network, Value};

use super::words::{self, count, labelled, list};
use crate::text;

/// Before the labels of a step's lines.
const INDENT: usize = 6;
const LABEL: usize = 7;
/// Items that are shown of one fan-out.
const ITEMS: usize = 10;

pub(super) fn render(page: &mut String, outlook: &Outlook, values: bool) {
    let mut steps: Vec<&StepOutlook> = outlook.steps.iter().collect();
    steps.sort_by_key(|step| step.level);
    let width = steps
        .iter()
        .map(|step| step.name.len())
        .max()
        .unwrap_or(0)
        .min(32);
    let mut level = None;
    for step in steps {
        let number = if level == Some(step.level) {
            String::new()
        } else {
            (step.level + 1).to_string()
        };
        level = Some(step.level);
        let what = what(step);
        labelled(
            page,
            0,
            &format!("{number:>3}  {}", text::pad(&step.name, width)),
            width + 5,
            &what,
        );
        lines(page, step, values);
    }
}

fn what(step: &StepOutlook) -> String {
    let what = match &step.does {
        Does::Action { action, .. } => action.clone(),
        Does::Container {
            action: Some(action),
            image,
            ..
        } => format!("{}, a container on {}", text::line(action), words::value(image)),
        Does::Container { image, .. } => format!("container on {}", words::value(image)),
    };
    let times = match &step.fan_out {
        None => String::new(),
        Some(FanOutlook::Each { count: Some(n), .. }) => format!(", for each of {}", count(*n, "item")),
        Some(FanOutlook::Each { most, .. }) => format!(", for each of at most {most} items"),
        Some(FanOutlook::Follow { steps, .. }) => {
            format!(", as items of {} end", list(steps.iter().map(String::as_str), 6))
        }
    };
    let skipped = if step.skipped {
        "  SKIPPED: its condition is false"
    } else {
        ""
    };
    format!("{what}{times}{skipped}")
}

fn lines(page: &mut String, step: &StepOutlook, values: bool) {
    let mut say = |label: &str, words: &str| labelled(page, INDENT, label, LABEL, words);
    if !step.depends.is_empty() {
        say("after", &list(step.depends.iter().map(String::as_str), 12));
    }
    if let Some(when) = &step.when {
        say("when", &condition(when));
    }
    if let Some(FanOutlook::Each {
        from,
        max_parallel,
        items,
        count,
        ..
    }) = &step.fan_out
    {
        say("items", &format!("{}{}", source(from), at_once(*max_parallel)));
        for item in items.iter().take(ITEMS) {
            say("", &one(item));
        }
        if let Some(more) = count
            .and_then(|n| n.checked_sub(items.len().min(ITEMS)))
            .filter(|n| *n > 0)
        {
            say("", &format!("and {more} more"));
        }
    }
    if let Some(place) = place(step) {
        say("where", &place);
    }
    if let Some(agents) = &step.place.agents {
        say("agents", &who(agents));
    }
    if let Does::Container {
        reach,
        memory_bytes,
        pids,
        services,
        ..
    } = &step.does
    {
        let memory = memory_bytes / (1024 * 1024);
        let reach = self::reach(reach.network, reach.host_view.iter().copied());
        say(
            "reach",
            &format!("{reach}; at most {memory} MiB, {pids} processes"),
        );
        for (name, service) in services {
            let memory = service.memory_bytes / (1024 * 1024);
            let ready = service.ready.as_ref().map_or_else(String::new, |ready| {
                format!("; {}", text::line(&ready.to_string()))
            });
            let image = words::value(&service.image);
            say(
                "beside",
                &format!("service {name} on {image}; at most {memory} MiB{ready}"),
            );
        }
    }
    if values {
        for (name, value) in given(step) {
            say(
                "with",
                &format!("{name} = {}", text::fit(&words::value(value), 400)),
            );
        }
    }
    if !step.skipped {
        say("time", &time(step));
    }
    if let Some(ends) = ends(step) {
        say("ends", &ends);
    }
}

fn condition(when: &Condition) -> String {
    let value = match &when.value {
        Foreseen::Value(Value::Bool(true)) => "is true".to_owned(),
        Foreseen::Value(Value::Bool(false)) => "is false".to_owned(),
        Foreseen::Value(_) | Foreseen::Large(_) => "is neither true nor false: the step fails".to_owned(),
        Foreseen::Wrong(why) => format!("has no value, and the step fails: {why}"),
        Foreseen::Later { .. } => "known at run time".to_owned(),
    };
    format!("{}  ({value})", when.expression)
}

fn source(from: &Foreseen) -> String {
    match from {
        Foreseen::Value(_) | Foreseen::Large(_) => "known".to_owned(),
        Foreseen::Wrong(why) => format!("none, and the step fails: {why}"),
        Foreseen::Later { expression, .. } => format!("{expression}, known at run time"),
    }
}

fn at_once(max_parallel: Option<u32>) -> String {
    max_parallel.map_or_else(|| ", all at once".to_owned(), |n| format!(", {n} at once"))
}

fn one(item: &Item) -> String {
    let value = text::fit(&words::value(&item.value), 60);
    if let Some(why) = &item.refused {
        return format!("{value}: REFUSED, {why}");
    }
    match &item.agents {
        Some(agents) => format!("{value}: {}", who(agents)),
        None if item.runs_on.is_empty() => value,
        None => format!("{value}: on an agent with {}", labels(&item.runs_on)),
    }
}

pub(super) fn labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a Foreseen)>) -> String {
    let of = |(key, value): (&String, &Foreseen)| format!("{key}={}", words::value(value));
    labels.into_iter().map(of).collect::<Vec<_>>().join(" ")
}

fn place(step: &StepOutlook) -> Option<String> {
    let place = &step.place;
    let mut wants = Vec::new();
    if !place.runs_on.is_empty() {
        wants.push(format!("label {}", labels(&place.runs_on)));
    }
    if let Some(connection) = &place.connection {
        wants.push(format!("connection {connection}"));
    }
    match place.runtime_named {
        Some(runtime) => wants.push(format!("the runtime {}", runtime.as_str())),
        None if place.runtime => wants.push("a container runtime".to_owned()),
        None => {}
    }
    wants.extend(place.secrets.iter().map(|secret| format!("secret {secret}")));
    wants.extend(place.grants.iter().map(|grant| format!("granted {grant}")));
    (!wants.is_empty()).then(|| format!("an agent with {}", wants.join(", ")))
}

/// Which agent takes it now.
fn who(agents: &Agents) -> String {
    let open = match agents.open_labels.as_slice() {
        [] => String::new(),
        labels => format!(", if its label {} fits", labels.join(" and ")),
    };
    match (&agents.takes, &agents.why_none) {
        (Some(takes), _) if agents.fit.len() > 1 => {
            let others = agents
                .fit
                .iter()
                .filter(|name| *name != takes)
                .map(String::as_str);
            format!("{takes} now{open}; fit too: {}", list(others, 8))
        }
        (Some(takes), _) => format!("{takes} now{open}"),
        (None, Some(why)) => format!("NONE now: {why}"),
        (None, None) => "NONE now".to_owned(),
    }
}

/// What a container may reach.
pub(super) fn reach(network: Network, views: impl Iterator<Item = HostView>) -> String {
    let network = match network {
        Network::None => "no network",
        Network::Egress => "network outwards",
        Network::Host => "the host's own network",
    };
    let views: Vec<String> = views.map(|view| format!("/host/{}", view.as_str())).collect();
    if views.is_empty() {
        network.to_owned()
    } else {
        format!("{network}, reads {}", views.join(" and "))
    }
}

fn given(step: &StepOutlook) -> Vec<(&str, &Foreseen)> {
    match &step.does {
        Does::Action { with, .. } => with.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        Does::Container { argv, env, .. } => {
            let argv = argv.iter().map(|part| ("argv", part));
            argv.chain(env.iter().map(|(name, value)| (name.as_str(), value)))
                .collect()
        }
    }
}

fn time(step: &StepOutlook) -> String {
    let tries = match step.attempts {
        1 => String::new(),
        n => format!("{n} tries, each "),
    };
    format!(
        "at most {}: {tries}{} to find an agent and {} to run",
        text::duration(step.worst_case_ms),
        text::duration(step.pickup_ms),
        text::duration(step.timeout_ms)
    )
}

fn ends(step: &StepOutlook) -> Option<String> {
    let fails = step.may_fail.then_some("may fail: the run goes on, degraded");
    // What computes only is run again and nobody notices.
    let lost = match step.if_lost {
        IfLost::Rerun if step.effect == EffectKind::None => None,
        IfLost::Rerun => Some("runs again when its agent is lost, at most twice"),
        IfLost::Ask => Some("asks a person when its agent is lost"),
        IfLost::Fail => Some("fails when its agent is lost: it may have run"),
    };
    let said: Vec<&str> = fails.into_iter().chain(lost).collect();
    (!said.is_empty()).then(|| said.join("; "))
}
