//! Log lines of `server`, `agent`, `dev` and the emulators: text on standard error, filtered by `FIREHALL_LOG`
//! (as `info,agent=debug`). They never carry a secret: who logs, logs ids and counts.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::exit::Fault;

/// Begins to log.
///
/// # Errors
/// When `FIREHALL_LOG` is no filter: a wrong filter that is passed over would hide what is looked for.
pub(crate) fn init() -> Result<(), Fault> {
    let filter = match std::env::var("FIREHALL_LOG") {
        Ok(wanted) => EnvFilter::try_new(&wanted)
            .map_err(|error| Fault::usage(format!("FIREHALL_LOG={wanted:?} is no filter: {error}")))?,
        Err(_) => EnvFilter::new("info"),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init()
        .map_err(|error| Fault::failed(format!("logging cannot begin: {error}")))
}
