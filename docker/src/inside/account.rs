//! What is in force, and what was used, read from inside.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::statvfs::{FsFlags, statvfs};
use runtime::{ContainerSpec, Hardening, HostView, Image, Network, StartError};

use super::not_in_force;
use crate::kit::INSIDE;
use crate::wire::DOOR;

const CGROUPS: &str = "/sys/fs/cgroup";
/// Limits of memory are rounded to pages.
const PAGE: u64 = 4096;

/// What must hold around the process.
pub(super) fn surroundings(spec: &ContainerSpec) -> Result<(), StartError> {
    let root =
        statvfs("/").map_err(|error| not_in_force(format!("the root cannot be looked at: {error}")))?;
    if !root.flags().contains(FsFlags::ST_RDONLY) {
        return Err(not_in_force("the container's root can be written"));
    }
    let interfaces = interfaces().map_err(|error| not_in_force(format!("/proc/net/dev: {error}")))?;
    read_only(spec)?;
    sizes(spec)?;
    if getrlimit(Resource::RLIMIT_CORE).map_or(true, |(_, hard)| hard > 0) {
        return Err(not_in_force("core dumps are to be off, and are not"));
    }
    if spec.network == Network::None && interfaces.iter().any(|name| name != "lo") {
        return Err(not_in_force(format!(
            "network: none, but there are the interfaces {}",
            interfaces.join(", ")
        )));
    }
    if spec.network == Network::Egress {
        interfaces.iter().try_for_each(|name| no_ipv6(name))?;
    }
    Ok(())
}

/// The host's firewall keeps IPv4 from the host; so there must be nothing else, now or later.
fn no_ipv6(interface: &str) -> Result<(), StartError> {
    let switch = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
    match fs::read_to_string(&switch) {
        Ok(text) if text.trim() == "1" || interface == "lo" => Ok(()),
        Ok(text) => Err(not_in_force(format!(
            "network: egress is without IPv6, and {switch} says {:?}: a step could reach this host at its link-local address",
            text.trim()
        ))),
        // A kernel without it.
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound && !Path::new("/proc/net/if_inet6").exists() =>
        {
            Ok(())
        }
        Err(error) => Err(not_in_force(format!(
            "network: egress is without IPv6, and {switch}: {error}"
        ))),
    }
}

/// What of the host is bound in must be read-only.
fn read_only(spec: &ContainerSpec) -> Result<(), StartError> {
    let host = (spec.image == Image::Host).then_some("/usr");
    let views = spec.host_view.iter().map(|view| match view {
        HostView::Proc => "/host/proc",
        HostView::Sys => "/host/sys",
    });
    let files = spec.files.iter().map(|file| file.path.as_str());
    for path in [INSIDE, DOOR].into_iter().chain(host).chain(views).chain(files) {
        let seen = statvfs(path);
        let flags = seen.map_err(|error| not_in_force(format!("{path} cannot be looked at: {error}")))?;
        if !flags.flags().contains(FsFlags::ST_RDONLY) {
            return Err(not_in_force(format!(
                "{path} is to be read-only, and can be written"
            )));
        }
    }
    Ok(())
}

/// The memory file systems that a step may fill.
fn sizes(spec: &ContainerSpec) -> Result<(), StartError> {
    for path in ["/tmp", "/dev/shm"] {
        let seen =
            statvfs(path).map_err(|error| not_in_force(format!("{path} cannot be looked at: {error}")))?;
        let bytes = seen.blocks() * seen.fragment_size();
        if bytes > spec.tmp_bytes.next_multiple_of(PAGE) {
            return Err(not_in_force(format!(
                "{path} was to have {} bytes, and has {bytes}",
                spec.tmp_bytes
            )));
        }
    }
    Ok(())
}

fn interfaces() -> std::io::Result<Vec<String>> {
    let text = fs::read_to_string("/proc/net/dev")?;
    let names = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
}

/// Fills in what the cgroup and the user namespace say. A limit that is larger than what was asked for, or that cannot be
/// seen from inside, is not in force: daemons take limits that their host cannot hold, and say nothing.
pub(super) fn complete(spec: &ContainerSpec, hardening: &mut Hardening) -> Result<(), StartError> {
    hardening.host_uid_base = outside_of_root().unwrap_or(0);
    hardening.memory_limit_bytes = number(&["memory/memory.limit_in_bytes", "memory.max"]);
    hardening.pids_limit = number(&["pids/pids.max", "pids.max"]);
    let memory = spec.memory_bytes.saturating_add(PAGE);
    holds("bytes of memory", memory, hardening.memory_limit_bytes)?;
    // Our pid 1 is not the step's.
    let pids = u64::from(spec.pids) + 1;
    holds("processes", pids, hardening.pids_limit)?;
    match spec.cpu_millis {
        Some(millis) => holds("thousandths of a processor", u64::from(millis), processor()),
        None => Ok(()),
    }
}

/// Whether a limit is in force.
fn holds(of: &str, asked: u64, seen: Option<u64>) -> Result<(), StartError> {
    match seen {
        Some(limit) if limit <= asked => Ok(()),
        Some(limit) => Err(not_in_force(format!(
            "{asked} {of} were asked for, {limit} are in force"
        ))),
        None => Err(not_in_force(format!(
            "{asked} {of} were asked for, and the container's cgroup has no such limit"
        ))),
    }
}

/// The limit of the processor in thousandths.
fn processor() -> Option<u64> {
    let (quota, period) = match fs::read_to_string(below("cpu.max")) {
        Ok(text) => {
            let (quota, period) = text.trim().split_once(' ')?;
            (quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?)
        }
        Err(_) => (
            number(&["cpu/cpu.cfs_quota_us"])?,
            number(&["cpu/cpu.cfs_period_us"])?,
        ),
    };
    quota.checked_mul(1_000)?.checked_div(period)
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
