//! A step's services: containers beside it in one network, started and ready before it, ended after it.
//!
//! Each is an attempt to the runtime, in a directory of its own below the step's, so that an agent that comes after this one
//! finds them as it finds the step: what was started is started once. A holder, which runs no program, has the network, so
//! that no service's end takes it away from the others.

mod down;
mod end;
mod up;

use std::{
    io,
    path::{Path, PathBuf},
};

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

/// The services whose directories are there, in order; none where there is no directory yet.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn services_in(attempt: &Path) -> io::Result<Vec<String>> {
    let entries = match fs_err::read_dir(attempt) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let service = name.to_str().and_then(|name| name.strip_prefix(SERVICE));
        names.extend(
            service
                .filter(|name| types::is_service_name(name))
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

/// As [`services_in`], where there is nobody to tell an error but the agent's log.
pub(crate) fn services_seen(attempt: &Path) -> Vec<String> {
    services_in(attempt).unwrap_or_else(|error| {
        tracing::error!(%error, "the services of an attempt cannot be found; it is looked for them again when it is removed");
        Vec::new()
    })
}
