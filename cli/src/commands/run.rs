//! `firehall run FILE|NAME`

use std::path::Path;

use clap::Args;
use sdk::{Client, CompileView, DiagnosticView, Start, What};
use serde_json::{Value, json};
use types::limits;

use crate::{
    args::Remote,
    exit::{Done, Exit, Fault},
    input, local, out,
};

/// Start a run. Without --watch it prints the run's id alone and ends once the run is durable.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Without --watch it prints the run's id alone, once the run is durable. With --watch the exit code is the run's outcome:
0 succeeded, 3 degraded, 1 failed or cancelled; Ctrl-C is 130, and the run goes on.

Examples:
  firehall run incident-response --payload alert.json --watch
  firehall run check.yaml --input limit=90 --input 'hosts=[\"web-1\",\"web-2\"]'
  id=$(firehall run nightly --idempotency-key \"$(date +%F)\")

With -o json: {id}; with --watch a JSON object a line for each event."
)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    remote: Remote,
    /// A definition's file (`-` for standard input), or the name of a kept workflow
    #[arg(value_name = "FILE|NAME")]
    what: String,
    /// An input; lists, maps, numbers and truths as JSON. Repeatable
    #[arg(short, long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// An alert's body as a webhook would get it; `-` for standard input
    #[arg(long, value_name = "FILE")]
    payload: Option<String>,
    /// Follow the run to its end; the exit code tells its outcome
    #[arg(short, long)]
    watch: bool,
    /// Same key and request within 7 days: the same run
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    idempotency_key: String,
}

pub(crate) async fn main(args: RunArgs) -> Done {
    if args.what == "-" && args.payload.as_deref() == Some("-") {
        return Err(Fault::usage(
            "standard input cannot be both the definition and the payload",
        ));
    }
    let payload = match &args.payload {
        Some(path) => input::read(path, limits::WEBHOOK_BODY_BYTES)?,
        None => Vec::new(),
    };
    let source = if is_file(&args.what) {
        Some(local::definition(&args.what)?)
    } else {
        None
    };
    let client = args.remote.connect().await?;
    let (what, plan) = match source {
        Some(source) => {
            let plan = plan_of(&client, &args.what, &source).await?;
            (
                What::Source {
                    source,
                    file: args.what,
                },
                plan,
            )
        }
        // Without inputs there is nothing to type.
        None if args.inputs.is_empty() => (What::Kept(args.what), None),
        None => {
            let plan = client.workflow(&args.what, "").await?.plan;
            (What::Kept(args.what), plan)
        }
    };
    let inputs = input::typed(&args.inputs, plan.as_ref())?;
    let start = Start {
        what,
        inputs,
        payload,
        idempotency_key: args.idempotency_key,
    };
    let run = client.start(start).await?;
    if args.watch {
        return super::watch::follow(&client, &run, args.remote.output()).await;
    }
    if args.remote.json() {
        out::json(&json!({ "id": run }))?;
    } else {
        out::line(&run)?;
    }
    Ok(Exit::Succeeded)
}

/// A kept workflow's name has neither a dot nor a slash.
pub(crate) fn is_file(what: &str) -> bool {
    what == "-" || what.contains(['/', '.']) || Path::new(what).is_file()
}

/// The plan of a definition as the server compiles it.
pub(crate) async fn plan_of(client: &Client, file: &str, source: &str) -> Result<Option<Value>, Fault> {
    let CompileView { diagnostics, plan } = client.compile(file, source).await?;
    if plan.is_some() {
        return Ok(plan);
    }
    Err(wrong(file, &diagnostics))
}

/// A definition that the server does not take.
pub(crate) fn wrong(file: &str, diagnostics: &[DiagnosticView]) -> Fault {
    let said: Vec<String> = diagnostics
        .iter()
        .map(|one| {
            let help = if one.help.is_empty() {
                String::new()
            } else {
                format!("\n  help: {}", one.help)
            };
            format!(
                "{file}:{}:{}: {}[{}]: {}{help}",
                one.line, one.column, one.severity, one.code, one.message
            )
        })
        .collect();
    Fault::usage(format!("{file} is no valid definition\n{}", said.join("\n")))
        .hint(format!("`firehall check {file}` shows each place"))
}
