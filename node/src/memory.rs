//! What this process takes of the host.

/// Memory that is in RAM now, in bytes (`VmRSS` of proc(5)); none where that cannot be read.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_takes_some() {
        let bytes = super::resident_bytes();
        assert!(bytes.is_some_and(|bytes| bytes > 100 * 1_024), "{bytes:?}");
    }
}
