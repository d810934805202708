//! Files of version 1 (kernel: Documentation/admin-guide/cgroup-v1).

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Facts, Limits, read_key, read_number, write};

/// Scheduler period, microseconds.
const PERIOD_US: u64 = 100_000;

pub(super) fn limit(memory: &Path, pids: &Path, cpu: Option<PathBuf>, limits: Limits) -> io::Result<()> {
    write(
        &memory.join("memory.limit_in_bytes"),
        &limits.memory_bytes.to_string(),
    )?;
    // Absent when the kernel runs without swap accounting; then there is no swap limit to set.
    let with_swap = memory.join("memory.memsw.limit_in_bytes");
    if with_swap.exists() {
        write(&with_swap, &limits.memory_bytes.to_string())?;
    }
    write(&pids.join("pids.max"), &limits.pids.to_string())?;
    if let (Some(cpu), Some(millis)) = (cpu, limits.cpu_millis) {
        write(&cpu.join("cpu.cfs_period_us"), &PERIOD_US.to_string())?;
        write(
            &cpu.join("cpu.cfs_quota_us"),
            &(u64::from(millis) * PERIOD_US / 1000).to_string(),
        )?;
    }
    Ok(())
}

pub(super) fn facts(memory: &Path, pids: &Path, acct: Option<PathBuf>) -> io::Result<Facts> {
    let kills = read_key(&memory.join("memory.oom_control"), "oom_kill")?.unwrap_or(0);
    let nanos = acct
        .map(|acct| read_number(&acct.join("cpuacct.usage")))
        .transpose()?
        .flatten();
    Ok(Facts {
        cpu: Duration::from_nanos(nanos.unwrap_or(0)),
        oom_kills: u32::try_from(kills).unwrap_or(u32::MAX),
        peak_memory_bytes: read_number(&memory.join("memory.max_usage_in_bytes"))?.unwrap_or(0),
        memory_limit: read_number(&memory.join("memory.limit_in_bytes"))?,
        pids_limit: read_number(&pids.join("pids.max"))?,
    })
}
