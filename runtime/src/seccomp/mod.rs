//! The system call filter: an allow-list as data, in one program.

mod search;
mod table;

use std::collections::BTreeMap;

use search::Answer;
use seccompiler::BpfProgram;

/// Every flag that makes a new namespace, `CLONE_NEWTIME` (0x80) aside, which `clone` cannot carry: it would be read as
/// the exit signal. Docker's profile tests the same mask.
const CLONE_NAMESPACES: u32 = 0x7E02_0000;
/// `AF_VSOCK` reaches the hypervisor past the network namespace; Docker's profile leaves it out too.
const AF_VSOCK: u32 = 40;
/// The execution domains that Docker's profile allows: Linux, 32-bit layout, UNAME26, both, and the query.
const PERSONALITIES: &[u32] = &[0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
const REFUSED: i32 = libc::EPERM;

/// As seccomp(2) names this processor (Linux: include/uapi/linux/audit.h).
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xC000_003E)
} else if cfg!(target_arch = "aarch64") {
    Some(0xC000_00B7)
} else {
    None
};

/// The program to be installed.
///
/// What is not allowed gives EPERM. `clone3` hides its flags behind a pointer, so it gives ENOSYS and libc falls back to
/// `clone`, whose flags can be tested. A call through another architecture's entry ends the process.
///
/// # Errors
/// The processor is neither x86-64 nor aarch64.
pub(crate) fn program() -> Result<BpfProgram, String> {
    let architecture = ARCHITECTURE.ok_or_else(|| format!("none for {}", std::env::consts::ARCH))?;
    Ok(search::program(architecture, &calls(), &Answer::Error(REFUSED)))
}

fn calls() -> BTreeMap<u32, Answer> {
    let otherwise = REFUSED;
    let asked = [
        (libc::SYS_clone3, Answer::Error(libc::ENOSYS)),
        (
            libc::SYS_clone,
            Answer::UnlessBits {
                bits: CLONE_NAMESPACES,
                otherwise,
            },
        ),
        (
            libc::SYS_socket,
            Answer::Unless {
                value: AF_VSOCK,
                otherwise,
            },
        ),
        (
            libc::SYS_personality,
            Answer::OneOf {
                values: PERSONALITIES,
                otherwise,
            },
        ),
    ];
    let allowed = table::ALLOWED.iter().map(|number| (*number, Answer::Allow));
    allowed
        .chain(asked)
        // Numbers of system calls are small and not negative.
        .filter_map(|(number, answer)| Some((u32::try_from(number).ok()?, answer)))
        .collect()
}

#[cfg(test)]
mod tests;
