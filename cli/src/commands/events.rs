//! `firehall events`

use clap::Args;
use sdk::{Event, Notice, Subscribe, Subscription};
use serde_json::{Value, json};

use crate::{
    args::Connection,
    exit::{Done, Exit, Fault},
    out, text,
};

/// Follow what happens on a server: one JSON object on each line, in commit order, until Ctrl-C. Each line has its
/// `cursor`: whoever keeps the last one goes on after it without a gap.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall events                                  everything from now on
  firehall events --from-start --count 100         the oldest hundred that are kept
  firehall events --kind 'step.*' --kind run.ended --workflow incident-response
  firehall events --cursor \"$(tail -n1 seen | jq -r .cursor)\" >> seen")]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    at: Connection,
    /// Only these kinds; `step.*` stands for all that begin with `step.`. Repeatable
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Only of this run. Repeatable
    #[arg(long = "run", value_name = "RUN")]
    runs: Vec<String>,
    /// Only of this incident and its runs. Repeatable
    #[arg(long = "incident", value_name = "INCIDENT")]
    incidents: Vec<String>,
    /// Only of runs of this workflow. Repeatable
    #[arg(long = "workflow", value_name = "NAME")]
    workflows: Vec<String>,
    /// Go on after this cursor of an earlier line
    #[arg(long, value_name = "CURSOR", conflicts_with = "from_start")]
    cursor: Option<String>,
    /// From the oldest event that is kept, not from now on
    #[arg(long)]
    from_start: bool,
    /// End after this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(crate) async fn main(args: EventsArgs) -> Done {
    let client = args.at.connect().await?;
    let subscription = client.subscribe(Subscribe {
        cursor: args.cursor.unwrap_or_default(),
        from_start: args.from_start,
        kinds: args.kinds,
        runs: args.runs,
        incidents: args.incidents,
        workflows: args.workflows,
    });
    let mut left = args.count;
    follow(subscription, "firehall events", |event| {
        out::line(&json_line(event).to_string())?;
        left = left.map(|left| left - 1);
        Ok(left == Some(0))
    })
    .await
}

/// Reads a subscription until `each` says that it was the last, or Ctrl-C, which tells where to go on.
async fn follow(
    mut subscription: Subscription,
    again: &str,
    mut each: impl FnMut(&Event) -> Result<bool, Fault>,
) -> Done {
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    subscription.begin().await?;
    loop {
        let notice = tokio::select! {
            biased;
            _ = &mut interrupt => return Err(interrupted(subscription.cursor(), again)),
            notice = subscription.next() => notice?,
        };
        match notice {
            Notice::Event(event) => {
                if each(&event)? {
                    return Ok(Exit::Succeeded);
                }
            }
            Notice::Away(error) => out::note(&format!(
                "firehall: {}; trying again",
                text::line(&error.to_string())
            )),
            Notice::Back => out::note("firehall: the server is back"),
        }
    }
}

fn interrupted(cursor: &str, again: &str) -> Fault {
    let fault = Fault::new(Exit::Interrupted, "interrupted; what is followed goes on");
    if cursor.is_empty() {
        fault
    } else {
        fault.hint(format!("`{again} --cursor {cursor}` goes on after the last line"))
    }
}

/// One line; these names stay.
fn json_line(event: &Event) -> Value {
    json!({
        "cursor": event.cursor,
        "run": some(&event.run),
        "incident": event.incident,
        "seq": event.seq,
        "at": sdk::rfc3339(event.at),
        "kind": event.kind,
        "body": event.raw,
    })
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
