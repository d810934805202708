//! `firehall new [NAME]`

mod answers;
mod ask;
mod write;

use std::io::Write;

use clap::Args;

use self::{
    answers::{Answers, AtLeast, Incident, Privacy, Template},
    ask::Asker,
    write::shell,
};
use crate::{
    exit::{Done, Exit, Fault},
    out, text,
};

/// Write a new workflow from a template, ready for `firehall check`. Each answer can be a flag, or is asked for with
/// --interactive.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  firehall new                                             the shipped runbook as incident-response.yaml
  firehall new oncall --users @backend,maria@example.com --channel-privacy private --severity high
  firehall new disk --from alert --output -                to standard output
  firehall new --interactive                               asks")]
pub(crate) struct NewArgs {
    /// The workflow's name; the template's when not given
    #[arg(value_parser = answers::name)]
    name: Option<String>,
    /// The template
    #[arg(long, value_enum, value_name = "TEMPLATE")]
    from: Option<Template>,
    /// Where to write it; `-` for standard output. NAME.yaml when not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// Ask for each answer; what the flags say is the default
    #[arg(long)]
    interactive: bool,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    /// Whom the room is for: e-mail addresses, @handles or names
    #[arg(long, value_delimiter = ',', value_parser = answers::user, value_name = "A,B,…")]
    users: Option<Vec<String>>,
    /// Who may see the room
    #[arg(long, value_enum, value_name = "PRIVACY")]
    channel_privacy: Option<Privacy>,
    /// Alerts of this severity and worse start it; each alert when not given
    #[arg(long, value_enum, value_name = "SEVERITY")]
    severity: Option<AtLeast>,
    /// The id of an incident to open with it: printed as a command, no part of the workflow
    #[arg(long, value_parser = answers::incident_id, requires = "title")]
    id: Option<String>,
    /// The title of an incident to open with it: printed as a command, no part of the workflow
    #[arg(long, value_parser = answers::incident_title, requires = "severity")]
    title: Option<String>,
}

pub(crate) async fn main(args: NewArgs) -> Done {
    let answers = if args.interactive {
        let asker = Asker::new()?;
        // From here on Ctrl-C ends the question, not the process: what was asked so far is dropped, and it says so.
        let _heard = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
            .map_err(|error| Fault::failed(format!("Ctrl-C cannot be heard: {error}")))?;
        tokio::task::block_in_place(|| asker.answers(&args))?
    } else {
        given(&args)?
    };
    let file = file(&args, &answers.name);
    let text = write::definition(&answers).map_err(Fault::failed)?;
    let (source, compiled) = write::check(&file, &text);
    if compiled.plan.is_none() {
        let shown = workflow::render_text(&compiled.diagnostics, &source, false);
        return Err(Fault::failed(format!(
            "the template and the answers make no valid workflow\n{shown}"
        )));
    }
    if file == "-" {
        out::bytes(text.as_bytes())?;
        return Ok(Exit::Succeeded);
    }
    write(&file, &text, args.force)?;
    out::line(&format!("wrote {}: {}", text::line(&file), what(&answers)))?;
    out::line("next:")?;
    let next = next(&answers, &file);
    let width = next
        .iter()
        .map(|(line, _)| line.len())
        .filter(|len| *len <= 64)
        .max();
    for (line, why) in &next {
        let line = text::line(line);
        out::line(&format!("  {}  # {why}", text::pad(&line, width.unwrap_or(0))))?;
    }
    Ok(Exit::Succeeded)
}

/// Where it is written.
fn file(args: &NewArgs, name: &str) -> String {
    args.output.clone().unwrap_or_else(|| format!("{name}.yaml"))
}

/// Whether a file may be written; said before more is asked.
fn free(file: &str, force: bool) -> Result<(), String> {
    if force || file == "-" || !std::path::Path::new(file).exists() {
        return Ok(());
    }
    Err(format!("{file} is there already"))
}

/// What the flags say.
fn given(args: &NewArgs) -> Result<Answers, Fault> {
    let template = args.from.unwrap_or(Template::IncidentResponse);
    fits(args, template)?;
    Ok(Answers {
        template,
        name: args.name.clone().unwrap_or_else(|| template.name().to_owned()),
        users: args.users.clone(),
        privacy: args.channel_privacy,
        severity: args.severity,
        incident: Incident {
            id: args.id.clone(),
            title: args.title.clone(),
        },
    })
}

/// An answer that the template has no question for must not be lost in silence.
fn fits(args: &NewArgs, template: Template) -> Result<(), Fault> {
    let room = [
        ("--users", args.users.is_some()),
        ("--channel-privacy", args.channel_privacy.is_some()),
    ];
    let alert = [
        ("--severity", args.severity.is_some()),
        ("--title", args.title.is_some()),
    ];
    let lost = [
        (template.has_room(), room, "room"),
        (template.has_alert(), alert, "alert"),
    ];
    for (has, flags, what) in lost {
        if let Some((flag, _)) = flags.iter().find(|(_, given)| !has && *given) {
            return Err(Fault::usage(format!(
                "{flag}: the template {} has no {what}",
                template.name()
            )));
        }
    }
    Ok(())
}

fn write(file: &str, text: &str, force: bool) -> Result<(), Fault> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let opened = options.open(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Fault::usage(format!("{file} is there already"))
            .hint("--force writes over it; --output names another"),
        _ => Fault::usage(error.to_string()),
    });
    let written = opened?.write_all(text.as_bytes());
    written.map_err(|error| Fault::failed(error.to_string()))
}

fn what(answers: &Answers) -> String {
    let name = &answers.name;
    match (answers.template.has_alert(), answers.severity) {
        (false, _) => format!("{name}, started by people and programs"),
        (true, None) => format!("{name}, started by each alert"),
        (true, Some(severity)) => format!(
            "{name}, started by alerts with severity {}",
            severity.words().join(", ")
        ),
    }
}

/// What to do next, and what it is for.
fn next(answers: &Answers, file: &str) -> Vec<(String, &'static str)> {
    let file = shell(file);
    let mut lines = vec![
        (
            format!("firehall check {file}"),
            "whether it is right, after a change",
        ),
        (format!("firehall plan {file}"), "what a run would do"),
    ];
    if !answers.template.has_alert() {
        lines.push((format!("firehall run {file} --watch"), "run it"));
        return lines;
    }
    lines.push((
        format!("firehall run {file} --payload ALERT.json --watch"),
        "run it once with an alert's body",
    ));
    lines.push((
        format!("firehall put {file}"),
        "keep it: from then on alerts start it",
    ));
    if let (Some(title), Some(severity)) = (&answers.incident.title, answers.severity) {
        let id = answers.incident.id.as_ref();
        let id = id.map(|id| format!(" --id {}", shell(id))).unwrap_or_default();
        let open = format!(
            "firehall incident open{id} --title {} --severity {}",
            shell(title),
            severity.word()
        );
        lines.push((open, "open the incident with it"));
    }
    lines
}
