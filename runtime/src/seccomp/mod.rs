//! The system call filter: an allow-list as data, two stacked programs.

mod table;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule as Rule, TargetArch,
};

/// Every flag that makes a new namespace, `CLONE_NEWTIME` (0x80) aside, which `clone` cannot carry: it would be read as
/// the exit signal. Docker's profile tests the same mask.
const CLONE_NAMESPACES: u64 = 0x7E02_0000;
/// `AF_VSOCK` reaches the hypervisor past the network namespace; Docker's profile leaves it out too.
const AF_VSOCK: u64 = 40;
/// The execution domains that Docker's profile allows: Linux, 32-bit layout, UNAME26, both, and the query.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The programs in the order in which they are installed.
///
/// What is not allowed gives EPERM. `clone3` hides its flags behind a pointer, so it gives ENOSYS and libc falls back to
/// `clone`, whose flags can be tested; a filter has only one answer, hence the second one. A call through another
/// architecture's entry ends the process.
///
/// # Errors
/// The processor is neither x86-64 nor aarch64, or seccompiler refuses the table.
pub(crate) fn programs() -> Result<Vec<BpfProgram>, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let allow = filter(
        allowed()?,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        arch,
    )?;
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let hide = filter(
        clone3,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        arch,
    )?;
    Ok(vec![allow, hide])
}

fn filter(
    rules: BTreeMap<i64, Vec<Rule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
    arch: TargetArch,
) -> Result<BpfProgram, String> {
    let filter = SeccompFilter::new(rules, otherwise, matched, arch).map_err(|error| error.to_string())?;
    filter
        .try_into()
        .map_err(|error: seccompiler::BackendError| error.to_string())
}

fn allowed() -> Result<BTreeMap<i64, Vec<Rule>>, String> {
    let mut rules: BTreeMap<i64, Vec<Rule>> = table::ALLOWED
        .iter()
        .map(|number| (*number, Vec::new()))
        .collect();
    rules.insert(
        libc::SYS_clone,
        vec![rule(0, Len::Qword, Op::MaskedEq(CLONE_NAMESPACES), 0)?],
    );
    let below = rule(0, Len::Dword, Op::Lt, AF_VSOCK)?;
    let above = rule(0, Len::Dword, Op::Gt, AF_VSOCK)?;
    rules.insert(libc::SYS_socket, vec![below, above]);
    let personalities = PERSONALITIES
        .iter()
        .map(|value| rule(0, Len::Qword, Op::Eq, *value));
    rules.insert(libc::SYS_personality, personalities.collect::<Result<_, _>>()?);
    Ok(rules)
}

fn rule(argument: u8, len: Len, op: Op, value: u64) -> Result<Rule, String> {
    let condition = Condition::new(argument, len, op, value).map_err(|error| error.to_string())?;
    Rule::new(vec![condition]).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_compiles_and_leaves_out_what_escapes_are_made_of() {
        let programs = programs().expect("the table is valid");
        assert_eq!(programs.len(), 2);
        assert!(
            programs[0].len() < 4096,
            "the kernel takes at most 4096 instructions"
        );
        let never = [
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_perf_event_open,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_kexec_load,
            libc::SYS_reboot,
            libc::SYS_open_by_handle_at,
            libc::SYS_userfaultfd,
            libc::SYS_io_uring_setup,
            libc::SYS_swapon,
            libc::SYS_fsopen,
            libc::SYS_move_mount,
            libc::SYS_open_tree,
            libc::SYS_mount_setattr,
            libc::SYS_clone3,
            libc::SYS_chroot,
            libc::SYS_acct,
            libc::SYS_settimeofday,
            libc::SYS_clock_settime,
            libc::SYS_syslog,
        ];
        let allowed = allowed().expect("the table is valid");
        for number in never {
            assert!(
                !allowed.contains_key(&number),
                "system call {number} must not be allowed"
            );
        }
    }
}
