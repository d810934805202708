//! A step's services: containers beside it in one network, started and ready before it, ended after it.
//!
//! Each is an attempt to the runtime, in a directory of its own below the step's, so that an agent that comes after this one
//! finds them as it finds the step: what was started is started once. A holder, which runs no program, has the network, so
//! that no service's end takes it away from the others.

mod down;
mod end;
mod up;

use std::path::{Path, PathBuf};

pub(super) use down::judged;
pub(crate) use down::{down, remove};
pub(super) use up::{NotUp, Part, up};

/// The holder's directory.
const HOLDER: &str = "network";
/// What a service's directory is called before its name.
const SERVICE: &str = "service.";

/// A service's directory below its step's.
pub(crate) fn service_dir(attempt: &Path, name: &str) -> PathBuf {
    attempt.join(format!("{SERVICE}{name}"))
}

/// The holder's directory below its step's.
pub(super) fn holder_dir(attempt: &Path) -> PathBuf {
    attempt.join(HOLDER)
}

/// The container's id of a part, from the step's. No token has a dot.
pub(super) fn id(token: &types::LeaseToken, part: &str) -> String {
    format!("{token}.{part}")
}

/// The holder's part of an id: no service is called so.
pub(super) const HOLDER_ID: &str = "_network";

/// Whose a container's id is: its attempt's token.
pub(crate) fn token_of(id: &str) -> &str {
    id.split_once('.').map_or(id, |(token, _)| token)
}

/// The services whose directories are there, in order.
pub(crate) fn services_in(attempt: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(attempt) else {
        // Most attempts have none, and some no directory yet.
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix(SERVICE)?.to_owned()))
        .filter(|name| types::is_service_name(name))
        .collect();
    names.sort();
    names
}
