//! What a step finds around it.

use types::HostView;

use crate::Ids;
use crate::place::{Place, sh};

crate::suite![
    the_working_directory_is_as_asked,
    the_user_is_as_asked,
    the_hostname_is_not_the_hosts,
    every_namespace_is_the_steps_own,
    the_root_is_read_only,
    tmp_and_shared_memory_can_be_written_by_everybody,
    neighbours_share_no_files,
    devices_are_the_harmless_ones,
    the_harmless_devices_work,
    proc_hides_what_tells_of_the_host,
    proc_cannot_be_written,
    sys_steers_nothing,
    secrets_of_the_host_are_not_readable,
    setuid_programs_gain_nothing,
    the_hosts_processes_are_seen_only_when_granted,
    the_view_of_the_hosts_processes_is_read_only,
    the_view_of_sys_is_read_only,
    the_mask_of_new_files_is_common,
];

fn the_working_directory_is_as_asked(place: &Place) {
    assert_eq!(
        place.sh("pwd; touch here && echo written").out(),
        "/tmp\nwritten\n"
    );
    let mut spec = sh("pwd; pwd -P");
    spec.workdir = Some("/usr/bin".to_owned());
    assert_eq!(place.run(&spec).out(), "/usr/bin\n/usr/bin\n");
}

fn the_user_is_as_asked(place: &Place) {
    for (user, expected) in [
        (None, 1000),
        (Some(0), 0),
        (Some(4242), 4242),
        (Some(65_534), 65_534),
    ] {
        let mut spec = sh("id -u; id -g; id -G; touch /tmp/mine && stat -c '%u %g' /tmp/mine");
        spec.user = user;
        let ran = place.run(&spec);
        assert_eq!(
            ran.out(),
            format!("{expected}\n{expected}\n{expected}\n{expected} {expected}\n"),
            "{}",
            ran.err()
        );
    }
}

fn the_hostname_is_not_the_hosts(place: &Place) {
    let name = place.sh("cat /proc/sys/kernel/hostname").out();
    assert_eq!(name, "step\n", "the same on every host");
    let ran = place.sh("hostname evil 2>/dev/null && echo changed; true");
    assert_eq!(ran.out(), "");
}

fn every_namespace_is_the_steps_own(place: &Place) {
    let mut kinds = vec!["pid", "mnt", "ipc", "uts", "net"];
    if place.answers().cgroup_namespace {
        kinds.push("cgroup");
    }
    if place.answers().ids != Ids::Same {
        kinds.push("user");
    }
    let out = place
        .sh("for n in pid mnt ipc uts net cgroup user; do readlink /proc/self/ns/$n; done")
        .out();
    for kind in kinds {
        let line = out.lines().find(|line| line.starts_with(kind)).expect(kind);
        let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(own.to_string_lossy(), line, "{kind} is shared with the host");
    }
    let groups = place.sh("cut -d: -f3 /proc/self/cgroup | sort -u").out();
    let begins = groups == "/\n";
    assert_eq!(
        begins,
        place.answers().cgroup_namespace,
        "where it begins at the step: {groups}"
    );
}

fn the_root_is_read_only(place: &Place) {
    let script = "for d in / /etc /usr /usr/bin /var /home /opt /run /bin /host /sys /mnt /srv /root; do
        if touch $d/x 2>/dev/null; then echo wrote $d; fi; done; true";
    for user in [0, 1000] {
        let mut spec = sh(script);
        spec.user = Some(user);
        assert_eq!(place.run(&spec).out(), "", "user {user}");
    }
    let out = place
        .sh("awk '$2 == \"/\" { print $4 }' /proc/mounts | tail -1 | cut -d, -f1")
        .out();
    assert_eq!(out, "ro\n");
}

fn tmp_and_shared_memory_can_be_written_by_everybody(place: &Place) {
    for user in [0, 1, 1000, 65_534] {
        let mut spec = sh("for d in /tmp /dev/shm; do echo x > $d/x && cat $d/x && stat -c %a $d; done");
        spec.user = Some(user);
        let ran = place.run(&spec);
        assert_eq!(ran.out(), "x\n1777\nx\n1777\n", "user {user}: {}", ran.err());
    }
    // No device and no setuid there.
    let out = place
        .sh("awk '$2 == \"/tmp\" || $2 == \"/dev/shm\" { print $2, $4 }' /proc/mounts")
        .out();
    for line in out.lines() {
        assert!(line.contains("nosuid") && line.contains("nodev"), "{out}");
    }
    assert_eq!(out.lines().count(), 2, "{out}");
}

fn neighbours_share_no_files(place: &Place) {
    let first = place.start(&sh(
        "echo secret > /tmp/note; echo secret > /dev/shm/note; echo up; sleep 600",
    ));
    first.says("up");
    assert_eq!(place.sh("find /tmp /dev/shm -type f").out(), "");
    place.stop(&first);
    place.wait(&first);
    assert_eq!(
        place.sh("find /tmp /dev/shm -type f").out(),
        "",
        "and nothing stays for the next"
    );
}

fn devices_are_the_harmless_ones(place: &Place) {
    let allowed = [
        "full", "null", "ptmx", "random", "tty", "urandom", "zero", "console",
    ];
    let ran = place.sh(
        "for d in /dev/* /dev/*/*; do [ -h $d ] || { [ -c $d -o -b $d ] && echo ${d#/dev/}; }; done; true",
    );
    let out = ran.out();
    for device in out.lines().filter(|device| !device.starts_with("pts/")) {
        assert!(allowed.contains(&device), "{device}");
    }
    for device in ["null", "zero", "full", "random", "urandom"] {
        assert!(
            out.lines().any(|line| line == device),
            "no {device}: {out} {}",
            ran.err()
        );
    }
}

fn the_harmless_devices_work(place: &Place) {
    let script = "echo x > /dev/null && cat /dev/null && head -c 4 /dev/zero | od -An -tx1 | tr -d ' '; \
        head -c 4 /dev/urandom | wc -c; head -c 4 /dev/random | wc -c; echo x 2>/dev/null > /dev/full || echo full; \
        echo via > /dev/stdout; echo err > /dev/stderr; cat < /dev/stdin";
    let ran = place.sh(script);
    assert_eq!(
        ran.out().replace(' ', ""),
        "00000000\n4\n4\nfull\nvia\n",
        "{}",
        ran.err()
    );
    assert!(ran.err().contains("err\n"), "{}", ran.err());
}

fn proc_hides_what_tells_of_the_host(place: &Place) {
    let script = "for f in kcore keys timer_list sched_debug latency_stats timer_stats kmsg kallsyms_; do \
        head -c 1 /proc/$f 2>/dev/null | grep -q . && echo $f; done; \
        for d in acpi scsi asound; do ls /proc/$d 2>/dev/null | grep . ; done; true";
    for user in [0, 1000] {
        let mut spec = sh(script);
        spec.user = Some(user);
        assert_eq!(place.run(&spec).out(), "", "user {user}");
    }
}

fn proc_cannot_be_written(place: &Place) {
    let script = "for f in sys/kernel/core_pattern sys/kernel/modprobe sys/kernel/hostname sys/vm/drop_caches sys/vm/overcommit_memory \
        sys/fs/binfmt_misc/register sys/kernel/randomize_va_space sysrq-trigger irq/default_smp_affinity bus/pci/00/00.0 fs/xfs/stat \
        mtrr sys/net/ipv4/ip_forward sys/kernel/yama/ptrace_scope; do \
        (echo 0 > /proc/$f) 2>/dev/null && echo wrote $f; done; true";
    for user in [0, 1000] {
        let mut spec = sh(script);
        spec.user = Some(user);
        assert_eq!(place.run(&spec).out(), "", "user {user}");
    }
}

/// Absent, or read-only with what matters masked.
fn sys_steers_nothing(place: &Place) {
    let script = "for f in kernel/uevent_helper kernel/mm/ksm/run power/state class/net/lo/mtu module/kernel/parameters/panic fs/cgroup/release_agent; do \
        (echo 0 > /sys/$f) 2>/dev/null && echo wrote $f; done; \
        for h in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $h/evil 2>/dev/null && echo made $h; done; \
        ls /sys/firmware /sys/kernel/debug /sys/kernel/security 2>/dev/null | grep -v ':$' | grep .; true";
    for user in [0, 1000] {
        let mut spec = sh(script);
        spec.user = Some(user);
        assert_eq!(place.run(&spec).out(), "", "user {user}");
    }
}

fn secrets_of_the_host_are_not_readable(place: &Place) {
    // The host's own content, not an image's file of the same name.
    let shadow = std::fs::read_to_string("/etc/shadow").unwrap_or_default();
    let mut spec = sh(
        "cat /etc/shadow /etc/gshadow /etc/sudoers /etc/ssh/*key 2>/dev/null; ls -A /root /home /host 2>/dev/null; \
        cat /host/proc/1/environ 2>/dev/null; true",
    );
    spec.user = Some(0);
    let out = place.run(&spec).out();
    for line in shadow.lines().filter(|line| line.contains(":$")) {
        assert!(!out.contains(line), "a line of the host's shadow");
    }
    assert!(!out.contains("PRIVATE KEY") && !out.contains("HOME="), "{out}");
}

fn setuid_programs_gain_nothing(place: &Place) {
    let script = "cp /bin/sh /tmp/sh 2>/dev/null; chmod 4755 /tmp/sh; /tmp/sh -p -c 'id -u' 2>/dev/null; \
        su -c 'id -u' </dev/null 2>/dev/null; mount -t tmpfs none /tmp 2>/dev/null && echo mounted; \
        newgrp root </dev/null 2>/dev/null; id -u";
    let ran = place.sh(script);
    assert!(
        ran.out().lines().all(|line| line == "1000"),
        "{} {}",
        ran.out(),
        ran.err()
    );
}

fn the_hosts_processes_are_seen_only_when_granted(place: &Place) {
    let me = std::process::id();
    assert_eq!(
        place
            .sh("ls -A /host/proc /host/sys 2>/dev/null | grep -v '^/host' | grep .; true")
            .out(),
        ""
    );
    let mut spec = sh(&format!(
        "cat /host/proc/{me}/comm > /dev/null && echo seen; grep -c . /host/proc/loadavg; ls /proc | grep -c '^{me}$'; \
         ls /host/sys 2>/dev/null | grep ."
    ));
    spec.host_view = [HostView::Proc].into();
    for user in [0, 1000] {
        spec.id = crate::place::unique();
        spec.user = Some(user);
        let ran = place.run(&spec);
        assert_eq!(ran.out(), "seen\n1\n0\n", "{}", ran.err());
    }
}

fn the_view_of_the_hosts_processes_is_read_only(place: &Place) {
    let me = std::process::id();
    let mut spec = sh(&format!(
        "(echo 1 > /host/proc/sys/vm/drop_caches) 2>/dev/null && echo wrote; (echo x > /host/proc/{me}/comm) 2>/dev/null && echo wrote; \
         (echo 900 > /host/proc/{me}/oom_score_adj) 2>/dev/null && echo wrote; (echo b > /host/proc/sysrq-trigger) 2>/dev/null && echo wrote; \
         cat /host/proc/1/environ 2>/dev/null | grep -q . && echo environ; ls /host/proc/1/root 2>/dev/null | grep -q . && echo root; \
         ls -l /host/proc/{me}/fd 2>/dev/null | grep -q -e '->' && echo fd; head -c 1 /host/proc/{me}/mem 2>/dev/null | grep -q . && echo mem; \
         kill -9 {me} 2>/dev/null && echo killed; true"
    ));
    spec.host_view = [HostView::Proc].into();
    for user in [0, 1000] {
        spec.id = crate::place::unique();
        spec.user = Some(user);
        assert_eq!(place.run(&spec).out(), "", "user {user}");
    }
}

fn the_view_of_sys_is_read_only(place: &Place) {
    let mut spec = sh(
        "ls /host/sys/kernel | grep -c . ; find /host/sys/fs/cgroup -name cgroup.procs | wc -l; \
        find /host/sys/fs/cgroup -maxdepth 2 -type d | while read d; do mkdir $d/evil 2>/dev/null && echo wrote $d; done; \
        for f in $(find /host/sys/fs/cgroup -maxdepth 3 -name cgroup.procs); do (echo $$ > $f) 2>/dev/null && echo wrote $f; done; \
        (echo x > /host/sys/kernel/uevent_helper) 2>/dev/null && echo wrote; true",
    );
    spec.host_view = [HostView::Sys].into();
    if let Some(why) = place.runtime().refuses(&spec) {
        assert!(why.contains("/sys") && why.contains("root"), "{why}");
        return;
    }
    for user in [0, 1000] {
        spec.id = crate::place::unique();
        spec.user = Some(user);
        let ran = place.run(&spec);
        let out = ran.out();
        let numbers: Vec<u32> = out
            .lines()
            .map(|line| line.trim().parse().unwrap_or_else(|_| panic!("{line}")))
            .collect();
        assert!(
            numbers.len() == 2 && numbers[0] > 3 && numbers[1] > 1,
            "the host's cgroups are seen: {out} {}",
            ran.err()
        );
    }
}

fn the_mask_of_new_files_is_common(place: &Place) {
    assert_eq!(place.sh("umask").out(), "0022\n");
}
