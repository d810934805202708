//! `firehall demo`: a server, two agents and a Slack of our own as separate processes; the sample alert goes in by
//! webhook, and what a responder sees comes out. It uses the public binary, webhook and API, nothing else.

mod child;
mod ending;
mod probe;
mod stage;
mod verdict;
mod wire;

#[cfg(test)]
mod tests;

use ::agent::RuntimeChoice;
use clap::{Args, ValueEnum};
use incident::Source;
use types::{Alert, limits};

use crate::{
    exit::{Done, Exit, Fault},
    input, live, out,
    process::{self, Lifetime},
};
use stage::Stage;

/// The alert that is posted unless --payload names another.
const SAMPLE: &str = include_str!("sample_datadog.json");
/// Whom the demo calls. The last one is not in the emulator's directory, on purpose.
const RESPONDERS: [&str; 4] = [
    "@oncall-backend",
    "maria.lopez@company.com",
    "dev.patel@company.com",
    "jonas.weber@company.com",
];

/// The whole path on this machine: an alert by webhook, two agents, a war room with findings.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall demo
  firehall demo --payload alert.json --keep
  firehall demo --runtime docker
  SLACK_BOT_TOKEN=xoxb-… firehall demo --slack real --responder ann@example.com")]
pub(crate) struct DemoArgs {
    /// Another alert's body, as Datadog would post it
    #[arg(long, value_name = "FILE")]
    payload: Option<String>,
    /// Leave everything running at the end, and say where
    #[arg(long)]
    keep: bool,
    /// Which Slack: the emulator, or the one that SLACK_BOT_TOKEN (and SLACK_API_URL) name
    #[arg(long, value_enum, default_value = "emulator")]
    slack: SlackChoice,
    /// What runs the steps: native, docker (a Docker or Podman daemon of this host), auto, both
    #[arg(long, value_name = "RUNTIME", default_value = "native")]
    runtime: RuntimeChoice,
    /// Whom to call, instead of the demo's own people. Repeatable
    #[arg(long = "responder", value_name = "WHO")]
    responders: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SlackChoice {
    /// Ours, on this machine
    Emulator,
    /// Slack itself
    Real,
}

pub(crate) async fn main(args: DemoArgs) -> Done {
    let payload = match &args.payload {
        Some(path) => input::read(path, limits::WEBHOOK_BODY_BYTES)?,
        None => SAMPLE.as_bytes().to_vec(),
    };
    let alert = understand(&payload)?;
    let interrupted = process::shutdown_on_signals(Lifetime::default())?;
    // It is short, and not cut short: its trial step would be left behind.
    let runtime = probe::runtime(args.runtime).await?;
    let mut stage = Stage::empty(runtime)?;
    let played = tokio::select! {
        biased;
        () = interrupted.cancelled() => Err(Fault::new(Exit::Interrupted, "interrupted; everything that was started is stopped")),
        played = play(&args, &mut stage, &alert, payload) => played,
    };
    match &played {
        Ok(_) if args.keep => stage.keep()?,
        Err(fault) if fault.exit != Exit::Interrupted => {
            stage.tell_logs();
            stage.stop().await;
        }
        _ => stage.stop().await,
    }
    played
}

/// What the server will make of the payload: a payload that it would refuse is refused here already.
fn understand(payload: &[u8]) -> Result<Alert, Fault> {
    let normalised = incident::normalise(Source::Datadog, Some("application/json"), payload)
        .map_err(|refused| Fault::usage(format!("the payload is no alert: {refused}")))?;
    Ok(normalised.alert)
}

async fn play(args: &DemoArgs, stage: &mut Stage, alert: &Alert, payload: Vec<u8>) -> Done {
    let real = args.slack == SlackChoice::Real;
    stage.raise(&alert.hosts, real, args.keep).await?;
    if alert.hosts.iter().any(|host| types::is_host_label(host)) {
        let whose = if args.payload.is_some() {
            "the alert's"
        } else {
            "the sample's"
        };
        out::line(&format!(
            "{whose} hosts are this machine: two agents carry their labels"
        ))?;
    }
    let client = stage.client()?.clone();
    let responders = match (args.responders.as_slice(), real) {
        ([], false) => Some(RESPONDERS.map(str::to_owned).to_vec()),
        // On a real Slack the runbook's own default is all that we can know.
        ([], true) => None,
        (given, _) => Some(given.to_vec()),
    };
    stage::keep_runbook(&client, responders).await?;
    let posted = wire::post_alert(stage.server_url(), payload).await?;
    out::line(&format!(
        "alert {} accepted in {} ms as {}\n",
        posted.alert_id, posted.answered_ms, posted.run_id
    ))?;
    live::follow(&client, &posted.run_id, out::Format::Text).await?;
    let run = client.run(&posted.run_id).await?;
    let room = stage.room(&run).await?;
    ending::tell(&run, room.as_ref(), &posted)?;
    let verdict = verdict::of(&run, alert);
    out::line(&verdict.line)?;
    if real || !args.responders.is_empty() {
        return Ok(run.outcome.map_or(Exit::Failed, Exit::from));
    }
    match verdict.unexpected.as_slice() {
        [] => Ok(Exit::Succeeded),
        unexpected => Err(Fault::failed(format!(
            "the demo did not go as it should: {}",
            unexpected.join("; ")
        ))),
    }
}
