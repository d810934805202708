#![allow(clippy::unwrap_used, reason = "tests")]
use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule as Rule, TargetArch, sock_filter,
};

use super::*;

/// What the kernel's interpreter answers (Linux: net/core/filter.c), for the operations that are used here.
fn answer(program: &[sock_filter], number: u32, architecture: u32, argument: u64) -> u32 {
    let mut at = 0;
    let mut accumulator = 0_u32;
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        let over = |condition: bool| usize::from(if condition { jt } else { jf });
        at += 1;
        match code {
            0x20 => {
                accumulator = match k {
                    0 => number,
                    4 => architecture,
                    16 => argument as u32,
                    20 => (argument >> 32) as u32,
                    other => panic!("load of {other}"),
                }
            }
            0x54 => accumulator &= k,
            0x05 => at += usize::try_from(k).unwrap(),
            0x15 => at += over(accumulator == k),
            0x25 => at += over(accumulator > k),
            0x35 => at += over(accumulator >= k),
            0x45 => at += over(accumulator & k != 0),
            0x06 => return k,
            other => panic!("operation {other:#x}"),
        }
    }
}

/// The same as seccompiler makes it, which compares one number after the other: what is allowed, and what hides `clone3`.
fn by_seccompiler() -> [BpfProgram; 2] {
    let one = |argument: Len, op: Op, value: u64| {
        Rule::new(vec![Condition::new(0, argument, op, value).unwrap()]).unwrap()
    };
    let mut rules: BTreeMap<i64, Vec<Rule>> = table::ALLOWED
        .iter()
        .map(|number| (*number, Vec::new()))
        .collect();
    let namespaces = Op::MaskedEq(u64::from(CLONE_NAMESPACES));
    rules.insert(libc::SYS_clone, vec![one(Len::Qword, namespaces, 0)]);
    let vsock = u64::from(AF_VSOCK);
    rules.insert(
        libc::SYS_socket,
        vec![one(Len::Dword, Op::Lt, vsock), one(Len::Dword, Op::Gt, vsock)],
    );
    let personalities = PERSONALITIES
        .iter()
        .map(|value| one(Len::Qword, Op::Eq, u64::from(*value)));
    rules.insert(libc::SYS_personality, personalities.collect());
    let compile = |rules, otherwise, matched| {
        let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
        BpfProgram::try_from(SeccompFilter::new(rules, otherwise, matched, arch).unwrap()).unwrap()
    };
    let errno = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    [
        compile(rules, errno(libc::EPERM), SeccompAction::Allow),
        compile(
            BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
            SeccompAction::Allow,
            errno(libc::ENOSYS),
        ),
    ]
}

#[test]
fn it_answers_as_the_one_that_compares_each_number() {
    let ours = program().unwrap();
    let [allow, hide] = by_seccompiler();
    let native = ARCHITECTURE.unwrap();
    let near = |value: u64| [value.wrapping_sub(1), value, value.wrapping_add(1)];
    let arguments: Vec<u64> = PERSONALITIES
        .iter()
        .map(|value| u64::from(*value))
        .chain([
            u64::from(AF_VSOCK),
            u64::from(CLONE_NAMESPACES),
            1 << 32,
            u64::MAX,
            17,
        ])
        .chain((0..64).map(|bit| 1 << bit))
        .flat_map(near)
        .flat_map(|value| [value, value | 1 << 40])
        .collect();
    // The bit of x32, and what is no number.
    let numbers = (0..1_200)
        .flat_map(|number| [number, number | 0x4000_0000])
        .chain([u32::MAX, 1 << 31]);
    for number in numbers {
        for argument in &arguments {
            let expected = match answer(&hide, number, native, *argument) {
                libc::SECCOMP_RET_ALLOW => answer(&allow, number, native, *argument),
                hidden => hidden,
            };
            assert_eq!(
                answer(&ours, number, native, *argument),
                expected,
                "system call {number} with {argument:#x}"
            );
        }
    }
    for other in [0x4000_0003, 0, u32::MAX] {
        assert_eq!(answer(&ours, 0, other, 0), libc::SECCOMP_RET_KILL_PROCESS);
    }
}

#[test]
fn it_asks_few_questions() {
    let ours = program().unwrap();
    assert!(ours.len() < 4_096, "the kernel takes at most 4096 instructions");
    let [allow, _] = by_seccompiler();
    assert!(ours.len() < allow.len(), "{} and {}", ours.len(), allow.len());
}

#[test]
fn a_search_may_be_larger_than_a_jump_reaches() {
    let calls: BTreeMap<u32, Answer> = (0..2_000).map(|n| (n * 2, Answer::Allow)).collect();
    let program = search::program(7, &calls, &Answer::Error(libc::EPERM));
    for number in 0..4_100 {
        let allowed = answer(&program, number, 7, 0) == libc::SECCOMP_RET_ALLOW;
        assert_eq!(allowed, number % 2 == 0 && number < 4_000, "{number}");
    }
}

#[test]
fn the_table_leaves_out_what_escapes_are_made_of() {
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
        libc::SYS_chroot,
        libc::SYS_acct,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_syslog,
    ];
    let calls = calls();
    for number in never {
        let number = u32::try_from(number).unwrap();
        assert!(
            !calls.contains_key(&number),
            "system call {number} must not be allowed"
        );
    }
}
