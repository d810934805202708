//! `firehall reference`: the page docs/cli.md, from the command line's own description. Hidden: `cargo xtask generate` asks.

mod agent_toml;

use std::fmt::Write;

use clap::{Arg, Args, Command};
use node::config::Kind;

use crate::{
    args, config,
    exit::{Done, Exit},
    out,
};

const HEAD: &str = "\
# The command line

`firehall COMMAND --help` says the same, with the version that is installed. `firehall completions SHELL` prints completions.

## Exit codes

| code | when |
|---|---|
| 0 | done; a run that was followed succeeded |
| 1 | it failed; a run that was followed failed or was cancelled |
| 2 | a wrong command line, configuration, definition, input or payload |
| 3 | a run that was followed is degraded |
| 4 | no server answers, within the timeout that the message names |
| 130 | Ctrl-C; what was followed goes on, and the message says how to go on following it |
| 141 | whoever read the output went away |

## Configuration

A setting is a flag, an environment variable and a key of a TOML file. Flags win, then variables, then files, then defaults.
Files, each laid over those before it: `/etc/firehall/config.toml`, `$XDG_CONFIG_HOME/firehall/config.toml` (or
`~/.config/firehall/config.toml`), and the one that `--config` or `FIREHALL_CONFIG` names. `--no-config` reads none.
`firehall --print-config` tells each setting's value and where it comes from. A key that nobody knows, a value of the wrong
type and a value that the flag would refuse are errors with file, line and column. Secrets are never settings: a setting
names the environment variable that holds one. A relative path in a file is meant from the file's directory.

```toml
[client]                 # every command that asks a server
server = \"http://127.0.0.1:7911\"
output = \"json\"

[server]
listen = \"127.0.0.1:7911\"
data-dir = \"/var/lib/firehall\"
public-host = [\"firehall.example.com\"]
webhook-secret-env = \"FIREHALL_WEBHOOK_SECRET\"

[agent]
data-dir = \"/var/lib/firehall-agent\"
label = [\"host=web-1\", \"zone=eu\"]
allow = [\"host-view:proc\", \"network:host\"]
```

`agent`, `dev` and `doctor` read `/etc/firehall/agent.toml` too, behind `/etc/firehall/config.toml`: what steps may ask for, where
secrets come from, how to log in to registries. Those tables may stand in any of the files: [agent-toml.md](agent-toml.md).

A list is given to a variable with commas: `FIREHALL_LABEL=host=web-1,zone=eu`.

";

const TAIL: &str = "\
Not settings, but read as well: `NO_COLOR` and `TERM=dumb` (no colours), `CLICOLOR_FORCE` (colours where no terminal is),
`COLUMNS` (the width of tables), `XDG_CONFIG_HOME` and `HOME` (where the user's file is); by agents and `dev`:
`SLACK_BOT_TOKEN`, `SLACK_API_URL`, `DD_API_KEY`, `DD_APP_KEY`, `DD_SITE`, `DD_API_URL`,
`PROMETHEUS_URL` and `LOKI_ADDR`, each with `…_BEARER_TOKEN`, or `…_USERNAME` and `…_PASSWORD`, and `…_ORG_ID`; `GITHUB_TOKEN`,
`GITHUB_API_URL`; `KUBERNETES_API_URL`, `KUBERNETES_TOKEN`, `KUBERNETES_TOKEN_FILE`, `KUBERNETES_CA_FILE`; `PAGERDUTY_TOKEN`,
`PAGERDUTY_FROM`, `PAGERDUTY_API_URL`; `LLM_PROVIDER`, `LLM_MODEL`, `LLM_API_KEY`, `LLM_API_URL`; for each `--http NAME=URL` one of
`HTTP_NAME_BEARER`, `HTTP_NAME_BASIC` and `HTTP_NAME_HEADER`, and what `--secret-env` names.

";

/// Which page.
#[derive(Debug, Args)]
pub(crate) struct ReferenceArgs {
    /// docs/agent-toml.md in place of docs/cli.md
    #[arg(long)]
    agent_toml: bool,
}

pub(crate) fn main(args: &ReferenceArgs) -> Done {
    if args.agent_toml {
        out::bytes(agent_toml::page().as_bytes())?;
        return Ok(Exit::Succeeded);
    }
    let mut command = args::command();
    command.build();
    let mut page = HEAD.to_owned();
    settings(&command, &mut page);
    page.push_str(TAIL);
    page.push_str("## Options of every command\n\n");
    let global: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| arg.is_global_set() && !arg.is_hide_set())
        .collect();
    arguments(&global, &mut page);
    page.push_str("## Commands\n\n");
    commands(&command, "firehall", &mut page);
    out::bytes(format!("{}\n", page.trim_end()).as_bytes())?;
    Ok(Exit::Succeeded)
}

fn put(page: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = page.write_fmt(args);
}

fn settings(command: &Command, page: &mut String) {
    page.push_str("| key | type | variable | default | what |\n|---|---|---|---|---|\n");
    let mut settings = config::of_tree(command);
    settings.sort_by_key(|one| config::place_of_section(&one.section));
    for one in settings {
        let kind = kind(one.kind);
        let (variable, default, what) = (one.variable(), defaults(&one.arg), help(&one.arg));
        put(
            page,
            format_args!(
                "| `{}.{}` | {kind} | `{variable}` | {default} | {what} |\n",
                one.section, one.key
            ),
        );
    }
    page.push('\n');
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Path => "path",
        Kind::Integer => "number",
        Kind::Bool => "boolean",
        Kind::List => "list",
    }
}

fn commands(command: &Command, path: &str, page: &mut String) {
    for sub in command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
    {
        let path = format!("{path} {}", sub.get_name());
        put(page, format_args!("### {path}\n\n"));
        if let Some(about) = sub.get_long_about().or_else(|| sub.get_about()) {
            put(page, format_args!("{}\n\n", about.to_string().trim()));
        }
        let usage = sub.clone().render_usage().to_string();
        put(
            page,
            format_args!("```text\n{}\n```\n\n", usage.trim_start_matches("Usage: ").trim()),
        );
        let own: Vec<&Arg> = sub
            .get_arguments()
            .filter(|arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help")
            .collect();
        arguments(&own, page);
        if let Some(more) = sub.get_after_long_help().or_else(|| sub.get_after_help()) {
            put(
                page,
                format_args!("```text\n{}\n```\n\n", more.to_string().trim()),
            );
        }
        commands(sub, &path, page);
    }
}

fn arguments(arguments: &[&Arg], page: &mut String) {
    if arguments.is_empty() {
        return;
    }
    page.push_str("| argument | default | what |\n|---|---|---|\n");
    for arg in arguments {
        let (name, default, what) = (name(arg), defaults(arg), help(arg));
        put(page, format_args!("| `{name}` | {default} | {what} |\n"));
    }
    page.push('\n');
}

/// As it is written: `-o, --output <FORMAT>`, `[STEP]`.
fn name(arg: &Arg) -> String {
    let value = arg.to_string();
    match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(_)) => format!("-{short}, {value}"),
        _ => value,
    }
    .replace('|', "\\|")
}

fn defaults(arg: &Arg) -> String {
    if arg.is_hide_default_value_set() || !arg.get_action().takes_values() {
        return String::new();
    }
    let values: Vec<String> = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    values.join(" ")
}

fn help(arg: &Arg) -> String {
    let about = arg.get_long_help().or_else(|| arg.get_help());
    let mut text = about
        .map(ToString::to_string)
        .unwrap_or_default()
        .replace('\n', " ");
    let possible: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| arg.get_action().takes_values() && !arg.is_hide_possible_values_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !possible.is_empty() {
        put(&mut text, format_args!(": {}", possible.join(", ")));
    }
    text.replace('|', "\\|").replace('<', "&lt;")
}
