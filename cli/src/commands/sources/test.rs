//! `firehall sources test FILE`: what is understood of a payload. The parser is the webhook's own.

use clap::Args;
use engine::outlook::{Triggers, triggers};
use incident::{Normalised, Refused, Source};
use serde::Serialize;
use types::{Alert, Object, Value, limits};
use workflow::{Plan, SourceFile};

use super::{Remote, Vendor};
use crate::{
    exit::{Done, Exit, Fault},
    input, local, out, text,
};

/// What is understood of a payload. Nothing is sent anywhere.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall sources test alert.json
  curl -s https://example.com/last-alert | firehall sources test - --source generic
  firehall sources test alert.json --workflow oncall.yaml --workflow disk.yaml
  firehall sources test alert.json --remote -o json | jq '.workflows[] | select(.starts)'

It ends with 0 when the payload is understood and with 2 when it never can be.

With -o json, {file, source, detected, understood, refusal, shape, alert, grouping_key, delivery_key, repeat_window_ms,
unread, unfilled, workflows}. `refusal` is {kind, reason, http_status, fields}; `unread` are fields that nothing was taken
from, `unfilled` those in which the vendor left a variable's name; `workflows` are [{workflow, from, starts, why, when}].")]
pub(super) struct TestArgs {
    #[command(flatten)]
    remote: Remote,
    /// The body as a vendor posts it; `-` for standard input
    file: String,
    /// The way it comes in; else what it looks like
    #[arg(long, value_enum, value_name = "SOURCE")]
    source: Option<Vendor>,
    /// Ask this definition's `on.alert.when` too, in place of the shipped runbooks'. Repeatable
    #[arg(long = "workflow", value_name = "FILE")]
    workflows: Vec<String>,
    /// Ask the workflows that a server keeps, in place of the shipped runbooks
    #[arg(long = "remote")]
    ask: bool,
}

/// The answer; these names stay.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    file: &'a str,
    source: &'static str,
    /// Whether the source was found out by the body.
    detected: bool,
    understood: bool,
    /// Why it can never be understood.
    refusal: Option<Refusal>,
    shape: Option<&'static str>,
    alert: Option<&'a Alert>,
    /// Alerts of one key are one incident.
    grouping_key: Option<&'a str>,
    /// A delivery of the same key again is a repeat.
    delivery_key: Option<String>,
    /// For so long after the last one.
    repeat_window_ms: Option<u64>,
    /// Fields that nothing was taken from.
    unread: &'a [String],
    /// Fields that the vendor did not fill in.
    unfilled: &'a [String],
    workflows: Vec<Bound>,
}

#[derive(Debug, Serialize)]
struct Refusal {
    kind: &'static str,
    reason: String,
    /// What the webhook answers.
    http_status: u16,
    /// The body's own fields, when it is an object.
    fields: Vec<String>,
}

/// A workflow and whether the alert would start it.
#[derive(Debug, Serialize)]
struct Bound {
    workflow: String,
    /// `shipped`, `file` or `kept`.
    from: &'static str,
    starts: bool,
    why: String,
    when: Option<String>,
}

pub(super) async fn main(args: TestArgs) -> Done {
    let body = input::read(&args.file, limits::WEBHOOK_BODY_BYTES)?;
    let plans = plans(&args).await?;
    let (source, detected) = match args.source {
        Some(vendor) => (vendor.source(), false),
        None => (incident::likely_source(&body).unwrap_or(Source::Generic), true),
    };
    let read = incident::normalise(source, None, &body);
    let mut answer = Answer {
        file: &args.file,
        source: source.as_str(),
        detected,
        understood: read.is_ok(),
        refusal: None,
        shape: None,
        alert: None,
        grouping_key: None,
        delivery_key: None,
        repeat_window_ms: None,
        unread: &[],
        unfilled: &[],
        workflows: Vec::new(),
    };
    match &read {
        Ok(read) => understood(&mut answer, read, &plans)?,
        Err(refused) => answer.refusal = Some(refusal(refused, &body)),
    }
    if args.remote.json() {
        out::json(&answer)?;
    } else {
        out::bytes(page(&answer, source).as_bytes())?;
    }
    Ok(if read.is_ok() {
        Exit::Succeeded
    } else {
        Exit::Usage
    })
}

fn understood<'a>(
    answer: &mut Answer<'a>,
    read: &'a Normalised,
    plans: &[(&'static str, Plan)],
) -> Result<(), Fault> {
    let alert = serde_json::to_value(&read.alert)
        .map_err(|error| Fault::failed(format!("the alert has no JSON form: {error}")))?;
    answer.shape = Some(read.shape.as_str());
    answer.alert = Some(&read.alert);
    answer.grouping_key = Some(&read.delivery.key);
    answer.delivery_key = Some(read.delivery.identity());
    answer.repeat_window_ms = Some(read.delivery.window_ms);
    (answer.unread, answer.unfilled) = (&read.unread, &read.unfilled);
    answer.workflows = plans
        .iter()
        .map(|(from, plan)| bound(from, plan, &alert))
        .collect();
    Ok(())
}

fn refusal(refused: &Refused, body: &[u8]) -> Refusal {
    let object = serde_json::from_slice::<Object>(body).unwrap_or_default();
    Refusal {
        kind: refused.kind.as_str(),
        reason: refused.reason.clone(),
        http_status: refused.kind.http_status(),
        fields: object
            .into_iter()
            .map(|(name, _)| name)
            .take(incident::LIST_ITEMS)
            .collect(),
    }
}

fn bound(from: &'static str, plan: &Plan, alert: &Value) -> Bound {
    let Triggers {
        starts, why, when, ..
    } = triggers(plan, Some(alert));
    Bound {
        workflow: plan.name.clone(),
        from,
        starts: starts == Some(true),
        why,
        when,
    }
}

/// The workflows to ask, with where they are from.
async fn plans(args: &TestArgs) -> Result<Vec<(&'static str, Plan)>, Fault> {
    let mut plans = Vec::new();
    for file in &args.workflows {
        let source = SourceFile::new(file, local::definition(file)?);
        plans.push(("file", compile(&source)?));
    }
    if args.ask {
        let client = args.remote.connect().await?;
        for kept in client.list_workflows().await? {
            let found = client.workflow(&kept.name, &kept.version).await?;
            let plan = found.plan.unwrap_or_default();
            let plan = serde_json::from_value(plan).map_err(|error| {
                Fault::failed(format!("the plan of {} cannot be read: {error}", kept.name))
                    .hint("is the server of another version?")
            })?;
            plans.push(("kept", plan));
        }
    } else if args.workflows.is_empty() {
        for (name, text) in runbooks::ALL {
            plans.push((
                "shipped",
                compile(&SourceFile::new(format!("{name}.yaml"), *text))?,
            ));
        }
    }
    Ok(plans)
}

fn compile(source: &SourceFile) -> Result<Plan, Fault> {
    let compiled = workflow::compile(source, &::actions::Registry::builtin().catalogue());
    compiled.plan.ok_or_else(|| {
        let shown = workflow::render_text(&compiled.diagnostics, source, false);
        Fault::usage(format!("{} is no valid definition\n{shown}", source.name))
            .hint(format!("`firehall check {}` shows the same", source.name))
    })
}

fn page(answer: &Answer<'_>, source: Source) -> String {
    let mut page = String::new();
    let mut say = |label: &str, words: &str| {
        let line = format!("  {}{}", text::pad(label, 13), text::line(words));
        page.push_str(line.trim_end());
        page.push('\n');
    };
    let how = if answer.detected {
        "by what it looks like; --source says otherwise"
    } else {
        "as you say"
    };
    let came = format!("{} ({how}), posted to {}", answer.source, source.path());
    say("source", &came);
    if let Some(refusal) = &answer.refusal {
        say("REFUSED", &refusal.reason);
        say(
            "",
            &format!(
                "the webhook answers {} and the sender need not try again",
                refusal.http_status
            ),
        );
        say(
            "",
            &format!(
                "`firehall sources {} --template` prints a form that is understood",
                answer.source
            ),
        );
    }
    if let Some(alert) = answer.alert {
        facts(alert, answer.shape.unwrap_or_default(), &mut say);
    }
    if let (Some(key), Some(delivery)) = (answer.grouping_key, &answer.delivery_key) {
        say("incident", &format!("{key}: alerts of this key are one incident"));
        let window = span(answer.repeat_window_ms.unwrap_or_default());
        say(
            "delivery",
            &format!("{delivery}: the same again within {window} is a repeat"),
        );
    }
    for (label, fields, why) in [
        (
            "not filled in",
            answer.unfilled,
            "the vendor left the variable's name: taken as absent",
        ),
        ("not used", answer.unread, "nothing was taken from these fields"),
    ] {
        if !fields.is_empty() {
            say(label, &format!("{}  ({why})", some(fields)));
        }
    }
    for bound in &answer.workflows {
        let starts = if bound.starts {
            "would start"
        } else {
            "would NOT start"
        };
        let when = bound
            .when
            .as_ref()
            .map(|when| format!(": {when}"))
            .unwrap_or_default();
        say(
            "workflow",
            &format!(
                "{} ({}) {starts}, {}{when}",
                bound.workflow, bound.from, bound.why
            ),
        );
    }
    page
}

fn facts(alert: &Alert, shape: &str, say: &mut impl FnMut(&str, &str)) {
    say("understood", &format!("as the shape {shape}"));
    say("id", &alert.id);
    say("title", &alert.title);
    say("severity", alert.severity.as_str());
    say("state", alert.state.as_str());
    let list = |list: &[String]| {
        if list.is_empty() {
            "none said".to_owned()
        } else {
            some(list)
        }
    };
    say("hosts", &list(&alert.hosts));
    say("tags", &list(&alert.tags));
    for link in &alert.links {
        say("link", &format!("{}: {}", link.title, link.url));
    }
    if let Some(monitor) = &alert.monitor {
        let parts = [
            ("", &monitor.name),
            ("id ", &monitor.id),
            ("query ", &monitor.query),
            ("threshold ", &monitor.threshold),
            ("value ", &monitor.value),
        ];
        let parts = parts
            .iter()
            .filter_map(|(word, part)| Some(format!("{word}{}", part.as_ref()?)));
        say("monitor", &parts.collect::<Vec<_>>().join(", "));
    }
    let metrics: Vec<String> = alert
        .metrics
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !metrics.is_empty() {
        say("metrics", &some(&metrics));
    }
    if let Some(at) = alert.fired_at {
        say("fired at", &sdk::rfc3339(at));
    }
    if let Some(description) = &alert.description {
        say("description", &text::fit(description, 200));
    }
    for note in &alert.notes {
        say("note", note);
    }
}

fn some(list: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = list
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match list.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn span(ms: u64) -> String {
    const DAY: u64 = 24 * 3_600_000;
    if ms >= DAY {
        format!("{} days", ms / DAY)
    } else {
        text::duration(ms)
    }
}
