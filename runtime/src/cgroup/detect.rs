//! Which cgroup version this host has, from its mounts, and what of it this process may use.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::delegated::{self, Delegated, Mount, NotDelegated};

/// Where the controllers that we need are mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layout {
    /// Version 1 or hybrid: a hierarchy a controller.
    V1 {
        memory: PathBuf,
        pids: PathBuf,
        cpu: Option<PathBuf>,
        /// The account of processor time; often mounted with `cpu`.
        acct: Option<PathBuf>,
    },
    /// Version 2.
    V2 { root: PathBuf },
    /// A part of version 2 that this user was given.
    Delegated(Delegated),
    /// None that we may use, and why: each process of a step is limited by itself.
    None(String),
}

impl Layout {
    /// The part that was given.
    pub(crate) const fn part(&self) -> Option<&Delegated> {
        match self {
            Self::Delegated(part) => Some(part),
            Self::V1 { .. } | Self::V2 { .. } | Self::None(_) => None,
        }
    }

    /// For people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::V1 { .. } => "cgroup v1".to_owned(),
            Self::V2 { .. } => "cgroup v2".to_owned(),
            Self::Delegated(delegated) => format!("cgroup v2, delegated at {}", delegated.path.display()),
            Self::None(_) => "no cgroups".to_owned(),
        }
    }
}

/// Reads the mounts of this process. An ordinary user may make groups where a part of version 2 was delegated to it; this
/// process goes into a leaf of it then.
pub(crate) fn detect() -> Result<Layout, String> {
    let mounts =
        std::fs::read_to_string("/proc/self/mountinfo").map_err(|e| format!("/proc/self/mountinfo: {e}"))?;
    let layout = from_mountinfo(&mounts);
    if nix::unistd::geteuid().is_root() {
        return layout;
    }
    let taken = match layout {
        Ok(Layout::V2 { root }) => delegated::take(&Mount {
            root: mounted_root(&mounts),
            point: root,
        }),
        Ok(_) => Err(NotDelegated::Version1),
        Err(why) => Err(NotDelegated::NoCgroups(why)),
    };
    Ok(match taken {
        Ok(delegated) => Layout::Delegated(delegated),
        Err(why) => Layout::None(why.to_string()),
    })
}

/// Which group of version 2 is the one that is mounted: `/`, but in some containers.
fn mounted_root(mounts: &str) -> PathBuf {
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    line.and_then(|line| line.split(' ').nth(3)).unwrap_or("/").into()
}

/// A line is `id parent dev root mount-point options … - type source super-options` (proc(5)).
fn from_mountinfo(mounts: &str) -> Result<Layout, String> {
    let mut v2 = None;
    let (mut memory, mut pids, mut cpu, mut acct) = (None, None, None, None);
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else {
            continue;
        };
        let Some(point) = before.split(' ').nth(4).map(PathBuf::from) else {
            continue;
        };
        let mut after = after.split(' ');
        match (after.next(), after.nth(1)) {
            (Some("cgroup2"), _) => v2 = v2.or(Some(point)),
            (Some("cgroup"), Some(options)) => {
                for option in options.split(',') {
                    match option {
                        "memory" => memory = memory.or(Some(point.clone())),
                        "pids" => pids = pids.or(Some(point.clone())),
                        "cpu" => cpu = cpu.or(Some(point.clone())),
                        "cpuacct" => acct = acct.or(Some(point.clone())),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    match (memory, pids, v2) {
        (Some(memory), Some(pids), _) => Ok(Layout::V1 {
            memory,
            pids,
            cpu,
            acct,
        }),
        (None, None, Some(root)) => Ok(Layout::V2 { root }),
        (memory, pids, _) => {
            let missing = match (memory.is_some(), pids.is_some()) {
                (true, false) => "the pids controller is not mounted",
                (false, true) => "the memory controller is not mounted",
                _ => "no cgroup hierarchy with memory and pids is mounted",
            };
            Err(missing.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unified_hybrid_and_missing_controllers_are_told_apart() {
        let v2 = "25 20 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            from_mountinfo(v2),
            Ok(Layout::V2 {
                root: "/sys/fs/cgroup".into()
            })
        );
        assert_eq!(mounted_root(v2), PathBuf::from("/"));
        let part = "25 20 0:22 /docker/c /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(mounted_root(part), PathBuf::from("/docker/c"));
        let hybrid = "1 0 0:1 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
             2 0 0:2 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
             3 0 0:3 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
             4 0 0:4 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
        let expected = Layout::V1 {
            memory: "/sys/fs/cgroup/memory".into(),
            pids: "/sys/fs/cgroup/pids".into(),
            cpu: Some("/sys/fs/cgroup/cpu,cpuacct".into()),
            acct: Some("/sys/fs/cgroup/cpu,cpuacct".into()),
        };
        assert_eq!(from_mountinfo(hybrid), Ok(expected));
        let no_pids = "2 0 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(
            from_mountinfo(no_pids),
            Err("the pids controller is not mounted".to_owned())
        );
        assert_eq!(
            from_mountinfo(""),
            Err("no cgroup hierarchy with memory and pids is mounted".to_owned())
        );
    }
}
