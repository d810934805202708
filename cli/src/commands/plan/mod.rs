//! `firehall plan FILE|WORKFLOW`

mod needs;
mod page;
mod steps;
mod words;

use clap::Args;
use engine::outlook::{Outlook, Question, outlook};
use sdk::{Preview, What};
use types::{Object, Value, limits};
use workflow::{Compiled, FileReport, Plan, SourceFile};

use super::check;
use crate::{
    args::Remote,
    definition::Checked,
    exit::{Done, Exit, Fault},
    input, local, out, text,
};

/// Say what a run would do before it does anything: the graph, who does what where, each outside effect in order, what
/// agents must hold, the longest it can take, and where it could wait. Nothing is started and nobody is called.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall plan incident-response                        the shipped runbook
  firehall plan deploy.yaml -i version=1.2.3             with an input
  firehall plan incident-response --payload alert.json   with an alert: its hosts, whether it would start
  firehall plan deploy --remote                          a kept workflow, with the agents that are connected now

It ends with 0, and with 2 for a wrong definition, an input that does not fit or a payload that is no alert.

With -o json, {name, description, version, inputs, triggers, steps, effects, scopes, secrets, connections, grants,
worst_case_ms, worst_case_path, worst_case_lost_ms, could_wait, unknown}, as docs/plan.md says; of a wrong definition
{file, diagnostics}.")]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    remote: Remote,
    /// A definition's file (`-` for standard input), a shipped runbook, or with --remote a kept workflow
    #[arg(value_name = "FILE|WORKFLOW")]
    what: String,
    /// An input; lists, maps, numbers and truths as JSON. Repeatable
    #[arg(short, long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// An alert's body as a webhook would get it; `-` for standard input
    #[arg(long, value_name = "FILE")]
    payload: Option<String>,
    /// Ask the server: its kept workflows, its actions, and which agents fit now
    #[arg(long = "remote")]
    ask: bool,
    /// Show each value too: what is known, and what the others wait for
    #[arg(long)]
    values: bool,
}

pub(crate) async fn main(args: PlanArgs) -> Done {
    if args.what == "-" && args.payload.as_deref() == Some("-") {
        return Err(Fault::usage(
            "standard input cannot be both the definition and the payload",
        ));
    }
    let payload = match &args.payload {
        Some(path) => Some(input::read(path, limits::WEBHOOK_BODY_BYTES)?),
        None => None,
    };
    let source = source(&args)?;
    let outlook = match (args.ask, source) {
        (true, source) => remote(&args, source, payload.unwrap_or_default()).await?,
        (false, Some(source)) => local(&args, source, payload.as_deref())?,
        (false, None) => {
            return Err(
                Fault::usage(format!("{:?} is neither a file nor a shipped runbook", args.what))
                    .hint("with --remote the server is asked for a kept workflow of this name"),
            );
        }
    };
    let Some(outlook) = outlook else {
        return Ok(Exit::Usage);
    };
    if args.remote.json() {
        out::json(&outlook)?;
    } else {
        out::bytes(page::render(&outlook, args.values).as_bytes())?;
    }
    Ok(Exit::Succeeded)
}

/// The definition, when it is here.
fn source(args: &PlanArgs) -> Result<Option<SourceFile>, Fault> {
    if super::run::is_file(&args.what) {
        return Ok(Some(SourceFile::new(&args.what, local::definition(&args.what)?)));
    }
    // On a server its own kept version counts, which may have other defaults than the shipped one.
    let shipped = super::put::shipped(&args.what).filter(|_| !args.ask);
    Ok(shipped.map(|text| SourceFile::new(format!("{}.yaml", args.what), text)))
}

fn local(args: &PlanArgs, source: SourceFile, payload: Option<&[u8]>) -> Result<Option<Outlook>, Fault> {
    let catalogue = ::actions::Registry::builtin().catalogue();
    let compiled = workflow::compile(&source, &catalogue);
    let Some(plan) = compiled.plan.clone() else {
        wrong(args, source, compiled)?;
        return Ok(None);
    };
    let inputs = inputs(args, &plan)?;
    let alert = payload.map(alert).transpose()?;
    let question = Question {
        plan: &plan,
        catalogue: &catalogue,
        inputs: &inputs,
        alert: alert.as_ref(),
        agents: None,
    };
    outlook(&question).map(Some).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Fault::usage(errors.join("\n"))
    })
}

async fn remote(
    args: &PlanArgs,
    source: Option<SourceFile>,
    payload: Vec<u8>,
) -> Result<Option<Outlook>, Fault> {
    let client = args.remote.connect().await?;
    let (what, plan) = match &source {
        Some(source) => {
            let plan = client.compile(&source.name, &source.text).await?.plan;
            let what = What::Source {
                source: source.text.clone(),
                file: source.name.clone(),
            };
            (what, plan)
        }
        None if args.inputs.is_empty() => (What::Kept(args.what.clone()), None),
        None => (
            What::Kept(args.what.clone()),
            client.workflow(&args.what, "").await?.plan,
        ),
    };
    let preview = Preview {
        what,
        inputs: input::typed(&args.inputs, plan.as_ref())?,
        payload,
    };
    let answer = client.plan(preview).await?;
    if let Some(outlook) = answer.outlook {
        return serde_json::from_value(outlook).map(Some).map_err(|error| {
            Fault::failed(format!("the server's outlook cannot be read: {error}"))
                .hint("is the server of another version? `firehall doctor` compares them")
        });
    }
    if let Some(source) = source {
        let compiled = workflow::compile(&source, &::actions::Registry::builtin().catalogue());
        if compiled.plan.is_none() {
            wrong(args, source, compiled)?;
            return Ok(None);
        }
    }
    // Only the server knows what is wrong: it has other actions than this binary.
    Err(super::run::wrong(&args.what, &answer.diagnostics))
}

/// Says what is wrong, as `firehall check` does.
fn wrong(args: &PlanArgs, source: SourceFile, compiled: Compiled) -> Result<(), Fault> {
    if args.remote.json() {
        return out::json_line(&FileReport::new(&source.name, &compiled.diagnostics));
    }
    let checked = Checked {
        source,
        diagnostics: compiled.diagnostics,
        made: None,
    };
    out::bytes(check::excerpts(&checked, out::is_coloured()).as_bytes())?;
    let found = workflow::count(&checked.diagnostics);
    out::line(&format!("{}: {found}", text::line(&checked.source.name)))
}

fn inputs(args: &PlanArgs, plan: &Plan) -> Result<Object, Fault> {
    let plan = serde_json::to_value(plan)
        .map_err(|error| Fault::failed(format!("the plan has no JSON form: {error}")))?;
    input::typed(&args.inputs, Some(&plan))
}

/// The alert as a server would understand it.
fn alert(payload: &[u8]) -> Result<Value, Fault> {
    let read = incident::likely_source(payload)
        .and_then(|source| incident::normalise(source, None, payload))
        .map_err(|refused| {
            Fault::usage(format!("--payload: {refused}"))
                .hint("`firehall sources test FILE` says more of a payload")
        })?;
    serde_json::to_value(&read.alert)
        .map_err(|error| Fault::failed(format!("the alert has no JSON form: {error}")))
}
