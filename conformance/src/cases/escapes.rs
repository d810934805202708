//! What escapes are made of, tried from inside: each must be refused, whoever the step is.

use libc::{
    SYS_acct, SYS_add_key, SYS_adjtimex, SYS_bpf, SYS_chroot, SYS_clock_settime, SYS_clone, SYS_clone3,
    SYS_delete_module, SYS_fanotify_init, SYS_finit_module, SYS_fsopen, SYS_init_module, SYS_kexec_file_load,
    SYS_kexec_load, SYS_keyctl, SYS_mknodat, SYS_mount, SYS_mount_setattr, SYS_move_mount,
    SYS_open_by_handle_at, SYS_open_tree, SYS_perf_event_open, SYS_pivot_root, SYS_process_vm_readv,
    SYS_process_vm_writev, SYS_ptrace, SYS_quotactl, SYS_reboot, SYS_request_key, SYS_sched_setscheduler,
    SYS_setdomainname, SYS_setgid, SYS_sethostname, SYS_setns, SYS_setpriority, SYS_setresuid,
    SYS_settimeofday, SYS_setuid, SYS_swapoff, SYS_swapon, SYS_syslog, SYS_umount2, SYS_unshare,
    SYS_userfaultfd, SYS_vhangup,
};

use crate::Ids;
use crate::place::{Place, exec, sh};
use crate::probe::{Call, REFUSALS, perl};

crate::suite![
    no_namespace_can_be_made_or_entered,
    nothing_can_be_mounted,
    no_device_can_be_made,
    the_kernel_cannot_be_changed,
    the_machine_cannot_be_stopped,
    the_clock_cannot_be_set,
    no_key_can_be_kept_beyond_the_step,
    no_other_process_can_be_traced,
    no_program_can_be_put_into_the_kernel,
    no_file_can_be_opened_past_its_path,
    no_priority_can_be_taken,
    an_ordinary_user_cannot_become_another,
    files_of_the_kernel_give_nothing,
    no_working_directory_leads_outside,
    a_descriptor_of_the_host_cannot_be_named,
];

const USERS: [u32; 2] = [0, 1000];

const fn call(name: &'static str, number: libc::c_long, arguments: &'static str) -> Call {
    Call {
        name,
        number,
        arguments,
    }
}

/// Tries them all as root inside and as an ordinary user.
fn refused(place: &Place, calls: &[Call]) {
    for user in USERS {
        refused_for(place, user, calls);
    }
}

fn refused_for(place: &Place, user: u32, calls: &[Call]) {
    let mut spec = exec(&["perl", "-e", &perl(calls)]);
    spec.user = Some(user);
    let ran = place.run(&spec);
    let out = ran.out();
    for call in calls {
        let said = out
            .lines()
            .find_map(|line| line.strip_prefix(call.name)?.strip_prefix(' '))
            .unwrap_or_else(|| panic!("{} was not tried: {out} {}", call.name, ran.err()));
        let error: i32 = said.parse().unwrap_or_else(|_| panic!("{}: {said}", call.name));
        // Nobody else is in the namespace: there is no such user to become.
        let nobody =
            error == libc::EINVAL && place.answers().ids == Ids::Agent && call.name.starts_with("set");
        assert!(
            REFUSALS.contains(&error) || nobody,
            "{} as user {user} gave {error}, which is no refusal",
            call.name
        );
    }
}

fn no_namespace_can_be_made_or_entered(place: &Place) {
    refused(
        place,
        &[
            call("unshare-user", SYS_unshare, "0x10000000"),
            call("unshare-mount", SYS_unshare, "0x20000"),
            call("unshare-pid", SYS_unshare, "0x20000000"),
            call("unshare-net", SYS_unshare, "0x40000000"),
            call("unshare-uts", SYS_unshare, "0x4000000"),
            call("unshare-ipc", SYS_unshare, "0x8000000"),
            call("unshare-cgroup", SYS_unshare, "0x2000000"),
            call("unshare-time", SYS_unshare, "0x80"),
            call("clone-user", SYS_clone, "0x10000011, 0, 0, 0, 0"),
            call("clone-mount", SYS_clone, "0x20011, 0, 0, 0, 0"),
            call("clone3", SYS_clone3, "$z, 88"),
            call("setns", SYS_setns, "0, 0"),
        ],
    );
}

fn nothing_can_be_mounted(place: &Place) {
    refused(
        place,
        &[
            call("mount-tmpfs", SYS_mount, "'none', '/tmp', 'tmpfs', 0, 0"),
            call("mount-bind", SYS_mount, "'/proc', '/tmp', 0, 4096, 0"),
            call("mount-remount", SYS_mount, "'none', '/', 0, 4128, 0"),
            call("mount-cgroup", SYS_mount, "'none', '/tmp', 'cgroup', 0, 'rdma'"),
            call("umount", SYS_umount2, "'/proc', 2"),
            call("pivot-root", SYS_pivot_root, "'.', '.'"),
            call("chroot", SYS_chroot, "'/tmp'"),
            call("fsopen", SYS_fsopen, "'tmpfs', 0"),
            call("open-tree", SYS_open_tree, "-100, '/', 1"),
            call("move-mount", SYS_move_mount, "-100, '/proc', -100, '/tmp', 0"),
            call("mount-setattr", SYS_mount_setattr, "-100, '/', 0, $z, 32"),
            call("quotactl", SYS_quotactl, "0x800002 << 8, '/dev/root', 0, $z"),
        ],
    );
}

fn no_device_can_be_made(place: &Place) {
    refused(
        place,
        &[
            call("mknod-mem", SYS_mknodat, "-100, '/tmp/mem', 0x21b6, 0x101"),
            call("mknod-disk", SYS_mknodat, "-100, '/tmp/disk', 0x61b6, 0x800"),
            call("mknod-kmsg", SYS_mknodat, "-100, '/dev/shm/kmsg', 0x21b6, 0x10b"),
        ],
    );
    let out = place.sh(
        "for d in mem port kmsg sda vda nvme0n1 loop0 fuse net/tun kvm vhost-net mapper/control; do \
        (: < /dev/$d) 2>/dev/null && echo $d; done; true",
    );
    assert_eq!(out.out(), "");
}

fn the_kernel_cannot_be_changed(place: &Place) {
    refused(
        place,
        &[
            call("init-module", SYS_init_module, "$z, 256, ''"),
            call("finit-module", SYS_finit_module, "0, '', 0"),
            call("delete-module", SYS_delete_module, "'loop', 2048"),
            call("kexec-load", SYS_kexec_load, "0, 0, 0, 0"),
            call("kexec-file-load", SYS_kexec_file_load, "-1, -1, 0, 0, 8"),
            call("syslog", SYS_syslog, "3, $z, 256"),
            call("acct", SYS_acct, "'/tmp/acct'"),
            call("sethostname", SYS_sethostname, "'evil', 4"),
            call("setdomainname", SYS_setdomainname, "'evil', 4"),
        ],
    );
}

fn the_machine_cannot_be_stopped(place: &Place) {
    // With the one command that would change nothing: CAD_OFF.
    refused(
        place,
        &[
            call("reboot", SYS_reboot, "0xfee1dead, 672274793, 0, 0"),
            call("swapon", SYS_swapon, "'/tmp/swap', 0"),
            call("swapoff", SYS_swapoff, "'/tmp/swap'"),
            call("vhangup", SYS_vhangup, ""),
        ],
    );
}

fn the_clock_cannot_be_set(place: &Place) {
    // To what it is: a success would do no harm either.
    refused(
        place,
        &[
            call("clock-settime", SYS_clock_settime, "0, pack('qq', time, 0)"),
            call("settimeofday", SYS_settimeofday, "pack('qq', time, 0), 0"),
            call("adjtimex", SYS_adjtimex, "pack('L', 0x4000) . $z"),
        ],
    );
}

fn no_key_can_be_kept_beyond_the_step(place: &Place) {
    refused(
        place,
        &[
            call("add-key", SYS_add_key, "'user', 'evil', 'x', 1, -3"),
            call("request-key", SYS_request_key, "'user', 'evil', 0, -3"),
            call("keyctl-session", SYS_keyctl, "0, -3, 1"),
            call("keyctl-join", SYS_keyctl, "1, 0"),
        ],
    );
}

fn no_other_process_can_be_traced(place: &Place) {
    refused(
        place,
        &[
            call("ptrace-attach", SYS_ptrace, "16, 1, 0, 0"),
            call("ptrace-seize", SYS_ptrace, "0x4206, 1, 0, 0"),
            call(
                "vm-read",
                SYS_process_vm_readv,
                "1, pack('JJ', 4096, 8), 1, pack('JJ', 4096, 8), 1, 0",
            ),
            call(
                "vm-write",
                SYS_process_vm_writev,
                "1, pack('JJ', 4096, 8), 1, pack('JJ', 4096, 8), 1, 0",
            ),
        ],
    );
    for user in USERS {
        let mut spec = sh("for f in environ mem maps root cwd exe fd/0 ns/mnt; do \
            head -c 1 /proc/1/$f 2>/dev/null | grep -q . && echo $f; readlink /proc/1/$f; done; true");
        spec.user = Some(user);
        let out = place.run(&spec).out();
        assert_eq!(out, "", "of its first process, as user {user}");
    }
}

fn no_program_can_be_put_into_the_kernel(place: &Place) {
    refused(
        place,
        &[
            call("bpf-map", SYS_bpf, "0, pack('LLLL', 1, 4, 4, 1) . $z, 72"),
            call("bpf-prog", SYS_bpf, "5, $z, 72"),
            call(
                "perf",
                SYS_perf_event_open,
                "pack('LL', 1, 112) . $z, 0, -1, -1, 0",
            ),
            call("userfaultfd", SYS_userfaultfd, "0"),
            call("fanotify", SYS_fanotify_init, "4, 0"),
        ],
    );
}

fn no_file_can_be_opened_past_its_path(place: &Place) {
    // The way out of the first containers (shocker.c): a file of the host by its handle.
    refused(
        place,
        &[call(
            "open-by-handle",
            SYS_open_by_handle_at,
            "0, pack('LlL', 8, 1, 2) . $z, 0",
        )],
    );
}

fn no_priority_can_be_taken(place: &Place) {
    refused(
        place,
        &[
            call("setpriority", SYS_setpriority, "0, 0, -20"),
            call("realtime", SYS_sched_setscheduler, "0, 1, pack('l', 50)"),
        ],
    );
}

fn an_ordinary_user_cannot_become_another(place: &Place) {
    refused_for(
        place,
        1000,
        &[
            call("setuid", SYS_setuid, "0"),
            call("setgid", SYS_setgid, "0"),
            call("setresuid", SYS_setresuid, "0, 0, 0"),
        ],
    );
}

/// Every kernel has these; a probe of what is not there proves nothing.
const READ: &[&str] = &["/proc/1/mem", "/proc/1/environ", "/proc/kmsg"];
const WRITTEN: &[&str] = &[
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/fs/suid_dumpable",
    "/proc/1/oom_score_adj",
    "/proc/self/uid_map",
    "/proc/self/setgroups",
];
/// Kernels are built with and without these.
const READ_WHERE_THERE: &[&str] = &[
    "/proc/kcore",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/dev/mem",
    "/dev/port",
    "/dev/kmsg",
    "/sys/firmware/acpi/tables/DSDT",
    "/sys/kernel/debug/sched/debug",
    "/sys/kernel/tracing/trace",
];
const WRITTEN_WHERE_THERE: &[&str] = &[
    "/proc/sys/kernel/modprobe",
    "/proc/sysrq-trigger",
    "/proc/1/attr/current",
    "/sys/kernel/uevent_helper",
];

/// Those that this host has, in words for a shell.
fn probed(always: &[&'static str], where_there: &[&'static str]) -> String {
    let there = |path: &&&str| std::fs::symlink_metadata(path).is_ok();
    let missing: Vec<_> = always.iter().filter(|path| !there(path)).collect();
    assert!(missing.is_empty(), "this host has no {missing:?}");
    let more = where_there.iter().filter(there);
    always.iter().chain(more).copied().collect::<Vec<_>>().join(" ")
}

fn files_of_the_kernel_give_nothing(place: &Place) {
    let script = format!(
        "for f in {}; do head -c 1 $f 2>/dev/null | grep -q . && echo read $f; done; \
        for f in {}; do (echo '|/tmp/evil' > $f) 2>/dev/null && echo wrote $f; done; \
        find / -xdev -name release_agent -o -xdev -name devices.allow 2>/dev/null | while read f; do (echo a > $f) 2>/dev/null && echo wrote $f; done; true",
        probed(READ, READ_WHERE_THERE),
        probed(WRITTEN, WRITTEN_WHERE_THERE),
    );
    for user in USERS {
        let mut spec = sh(&script);
        spec.user = Some(user);
        assert_eq!(place.run(&spec).out(), "", "user {user}");
    }
}

/// CVE-2024-21626: a working directory that is a descriptor which the runtime forgot to close.
fn no_working_directory_leads_outside(place: &Place) {
    for number in 3..12 {
        let mut spec = sh("ls -d ../../../../etc/shadow; cat ../../../etc/shadow; pwd");
        spec.workdir = Some(format!("/proc/self/fd/{number}"));
        spec.user = Some(0);
        let ran = place.run(&spec);
        let record = &ran.record;
        assert!(
            record.start_error.is_some(),
            "descriptor {number} was a directory: {} {record:?}",
            ran.out()
        );
    }
}

fn a_descriptor_of_the_host_cannot_be_named(place: &Place) {
    let script = "for p in /proc/[0-9]*; do for f in $p/fd/*; do t=$(readlink $f) || continue; \
        case $t in pipe:*|socket:*|/dev/null|/proc/*|/|/dev/pts/*) ;; *) echo $f $t;; esac; done; done; true";
    for user in USERS {
        let mut spec = sh(script);
        spec.user = Some(user);
        assert_eq!(place.run(&spec).out(), "", "user {user}");
    }
}
