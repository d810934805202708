//! Which files are looked for.

use std::{ffi::OsString, path::PathBuf};

/// A file to read, when it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The file.
    pub path: PathBuf,
    /// Whether it was asked for by name: then it must be there.
    pub named: bool,
}

/// The machine's file, for an agent the machine's `agent.toml`, then the user's file (`$XDG_CONFIG_HOME`, else
/// `$HOME/.config`), then the one that was named. Each is laid over those before it.
#[must_use]
pub fn candidates(
    get: &dyn Fn(&str) -> Option<OsString>,
    is_agent: bool,
    named: Option<PathBuf>,
) -> Vec<Candidate> {
    let dir = |name: &str| get(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    // The XDG base directory specification: a relative path is to be ignored.
    let user = dir("XDG_CONFIG_HOME").or_else(|| Some(dir("HOME")?.join(".config")));
    let machine = Some(PathBuf::from("/etc/firehall/config.toml"));
    let agent = is_agent.then(|| PathBuf::from("/etc/firehall/agent.toml"));
    let user = user.map(|dir| dir.join("firehall/config.toml"));
    [machine, agent, user]
        .into_iter()
        .flatten()
        .map(|path| Candidate { path, named: false })
        .chain(named.map(|path| Candidate { path, named: true }))
        .collect()
}
