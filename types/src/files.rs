//! Files that a container step gets, and where in the container they may lie.

use serde::{Deserialize, Serialize};

use crate::{ArtifactRef, limits, text::clip};

/// A file's permissions when nothing is said: everybody reads, nobody writes.
pub const FILE_MODE: u32 = 0o444;
/// Permissions that a file may have: it is mounted read-only, so nobody writes.
pub const FILE_MODES: u32 = 0o555;

/// A file of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkFile {
    /// What is in it.
    pub from: FileFrom,
    /// Its permissions.
    #[serde(default = "mode", skip_serializing_if = "is_mode")]
    pub mode: u32,
}

/// Where a file's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFrom {
    /// These bytes.
    Content(String),
    /// Those of an earlier step's artifact; the agent gets them from the server.
    Artifact(ArtifactRef),
}

const fn mode() -> u32 {
    FILE_MODE
}

const fn is_mode(mode: &u32) -> bool {
    *mode == FILE_MODE
}

/// How much of a path is shown.
const SHOWN: usize = 100;
/// Trees that are not a workflow's: the kernel's, the host's and ours.
const TREES: &[&str] = &[
    "/proc",
    "/sys",
    "/dev",
    "/host",
    "/run/firehall",
    "/run/secrets",
    "/.firehall",
];
/// Directories of every system; a file cannot take their place.
const DIRECTORIES: &[&str] = &[
    "/bin", "/boot", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/mnt", "/opt", "/root", "/run",
    "/sbin", "/srv", "/tmp", "/usr", "/var",
];
/// Who somebody is, which names lead where, and what is loaded into every program: the runtimes' own.
const OURS: &[&str] = &[
    "/etc/group",
    "/etc/gshadow",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/etc/shadow",
];
/// Trees that `image: host` takes from the host.
const HOSTS: &[&str] = &["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr"];

/// Whether a file of a step may lie here; `on_host` where the step runs in `image: host`.
///
/// # Errors
/// Why not, as a sentence about the path.
pub fn check_file_path(path: &str, on_host: bool) -> Result<(), String> {
    check_plain_path(path)?;
    let shown = clip(path, SHOWN);
    if let Some(tree) = TREES.iter().find(|tree| is_within(path, tree)) {
        return Err(format!("{shown:?} is within {tree}, which is not a workflow's"));
    }
    if OURS.contains(&path) {
        return Err(format!("{shown:?} is the container's own"));
    }
    if DIRECTORIES.contains(&path) {
        return Err(format!("{shown:?} is a directory"));
    }
    match HOSTS.iter().find(|tree| on_host && is_within(path, tree)) {
        Some(tree) => Err(format!(
            "{shown:?} is within {tree}, which `image: host` has from the host"
        )),
        None => Ok(()),
    }
}

/// Whether it is an absolute path that leads nowhere but down.
pub(crate) fn check_plain_path(path: &str) -> Result<(), String> {
    let shown = clip(path, SHOWN);
    let Some(below) = path.strip_prefix('/') else {
        return Err(format!("{shown:?} is no absolute path"));
    };
    if path.len() > limits::FILE_PATH_BYTES {
        let limit = limits::FILE_PATH_BYTES;
        return Err(format!("{shown:?} has {} bytes, at most {limit}", path.len()));
    }
    if path.chars().any(char::is_control) {
        return Err(format!("{shown:?} has a control character"));
    }
    if below.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return Err(format!(
            "{shown:?} is no plain path: without //, /./, /../ and a / at its end"
        ));
    }
    Ok(())
}

/// Whether a path is this tree or below it.
#[must_use]
pub fn is_within(path: &str, tree: &str) -> bool {
    path.strip_prefix(tree)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_where_nothing_of_the_system_is() {
        for path in [
            "/data/dump",
            "/etc/app/config.json",
            "/tmp/a b",
            "/x",
            "/procs",
            "/usr/share/x",
            "/größe",
        ] {
            assert_eq!(check_file_path(path, false), Ok(()));
        }
        for (path, why) in [
            ("data", "no absolute path"),
            ("", "no absolute path"),
            ("/", "no plain path"),
            ("/a/", "no plain path"),
            ("/a//b", "no plain path"),
            ("/a/../etc/passwd", "no plain path"),
            ("/a/./b", "no plain path"),
            ("/a\0b", "control character"),
            ("/proc/self/x", "within /proc"),
            ("/dev", "within /dev"),
            ("/run/firehall/output", "within /run/firehall"),
            ("/run/secrets/x", "within /run/secrets"),
            ("/.firehall/door", "within /.firehall"),
            ("/etc/passwd", "container's own"),
            ("/etc/ld.so.preload", "container's own"),
            ("/tmp", "is a directory"),
        ] {
            let said = check_file_path(path, false);
            assert!(
                said.as_ref().is_err_and(|said| said.contains(why)),
                "{path:?}: {said:?}"
            );
        }
        assert!(check_file_path("/usr/share/x", true).is_err());
        assert!(check_file_path(&format!("/{}", "x".repeat(limits::FILE_PATH_BYTES)), false).is_err());
    }
}
