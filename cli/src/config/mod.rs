//! Configuration: files, then `FIREHALL_…`, then flags. What a file may say is what the command line says: a flag with an
//! environment variable is a setting, and its long name is its key. A file's values become the flags' defaults, so that
//! clap itself decides who wins.

mod print;
mod settings;

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgMatches, ColorChoice, Command};
use node::config::{self, Candidate, ConfigError, Problem, Settings};

use crate::{exit::Fault, out::Colour};
pub(crate) use print::print;
pub(crate) use settings::{blame, of_tree, place_of_section};

/// Commands that are an agent, or look at one's configuration.
const OF_AGENTS: [&str; 3] = ["agent", "dev", "doctor"];

/// What is read of the command line before the rest, to know how to read the rest.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) print: bool,
    /// For what clap itself says; the configuration's word is not known yet.
    pub(crate) colour: ColorChoice,
    pub(crate) files: Vec<Candidate>,
}

impl Early {
    /// Reads what can be read; what is wrong is said later.
    pub(crate) fn of(command: &Command, argv: &[OsString]) -> Self {
        let command = print::lenient(command.clone())
            .disable_help_flag(true)
            .ignore_errors(true);
        let matches = command.try_get_matches_from(argv).ok();
        let flag = |name: &str| {
            let given = matches
                .as_ref()
                .and_then(|matches| matches.try_get_one::<bool>(name).ok().flatten());
            given.copied().unwrap_or_default()
        };
        let named = matches
            .as_ref()
            .and_then(|matches| matches.try_get_one::<PathBuf>("config").ok().flatten())
            .cloned();
        let files = if flag("no_config") {
            Vec::new()
        } else {
            // Others neither need an agent's file nor may always read it.
            let is_agent = matches
                .as_ref()
                .and_then(ArgMatches::subcommand_name)
                .is_none_or(|name| OF_AGENTS.contains(&name));
            config::candidates(&|name| std::env::var_os(name), is_agent, named)
        };
        let colour = matches
            .as_ref()
            .and_then(|matches| matches.try_get_one::<Colour>("color").ok().flatten());
        let colour = match colour {
            _ if flag("no_color") => ColorChoice::Never,
            Some(Colour::Always) => ColorChoice::Always,
            Some(Colour::Never) => ColorChoice::Never,
            Some(Colour::Auto) | None => ColorChoice::Auto,
        };
        Self {
            print: flag("print_config"),
            colour,
            files,
        }
    }
}

/// The files' settings, each checked as its flag would be.
pub(crate) fn load(command: &Command, files: &[Candidate]) -> Result<Settings, Fault> {
    let schema = settings::schema(command);
    let wrong = |error: ConfigError| {
        Fault::usage(error.to_string())
            .hint("`firehall --no-config …` goes on without configuration files; docs/cli.md has every key")
    };
    let found = config::read(files, &schema).map_err(wrong)?;
    let mut problems = Vec::new();
    for (section, key, setting) in found.iter() {
        let Some(flag) = of_tree(command)
            .into_iter()
            .find(|one| one.section == section && one.key == key)
        else {
            continue;
        };
        let refused = setting.values.iter().find_map(|value| flag.refusal(value));
        if let Some(reason) = refused {
            problems.push(Problem {
                place: setting.place.clone(),
                message: format!("{section}.{key}: {reason}"),
                help: format!("`firehall {} --help` tells what --{key} takes", flag.command()),
            });
        }
    }
    // Settings come in the order of their keys; people read from the top.
    problems.sort_by(|one, other| {
        let place = |problem: &Problem| (problem.place.line, problem.place.column);
        (&one.place.file, place(one)).cmp(&(&other.place.file, place(other)))
    });
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(wrong(ConfigError::Wrong(problems)))
    }
}

/// The command with the files' values as the flags' defaults.
pub(crate) fn lay(command: Command, files: &Settings) -> Command {
    lay_section(command, settings::CLIENT, true, files)
}

fn lay_section(command: Command, section: &str, top: bool, files: &Settings) -> Command {
    let section = section.to_owned();
    let command = command.mut_args(|arg| {
        let of_file = settings::key(&arg).and_then(|key| files.get(&section, key));
        match of_file {
            Some(setting) => arg.required(false).default_values(setting.values.clone()),
            None => arg,
        }
    });
    command.mut_subcommands(|sub| {
        let section = if top {
            settings::section(sub.get_name()).to_owned()
        } else {
            section.clone()
        };
        lay_section(sub, &section, false, files)
    })
}

/// The subcommands that were given, from the top.
pub(crate) fn path(matches: &ArgMatches) -> Vec<String> {
    let mut path = Vec::new();
    let mut matches = matches;
    while let Some((name, below)) = matches.subcommand() {
        path.push(name.to_owned());
        matches = below;
    }
    path
}
