//! `firehall shim DIR`: the process that owns one native attempt. Started by the agent only.

use std::{ffi::OsStr, path::Path, process::ExitCode};

/// Runs the shim when that is what the command line says. It must come before any thread exists, so it does not
/// go through the argument parser.
pub(crate) fn if_asked() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() != Some(OsStr::new("shim")) {
        return None;
    }
    match (args.next(), args.next()) {
        (Some(dir), None) => Some(runtime::shim::main(Path::new(&dir))),
        _ => {
            eprintln!("firehall shim: started by an agent only, as `firehall shim DIR`");
            Some(ExitCode::from(2))
        }
    }
}
