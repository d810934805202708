//! Files of version 2 (kernel: Documentation/admin-guide/cgroup-v2).

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Facts, Hierarchy, Limits, read_key, read_number, write};

/// Scheduler period, microseconds.
const PERIOD_US: u64 = 100_000;

/// Hands the controllers down to the steps' parent and to its groups. Only a hierarchy's real root may have both processes
/// and controllers below it: inside another container this fails, and the probe says so.
pub(super) fn pass_on(root: &Hierarchy) -> io::Result<()> {
    let parent = root.parent();
    let top = parent
        .parent()
        .ok_or_else(|| io::Error::other("no cgroup root"))?;
    for dir in [top, &parent] {
        write(&dir.join("cgroup.subtree_control"), "+memory +pids +cpu")?;
    }
    Ok(())
}

pub(super) fn limit(group: &Path, limits: Limits) -> io::Result<()> {
    write(&group.join("memory.max"), &limits.memory_bytes.to_string())?;
    let swap = group.join("memory.swap.max");
    if swap.exists() {
        write(&swap, "0")?;
    }
    write(&group.join("pids.max"), &limits.pids.to_string())?;
    if let Some(millis) = limits.cpu_millis {
        write(
            &group.join("cpu.max"),
            &format!("{} {PERIOD_US}", u64::from(millis) * PERIOD_US / 1000),
        )?;
    }
    Ok(())
}

pub(super) fn facts(group: &Path) -> io::Result<Facts> {
    let kills = read_key(&group.join("memory.events"), "oom_kill")?.unwrap_or(0);
    let micros = read_key(&group.join("cpu.stat"), "usage_usec")?.unwrap_or(0);
    Ok(Facts {
        cpu: Duration::from_micros(micros),
        oom_kills: u32::try_from(kills).unwrap_or(u32::MAX),
        // Since Linux 5.19.
        peak_memory_bytes: read_number(&group.join("memory.peak"))?.unwrap_or(0),
        memory_limit: read_number(&group.join("memory.max"))?,
        pids_limit: read_number(&group.join("pids.max"))?,
    })
}
