//! The one binary.

mod args;
mod commands;
mod config;
mod definition;
mod entry;
mod exit;
mod input;
mod live;
mod local;
mod out;
mod process;
mod splice;
mod table;
mod telemetry;
mod text;
mod when;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before a thread, a runtime or an argument parser exists: the shim forks.
    if let Some(code) = commands::shim::if_asked() {
        return code;
    }
    entry::main()
}
