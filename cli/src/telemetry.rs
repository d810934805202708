//! Log lines of `server`, `agent`, `dev` and the emulators, on standard error. They never carry a secret: who logs, logs
//! ids and counts.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

use crate::exit::Fault;

/// What is logged, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogArgs {
    /// What is logged: a level, or more by room, as `info,agent=debug`
    #[arg(
        long,
        env = "FIREHALL_LOG",
        default_value = "info",
        value_parser = filter,
        value_name = "FILTER"
    )]
    log: String,
    /// How a log line is written
    #[arg(
        long,
        env = "FIREHALL_LOG_FORMAT",
        default_value = "text",
        value_enum,
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line: `timestamp`, `level`, `target`, `fields`
    Json,
}

/// A wrong filter that is passed over would hide what is looked for.
fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("no filter: {error}"))
}

/// Begins to log.
///
/// # Errors
/// When somebody logs already.
pub(crate) fn init(args: &LogArgs) -> Result<(), Fault> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&args.log))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let began = match args.log_format {
        LogFormat::Text => lines.finish().try_init(),
        LogFormat::Json => lines.json().finish().try_init(),
    };
    began.map_err(|error| Fault::failed(format!("logging cannot begin: {error}")))
}
