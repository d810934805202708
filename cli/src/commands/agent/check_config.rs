//! `firehall agent check-config`

use std::path::PathBuf;

use ::agent::AgentFile;
use clap::Args;
use node::config::{Candidate, ConfigError};
use serde_json::json;

use super::{VENDORS, in_force};
use crate::{
    args,
    args::Form,
    config,
    exit::{Done, Exit, Fault},
    out, table, text,
};

/// Check an agent's file, and say what is in force with it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The whole file is checked as a start would, its sections for flags too, and nothing is started. What a rule allows is printed
with its place, or with `default`. No secret is asked for.

Examples:
  firehall agent check-config /etc/firehall/agent.toml
  firehall agent check-config agent.toml -o json | jq -r '.rules[] | select(.place) | .name'

Exit code: 0 when the file is right, 2 when it is not.
With -o json: {file, rules: [{name, value, place}], secrets: [{name, source, takers}], registries: [{host, username}], vault};
place is null for a default; what is there is told, never a secret's value.")]
pub(crate) struct CheckConfigArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    form: Form,
}

pub(super) fn main(args: &CheckConfigArgs) -> Done {
    let candidate = Candidate {
        path: args.file.clone(),
        named: true,
    };
    let settings = config::load(&args::command(), &[candidate])?;
    let file = AgentFile::read(&settings, &VENDORS)
        .map_err(|problems| Fault::usage(ConfigError::Wrong(problems).to_string()))?;
    let (rules, secrets) = (in_force::rules(&file), in_force::secrets(&file));
    let registries = file.registries.iter();
    let vault = file.vault.as_ref().map(|vault| vault.address.as_str());
    if args.form.output == out::Format::Json {
        let registries: Vec<_> = registries
            .map(|(host, login)| json!({ "host": host, "username": login.username }))
            .collect();
        let report = json!({
            "file": args.file, "rules": rules, "secrets": secrets, "registries": registries, "vault": vault,
        });
        out::json(&report)?;
        return Ok(Exit::Succeeded);
    }
    let print = |head: &[&str], rows: Vec<Vec<String>>| {
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|row| row.iter().map(|cell| text::line(cell).into_owned()).collect())
            .collect();
        let lines = table::layout(head, &rows);
        lines.iter().try_for_each(|line| out::line(line))
    };
    let place = |rule: &in_force::Rule| rule.place.clone().unwrap_or_else(|| "default".to_owned());
    let of_rule = |rule: &in_force::Rule| vec![rule.name.clone(), rule.value.clone(), place(rule)];
    print(&["RULE", "ALLOWS", "FROM"], rules.iter().map(of_rule).collect())?;
    if !secrets.is_empty() {
        out::line("")?;
        let rows = secrets.iter().map(in_force::Secret::row).collect();
        print(&["SECRET", "SOURCE", "GOES TO"], rows)?;
    }
    if !file.registries.is_empty() {
        out::line("")?;
        let rows = registries.map(|(host, login)| vec![host.clone(), login.username.clone()]);
        print(&["REGISTRY", "USER"], rows.collect())?;
    }
    if let Some(address) = vault {
        out::line("")?;
        out::line(&format!("Vault at {}", text::line(address)))?;
    }
    Ok(Exit::Succeeded)
}
