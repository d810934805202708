//! `firehall incident open`

use clap::Args;
use sdk::{Client, Error, OpenIncident, OpenedView};
use serde_json::{Map, Value, json};

use crate::{
    args::Remote,
    commands::{incidents, watch},
    exit::{Done, Exit, Fault},
    input, out,
};

/// Open an incident by hand: what is bound to alerts starts, as for an alert of source `manual`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall incident open --title 'Checkout is slow' --severity high
  firehall incident open --id INC-7 --title 'Disk full' --severity critical --users a@example.com,@oncall \\
      --channel-privacy private --test --watch

It ends with 0 once the incident and its runs are durable; with --watch as its run does: 0 succeeded, 3 degraded, 1 failed
or cancelled, the worst of several. With 2 when something is wrong with what was given.

With -o json, {incident, runs, opened}; with --watch on one line, then a line for each event.")]
pub(super) struct OpenArgs {
    #[command(flatten)]
    remote: Remote,
    /// The id under which people know it; an open incident of this id is joined
    #[arg(long, default_value = "", hide_default_value = true)]
    id: String,
    /// What has happened, in a line
    #[arg(long)]
    title: String,
    /// How bad it is
    #[arg(long, value_parser = ["critical", "high", "medium", "low", "info"])]
    severity: String,
    /// What is known
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// Whom to call: the input `responders` of the bound workflows
    #[arg(long, value_delimiter = ',', value_name = "A,B,…")]
    users: Vec<String>,
    /// The room's: the input `privacy` of the bound workflows
    #[arg(long, value_parser = ["public", "private", "auto"])]
    channel_privacy: Option<String>,
    /// A tag, `key=value` or plain. Repeatable
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Another input of the bound workflows; lists, maps, numbers and truths as JSON. Repeatable
    #[arg(short, long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// An exercise: the alert is tagged and its title says so
    #[arg(long)]
    test: bool,
    /// Follow what it starts to its end; the exit code tells the outcome
    #[arg(short, long)]
    watch: bool,
    /// Same key and request within 7 days: the same answer
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    idempotency_key: String,
}

/// The flags that are inputs of the workflows: each with the input's name.
const FLAGS: [(&str, &str); 2] = [("--users", "responders"), ("--channel-privacy", "privacy")];

pub(super) async fn main(args: OpenArgs) -> Done {
    let client = args.remote.connect().await?;
    let inputs = inputs(&client, &args).await?;
    let open = OpenIncident {
        external_id: args.id.clone(),
        title: args.title.clone(),
        severity: args.severity.clone(),
        description: args.description.clone(),
        tags: args.tags.clone(),
        inputs,
        test: args.test,
        idempotency_key: args.idempotency_key.clone(),
    };
    let opened = client
        .open_incident(open)
        .await
        .map_err(|error| refused(&args, error))?;
    if args.remote.json() {
        if args.watch {
            out::json_line(&opened)?;
        } else {
            out::json(&opened)?;
        }
    } else {
        say(&client, &opened, args.watch).await?;
    }
    let refused = !opened.refused.is_empty();
    let ended = match args.watch {
        true => follow(&client, &args, opened).await?,
        false => Exit::Succeeded,
    };
    // What was bound and did not start counts as a run that failed.
    Ok(if refused { Exit::Failed } else { ended })
}

async fn inputs(client: &Client, args: &OpenArgs) -> Result<Map<String, Value>, Fault> {
    let mut inputs = match args.inputs.is_empty() {
        true => Map::new(),
        false => input::typed(&args.inputs, Some(&declared(client).await?))?,
    };
    if args.users.iter().any(|user| user.trim().is_empty()) {
        return Err(Fault::usage("--users: an empty name between two commas"));
    }
    let users = (!args.users.is_empty()).then(|| Value::from(args.users.clone()));
    let privacy = args.channel_privacy.clone().map(Value::from);
    for ((flag, name), value) in FLAGS.into_iter().zip([users, privacy]) {
        if let Some(value) = value
            && inputs.insert(name.to_owned(), value).is_some()
        {
            return Err(Fault::usage(format!(
                "{flag} and --input {name}: give one of them"
            )));
        }
    }
    Ok(inputs)
}

/// The inputs that the kept workflows declare: how a value is to be read. The server checks it for each of them.
async fn declared(client: &Client) -> Result<Value, Fault> {
    let mut declared = Map::new();
    for kept in client.list_workflows().await? {
        let plan = client.workflow(&kept.name, &kept.version).await?.plan;
        let Some(Value::Object(plan)) = plan.filter(|plan| !plan["on_alert"].is_null()) else {
            continue;
        };
        for (name, input) in plan["inputs"].as_object().into_iter().flatten() {
            declared.entry(name).or_insert_with(|| input.clone());
        }
    }
    Ok(json!({ "inputs": declared }))
}

/// A refusal in the words of the command line: which flag no bound workflow takes.
fn refused(args: &OpenArgs, error: Error) -> Fault {
    let given = [!args.users.is_empty(), args.channel_privacy.is_some()];
    let fields = error
        .details()
        .map(|details| details.fields.clone())
        .unwrap_or_default();
    for field in &fields {
        let name = field.field.strip_prefix("inputs_json.").unwrap_or_default();
        let flags = FLAGS.iter().zip(given).filter(|(_, given)| *given);
        let Some(((flag, _), _)) = flags.into_iter().find(|((_, input), _)| *input == name) else {
            continue;
        };
        return Fault::usage(format!("{flag} is the input {name:?} of the bound workflows: {}", field.reason)).hint(
            "`firehall workflows` lists what is kept; `firehall put incident-response` binds one that takes it",
        );
    }
    error.into()
}

/// What was opened and what was started.
async fn say(client: &Client, opened: &OpenedView, watch: bool) -> Result<(), Fault> {
    let how = if opened.opened {
        ""
    } else {
        "  (joined: it was open)"
    };
    out::line(&format!("{}{how}", opened.incident))?;
    let workflows = match opened.runs.is_empty() {
        true => Vec::new(),
        false => incidents::started(&incidents::events(&client.incident(&opened.incident).await?)),
    };
    for run in &opened.runs {
        let workflow = workflows.iter().find(|(started, _)| started == run);
        let workflow = workflow
            .map(|(_, workflow)| format!("  {workflow}"))
            .unwrap_or_default();
        out::line(&format!("run {run}{workflow}"))?;
    }
    for refused in &opened.refused {
        out::note(&format!("{} was not started: {}", refused.workflow, refused.why));
    }
    match (opened.opened, opened.runs.first()) {
        (_, None) if !opened.refused.is_empty() => {}
        (true, None) => out::note(
            "no workflow is bound to it: nothing was started (`firehall put incident-response` binds one)",
        ),
        (false, None) => out::note("what was started when it was opened goes on; this started nothing more"),
        (_, Some(run)) if !watch => out::note(&format!("`firehall watch {run}` follows it")),
        (_, Some(_)) => {}
    }
    Ok(())
}

/// Follows what was started, or what the incident that was joined has; the worst outcome counts.
async fn follow(client: &Client, args: &OpenArgs, opened: OpenedView) -> Done {
    let mut runs = opened.runs;
    if runs.is_empty() {
        runs.extend(client.incident(&opened.incident).await?.runs.last().cloned());
    }
    let mut worst = Exit::Succeeded;
    for run in runs {
        worst = match (worst, watch::follow(client, &run, args.remote.output()).await?) {
            (Exit::Failed, _) => Exit::Failed,
            (Exit::Degraded, Exit::Succeeded) => Exit::Degraded,
            (_, exit) => exit,
        };
    }
    Ok(worst)
}
