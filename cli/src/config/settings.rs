//! Which flags are settings: those that have an environment variable.

use std::{any::TypeId, collections::BTreeMap, ffi::OsString, path::PathBuf};

use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ContextValue, Error},
};
use node::config::{Kind, Schema};

/// The section of every command that has none of its own.
pub(crate) const CLIENT: &str = "client";
/// Commands with a section of their own.
const PROCESSES: [&str; 3] = ["server", "agent", "dev"];

/// Where a section stands among the others, for people.
pub(crate) fn place_of_section(section: &str) -> usize {
    let process = PROCESSES.iter().position(|one| *one == section);
    process.map_or(0, |place| place + 1)
}

/// The section that a command reads.
pub(super) fn section(command: &str) -> &str {
    if PROCESSES.contains(&command) {
        command
    } else {
        CLIENT
    }
}

/// A flag's key in its section, when it is a setting.
pub(super) fn key(arg: &Arg) -> Option<&str> {
    // Where the files are cannot stand in a file.
    let elsewhere = ["config", "no_config"].contains(&arg.get_id().as_str());
    if elsewhere || arg.get_env().is_none() {
        return None;
    }
    arg.get_long()
}

/// A setting of the command line.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) kind: Kind,
    pub(crate) arg: Arg,
    /// The first command that has it, from the top; empty for a flag of all commands.
    pub(crate) path: Vec<String>,
}

impl Setting {
    /// Its environment variable.
    pub(crate) fn variable(&self) -> String {
        self.arg
            .get_env()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The command to ask for help.
    pub(crate) fn command(&self) -> String {
        self.path.join(" ")
    }

    /// Why the flag would refuse a value; none when it takes it.
    pub(crate) fn refusal(&self, value: &str) -> Option<String> {
        let arg = Arg::new("value")
            .long("value")
            .action(ArgAction::Set)
            .num_args(1)
            .value_parser(self.arg.get_value_parser().clone());
        let asked = Command::new("firehall")
            .no_binary_name(true)
            .arg(arg)
            .try_get_matches_from([format!("--value={value}")]);
        asked.err().map(|error| reason(&error, value))
    }
}

/// A refusal without the flag's name: where the value stands is said by others.
fn reason(error: &Error, value: &str) -> String {
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue) {
        return format!("{value:?} is none of {}", values.join(", "));
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("{value:?}: {cause}"),
        None => format!("{value:?} is not allowed"),
    }
}

fn kind(arg: &Arg) -> Kind {
    let several = matches!(arg.get_action(), ArgAction::Append);
    let is = |id: TypeId| arg.get_value_parser().type_id() == id;
    if several {
        Kind::List
    } else if is(TypeId::of::<bool>()) {
        Kind::Bool
    } else if is(TypeId::of::<PathBuf>()) {
        Kind::Path
    } else if is(TypeId::of::<u32>()) || is(TypeId::of::<u64>()) {
        Kind::Integer
    } else {
        Kind::Text
    }
}

/// Every setting once, by section and in the order of the commands.
pub(crate) fn of_tree(command: &Command) -> Vec<Setting> {
    let mut found = Vec::new();
    collect(command, CLIENT, &[], &mut found);
    found
}

fn collect(command: &Command, section_name: &str, path: &[String], found: &mut Vec<Setting>) {
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let Some(key) = key(arg) else { continue };
        let known = found
            .iter()
            .any(|one| one.section == section_name && one.key == key);
        // A flag of all commands is said once, by the top.
        let repeated = arg.is_global_set() && !path.is_empty();
        if !known && !repeated {
            found.push(Setting {
                section: section_name.to_owned(),
                key: key.to_owned(),
                kind: kind(arg),
                arg: arg.clone(),
                path: path.to_vec(),
            });
        }
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let below = [path, &[sub.get_name().to_owned()]].concat();
        let section_name = if path.is_empty() {
            section(sub.get_name())
        } else {
            section_name
        };
        collect(sub, section_name, &below, found);
    }
}

/// What files may say.
pub(super) fn schema(command: &Command) -> Schema {
    let mut schema = Schema {
        tables: agent::TABLES,
        ..Schema::default()
    };
    for setting in of_tree(command) {
        let keys: &mut BTreeMap<String, Kind> = schema.sections.entry(setting.section).or_default();
        keys.insert(setting.key, setting.kind);
    }
    schema
}

/// The environment variable that a refused value came from, when that is so: a flag that was given wins over it.
pub(crate) fn blame(command: &Command, argv: &[OsString], error: &Error) -> Option<String> {
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
        return None;
    };
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let guilty = of_tree(command).into_iter().find(|one| {
        let long = format!("--{}", one.key);
        let named = flag.split(' ').next() == Some(&long);
        let given = argv.iter().filter_map(|arg| arg.to_str()).any(|arg| {
            let short = one.arg.get_short().map(|short| format!("-{short}"));
            arg.split('=').next() == Some(&long) || short.is_some_and(|short| arg.starts_with(&short))
        });
        let set = || std::env::var(one.variable());
        named && !given && set().is_ok_and(|set| set == *value || set.split(',').any(|part| part == value))
    });
    guilty.map(|one| one.variable())
}
