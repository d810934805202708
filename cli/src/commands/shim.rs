//! `firehall shim DIR`, the process that owns one native attempt, `firehall shim --serve`, from which those are forked, and `firehall inside`, pid 1 of a container of the docker
//! runtime. Started by the agent only.

use std::{ffi::OsStr, path::Path, process::ExitCode};

/// Runs one of them when that is what the command line says. They must come before any thread exists, so they do not
/// go through the argument parser.
pub(crate) fn if_asked() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let word = args.next();
    if word.as_deref() == Some(OsStr::new(docker::inside::WORD)) && args.len() == 0 {
        return Some(docker::inside::main());
    }
    if word.as_deref() != Some(OsStr::new("shim")) {
        return None;
    }
    match (args.next(), args.next()) {
        (Some(serve), Some(_)) if serve == "--serve" => Some(runtime::shim::serve()),
        (Some(dir), None) => Some(runtime::shim::main(Path::new(&dir))),
        _ => {
            eprintln!("firehall shim: started by an agent only, as `firehall shim DIR`");
            Some(ExitCode::from(2))
        }
    }
}
