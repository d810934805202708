//! `--print-config`: each setting's value, and where it comes from.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command, builder::PossibleValuesParser, parser::ValueSource};
use node::config::{Candidate, Kind, Settings};
use serde::Serialize;
use serde_json::{Value, json};
use types::text::mask_userinfo;

use super::settings::{Setting, blame, key, of_tree, place_of_section, section};
use crate::{
    entry,
    exit::{Done, Exit, Fault},
    out, table,
};

/// One setting as it is in force.
#[derive(Debug, Serialize)]
struct Shown {
    section: String,
    key: String,
    /// Null when it is not set.
    value: Value,
    /// `default`, `file`, `environment` or `flag`.
    from: &'static str,
    /// Which: `FILE:LINE:COLUMN`, the variable's name, the flag.
    at: Option<String>,
}

/// The command with nothing required, and with `-o` everywhere: what is asked for is not done.
pub(super) fn lenient(command: Command) -> Command {
    let output = || {
        Arg::new("output")
            .short('o')
            .long("output")
            .value_parser(PossibleValuesParser::new(["text", "table", "json"]))
            .default_value("text")
            .hide(true)
    };
    fn all(command: Command, output: &dyn Fn() -> Arg) -> Command {
        let command = command.mut_args(|arg| arg.required(false));
        let has = command
            .get_arguments()
            .any(|arg| arg.get_id() == "output" || arg.get_short() == Some('o'));
        let command = if has { command } else { command.arg(output()) };
        command
            .subcommand_required(false)
            .arg_required_else_help(false)
            .mut_subcommands(|sub| all(sub, output))
    }
    all(command, &output)
}

/// Prints the settings of the command that was given, or all.
pub(crate) fn print(
    command: &Command,
    argv: &[OsString],
    candidates: &[Candidate],
    files: &Settings,
) -> Done {
    let lenient = lenient(super::lay(command.clone(), files));
    let matches = match lenient.clone().try_get_matches_from(argv) {
        Ok(matches) => matches,
        Err(error) => return entry::refused(&error, blame(command, argv, &error).as_deref()),
    };
    let path = super::path(&matches);
    let asked = path.first().map(|name| section(name).to_owned());
    let mut shown = Vec::new();
    for setting in of_tree(&lenient) {
        let global = setting.arg.is_global_set();
        let mine = asked.as_ref().is_none_or(|asked| *asked == setting.section);
        if !mine && !global {
            continue;
        }
        // Where a command was given its own flags count; another command's settings are read as if it were given.
        let given = below(&matches, &path);
        if global || asked.is_some() && has(&lenient, &path, &setting) {
            shown.push(of(&setting, given, files));
        } else if asked.is_none() {
            let argv = std::iter::once("firehall").chain(setting.path.iter().map(String::as_str));
            let matches = match lenient.clone().try_get_matches_from(argv) {
                Ok(matches) => matches,
                Err(error) => return entry::refused(&error, blame(command, &[], &error).as_deref()),
            };
            shown.push(of(&setting, below(&matches, &setting.path), files));
        }
    }
    shown.sort_by_key(|one| place_of_section(&one.section));
    if is_json(&matches, &path) {
        let files: Vec<Value> = candidates
            .iter()
            .map(|one| json!({ "path": one.path, "read": one.path.exists() }))
            .collect();
        out::json(&json!({ "files": files, "settings": shown }))?;
    } else {
        text(candidates, &shown)?;
    }
    Ok(Exit::Succeeded)
}

/// Whether the command has this setting: a flag of the same name that is none, as the `-o` of `check`, is not it.
fn has(command: &Command, path: &[String], setting: &Setting) -> bool {
    let found = path
        .iter()
        .try_fold(command, |command, name| command.find_subcommand(name));
    let mut arguments = found.into_iter().flat_map(Command::get_arguments);
    arguments.any(|arg| arg.get_id() == setting.arg.get_id() && key(arg).is_some())
}

/// Whether `-o json` is asked for, in front of the command's name or behind it.
fn is_json(matches: &ArgMatches, path: &[String]) -> bool {
    let levels = (0..=path.len()).rev().map(|depth| below(matches, &path[..depth]));
    let levels: Vec<&ArgMatches> = levels
        .filter(|level| level.try_contains_id("output").is_ok())
        .collect();
    let said = |level: &&&ArgMatches| level.value_source("output") != Some(ValueSource::DefaultValue);
    let decides = levels.iter().find(said).or(levels.first());
    let format = decides.and_then(|level| level.get_raw("output")?.next());
    format.is_some_and(|format| format == "json")
}

fn below<'a>(matches: &'a ArgMatches, path: &[String]) -> &'a ArgMatches {
    path.iter()
        .fold(matches, |matches, name| match matches.subcommand() {
            Some((given, below)) if given == name => below,
            _ => matches,
        })
}

fn of(setting: &Setting, matches: &ArgMatches, files: &Settings) -> Shown {
    let id = setting.arg.get_id().as_str();
    let texts: Vec<String> = matches
        .get_raw(id)
        .into_iter()
        .flatten()
        .map(|raw| raw.to_string_lossy().into_owned())
        .collect();
    let file = files.get(&setting.section, &setting.key);
    let (from, at) = match (matches.value_source(id), file) {
        (Some(ValueSource::CommandLine), _) => ("flag", Some(format!("--{}", setting.key))),
        (Some(ValueSource::EnvVariable), _) => ("environment", Some(setting.variable())),
        (_, Some(file)) => ("file", Some(file.place.to_string())),
        _ => ("default", None),
    };
    Shown {
        section: setting.section.clone(),
        key: setting.key.clone(),
        value: value(setting.kind, texts),
        from,
        at,
    }
}

fn value(kind: Kind, texts: Vec<String>) -> Value {
    let first = texts.first().cloned();
    match kind {
        Kind::List => texts.into(),
        Kind::Bool => first.map_or(false.into(), |text| (text == "true").into()),
        Kind::Integer => first
            .and_then(|text| text.parse::<u64>().ok())
            .map_or(Value::Null, Value::from),
        // A URL may hold a password, where none belongs.
        Kind::Text => first.map_or(Value::Null, |text| match text.contains("://") {
            true => mask_userinfo(&text).into(),
            false => text.into(),
        }),
        Kind::Path => first.map_or(Value::Null, Value::from),
    }
}

fn text(candidates: &[Candidate], shown: &[Shown]) -> Result<(), Fault> {
    for one in candidates {
        let there = if one.path.exists() { "read" } else { "not there" };
        out::line(&format!(
            "{}  {there}",
            crate::text::line(&one.path.display().to_string())
        ))?;
    }
    if candidates.is_empty() {
        out::line("no configuration file is read (--no-config)")?;
    }
    out::line("")?;
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|one| {
            let value = match &one.value {
                Value::Null => "(not set)".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let from = one.at.clone().unwrap_or_else(|| one.from.to_owned());
            vec![format!("{}.{}", one.section, one.key), value, from]
        })
        .collect();
    table::layout(&["SETTING", "VALUE", "FROM"], &rows)
        .iter()
        .try_for_each(|line| out::line(line))
}
