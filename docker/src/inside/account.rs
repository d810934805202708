//! What is in force, and what was used, read from inside.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::statvfs::{FsFlags, statvfs};
use runtime::{ContainerSpec, Hardening, Network, StartError};

use super::not_in_force;

const CGROUPS: &str = "/sys/fs/cgroup";

/// What must hold around the process.
pub(super) fn surroundings(spec: &ContainerSpec) -> Result<(), StartError> {
    let root =
        statvfs("/").map_err(|error| not_in_force(format!("the root cannot be looked at: {error}")))?;
    if !root.flags().contains(FsFlags::ST_RDONLY) {
        return Err(not_in_force("the container's root can be written"));
    }
    let interfaces = interfaces().map_err(|error| not_in_force(format!("/proc/net/dev: {error}")))?;
    if spec.network == Network::None && interfaces.iter().any(|name| name != "lo") {
        return Err(not_in_force(format!(
            "network: none, but there are the interfaces {}",
            interfaces.join(", ")
        )));
    }
    Ok(())
}

fn interfaces() -> std::io::Result<Vec<String>> {
    let text = fs::read_to_string("/proc/net/dev")?;
    let names = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
}

/// Fills in what the cgroup and the user namespace say. A limit that is larger than what was asked for is not in force;
/// one that cannot be seen from inside (a daemon that hides cgroups) is left open.
pub(super) fn complete(spec: &ContainerSpec, hardening: &mut Hardening) -> Result<(), StartError> {
    hardening.host_uid_base = outside_of_root().unwrap_or(0);
    hardening.memory_limit_bytes = number(&["memory/memory.limit_in_bytes", "memory.max"]);
    hardening.pids_limit = number(&["pids/pids.max", "pids.max"]);
    let page = 4096;
    if hardening
        .memory_limit_bytes
        .is_some_and(|limit| limit > spec.memory_bytes.saturating_add(page))
    {
        return Err(not_in_force(format!(
            "a memory limit of {} bytes was asked for, {} is in force",
            spec.memory_bytes,
            hardening.memory_limit_bytes.unwrap_or_default()
        )));
    }
    // Our pid 1 is not the step's.
    let pids = u64::from(spec.pids) + 1;
    match hardening.pids_limit {
        Some(limit) if limit > pids => Err(not_in_force(format!(
            "{pids} processes were asked for, {limit} are in force"
        ))),
        _ => Ok(()),
    }
}

/// The host's id of the namespace's root: the daemon's user namespace, 0 without one.
fn outside_of_root() -> Option<u32> {
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    let mut fields = map.lines().next()?.split_whitespace();
    match fields.next()? {
        "0" => fields.next()?.parse().ok(),
        _ => None,
    }
}

/// What the step has used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    pub cpu: Duration,
    pub peak_memory_bytes: u64,
    pub oom_kills: u32,
}

/// As of now. Processor time is that of all processes that have ended and were waited for.
pub(super) fn used() -> Used {
    let cpu = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(Duration::ZERO, |usage| {
        let time = |time: nix::sys::time::TimeVal| {
            Duration::from_micros(
                u64::try_from(i128::from(time.tv_sec()) * 1_000_000 + i128::from(time.tv_usec()))
                    .unwrap_or(0),
            )
        };
        time(usage.user_time()) + time(usage.system_time())
    });
    Used {
        cpu,
        peak_memory_bytes: number(&["memory/memory.max_usage_in_bytes", "memory.peak"]).unwrap_or(0),
        oom_kills: oom_kills(),
    }
}

fn oom_kills() -> u32 {
    let files = ["memory/memory.oom_control", "memory.events"];
    let text = files
        .iter()
        .find_map(|file| fs::read_to_string(below(file)).ok())
        .unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
        .unwrap_or(0)
}

/// The first of these files that holds a number; `max` is none.
fn number(files: &[&str]) -> Option<u64> {
    let text = files
        .iter()
        .find_map(|file| fs::read_to_string(below(file)).ok())?;
    text.trim().parse().ok()
}

fn below(file: &str) -> PathBuf {
    Path::new(CGROUPS).join(file)
}
