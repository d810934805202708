//! What this process takes of the host.
#![expect(
    unsafe_code,
    reason = "malloc_trim(3) and madvise(2) of program text; each block says why it is sound"
)]

use std::{io, num::NonZeroUsize, ptr::NonNull};

use nix::sys::mman::{MmapAdvise, madvise};

/// Memory that is in RAM now, in bytes (`VmRSS` of proc(5)); none where that cannot be read.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// Gives back what was needed once and is not needed now: heap that is free (malloc_trim(3)), and the mapped pages of
/// this program's file that are the same as the file. Those stay in the page cache as long as the kernel has room for
/// them, and come back by themselves when they are used. Takes about a millisecond.
///
/// # Errors
/// The process's mappings cannot be read or advised.
pub fn give_back() -> io::Result<()> {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own locks and touches only what is free.
    unsafe {
        libc::malloc_trim(0)
    };
    let program = std::fs::read_link("/proc/self/exe")?;
    let smaps = std::fs::read_to_string("/proc/self/smaps")?;
    for (start, length) in unchanged(&smaps, &program.to_string_lossy()) {
        // SAFETY: nothing was ever written to these pages, and nothing can be: the next access reads the same bytes from
        // the file, which cannot be written while it is executed (ETXTBSY).
        unsafe { madvise(start, length.get(), MmapAdvise::MADV_DONTNEED)? };
    }
    Ok(())
}

/// The mappings of `program` that cannot be written and of which no page is the process's own (proc_pid_smaps(5)). What
/// the dynamic linker wrote into and then protected (RELRO) has pages of its own.
fn unchanged(smaps: &str, program: &str) -> Vec<(NonNull<libc::c_void>, NonZeroUsize)> {
    let mut found = Vec::new();
    let mut mapping = None;
    for line in smaps.lines() {
        if let Some(own) = line.strip_prefix("Anonymous:") {
            let untouched = own.trim() == "0 kB";
            found.extend(mapping.take().filter(|_| untouched));
        } else if let Some(range) = read_only(line, program) {
            mapping = Some(range);
        } else if !line.split_once(' ').is_some_and(|(name, _)| name.ends_with(':')) {
            mapping = None;
        }
    }
    found
}

/// `55d0c8a00000-55d0caa2a000 r-xp 0080e000 fe:00 1043697   /usr/bin/firehall`, where it is private and not writable.
fn read_only(line: &str, program: &str) -> Option<(NonNull<libc::c_void>, NonZeroUsize)> {
    let (rest, path) = line
        .split_once('/')
        .map(|(rest, path)| (rest, format!("/{path}")))?;
    let (range, rest) = rest.split_once(' ')?;
    if path != program || !(rest.starts_with("r-xp ") || rest.starts_with("r--p ")) {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).ok());
    let length = NonZeroUsize::new(end?.checked_sub(start?)?)?;
    Some((
        NonNull::new(std::ptr::with_exposed_provenance_mut(start?))?,
        length,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    #[test]
    fn this_process_takes_some() {
        let bytes = super::resident_bytes();
        assert!(bytes.is_some_and(|bytes| bytes > 100 * 1_024), "{bytes:?}");
    }

    /// Constants of the test's program, on a thousand pages of its file.
    static CONSTANTS: [u8; 4 << 20] = [7; 4 << 20];

    fn sum() -> u64 {
        CONSTANTS
            .iter()
            .map(|byte| u64::from(std::hint::black_box(*byte)))
            .sum()
    }

    /// What of the mapping that holds them is in memory, in KiB.
    fn resident() -> u64 {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let at = CONSTANTS.as_ptr().addr();
        let holds = |line: &str| {
            let (start, end) = line.split_once(' ')?.0.split_once('-')?;
            let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).unwrap_or(0));
            (start..end).contains(&at).then_some(())
        };
        let mut lines = smaps.lines().skip_while(|line| holds(line).is_none());
        let rss = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    #[test]
    fn what_is_given_back_is_not_resident_and_comes_back_as_it_was() {
        let before = sum();
        let held = resident();
        assert!(held >= 4 << 10, "{held} KiB");
        super::give_back().unwrap();
        let left = resident();
        assert!(left < held - (3 << 10), "{held} KiB, then {left}");
        assert_eq!(sum(), before);
    }

    #[test]
    fn only_what_is_as_in_the_file_and_cannot_be_written() {
        let smaps = "\
5580dd3c0000-5580ddbcf000 r--p 00000000 fe:00 10436971                   /opt/fire hall
Rss:                2560 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
5580ddbcf000-5580dfbf9000 r-xp 0080e000 fe:00 10436971                   /opt/fire hall
Anonymous:             0 kB
5580dfbf9000-5580dfcc8000 r--p 02837000 fe:00 10436971                   /opt/fire hall
Anonymous:           828 kB
5580dfcc8000-5580dfcd3000 rw-p 02905000 fe:00 10436971                   /opt/fire hall
Anonymous:             0 kB
55811399e000-558113a8d000 rw-p 00000000 00:00 0                          [heap]
Anonymous:             0 kB
7fb30dbe5000-7fb30dc0b000 r--p 00000000 fe:00 326279                     /usr/lib/libc.so.6
Anonymous:             0 kB
";
        let found = super::unchanged(smaps, "/opt/fire hall");
        let found: Vec<_> = found
            .into_iter()
            .map(|(at, length)| (at.as_ptr().addr(), length.get()))
            .collect();
        let first = (0x5580_dd3c_0000, 0x5580_ddbc_f000 - 0x5580_dd3c_0000);
        let text = (0x5580_ddbc_f000, 0x5580_dfbf_9000 - 0x5580_ddbc_f000);
        assert_eq!(found, [first, text]);
    }
}
