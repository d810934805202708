//! Which cgroup version this host has, from its mounts.

use std::path::PathBuf;

/// Where the controllers that we need are mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// None that we may use: each process of a step is limited by itself.
    None,
}

impl Layout {
    /// For people.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::V1 { .. } => "cgroup v1",
            Self::V2 { .. } => "cgroup v2",
            Self::None => "no cgroups",
        }
    }
}

/// Reads the mounts of this process. Only root may make groups.
pub(crate) fn detect() -> Result<Layout, String> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(Layout::None);
    }
    let mounts =
        std::fs::read_to_string("/proc/self/mountinfo").map_err(|e| format!("/proc/self/mountinfo: {e}"))?;
    from_mountinfo(&mounts)
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
