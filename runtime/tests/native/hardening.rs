//! The hardening as the step itself sees it.

use crate::support::{Place, exec, sh};

fn status_field<'a>(status: &'a str, name: &str) -> &'a str {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
        .unwrap_or_default()
}

#[test]
fn capabilities_filter_and_ids_are_in_force() {
    let place = Place::new();
    for user in [None, Some(0), Some(65_534)] {
        let mut spec = sh("cat /proc/self/status; cat /proc/self/uid_map");
        spec.user = user;
        let ran = place.run(&spec);
        let status = ran.out();
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(status_field(&status, set), "0000000000000000", "{set} {status}");
        }
        assert_eq!(status_field(&status, "NoNewPrivs"), "1");
        assert_eq!(status_field(&status, "Seccomp"), "2");
        assert_eq!(status_field(&status, "Seccomp_filters"), "2");
        let uid = user.unwrap_or(1000).to_string();
        assert_eq!(status_field(&status, "Uid"), [uid.as_str(); 4].join("\t"));
        assert_eq!(status_field(&status, "Groups"), "");
        let map: Vec<&str> = status.lines().last().unwrap().split_whitespace().collect();
        assert_eq!((map[0], map[2]), ("0", "65536"));
        assert!(
            map[1].parse::<u32>().unwrap() >= 1_879_048_192,
            "never a real user of the host: {map:?}"
        );
        let record = ran.record.hardening.unwrap();
        assert_eq!((record.no_new_privs, record.seccomp), (true, 2));
        assert_eq!(
            (
                record.cap_effective.as_str(),
                record.host_uid_base.to_string().as_str()
            ),
            ("0000000000000000", map[1])
        );
        assert_eq!(record.memory_limit_bytes, Some(256 * 1024 * 1024));
    }
}

#[test]
fn steps_at_once_never_share_a_host_user() {
    let place = Place::new();
    let handles: Vec<_> = (0..4)
        .map(|_| place.start(&sh("cat /proc/self/uid_map; sleep 1")))
        .collect();
    let mut bases: Vec<u32> = handles
        .iter()
        .map(|handle| {
            crate::support::finished(crate::support::wait(handle))
                .hardening
                .unwrap()
                .host_uid_base
        })
        .collect();
    bases.sort_unstable();
    bases.dedup();
    assert_eq!(bases.len(), 4);
}

#[test]
fn the_root_and_the_system_are_read_only() {
    let place = Place::new();
    let script = "for d in / /etc /usr /usr/bin /var /home /opt /run /bin /host /sys; do
        if touch $d/x 2>/dev/null; then echo wrote $d; fi; done
        touch /tmp/x && touch /dev/shm/x && echo tmp";
    for user in [Some(0), Some(1000)] {
        let mut spec = sh(script);
        spec.user = user;
        assert_eq!(place.run(&spec).out(), "tmp\n");
    }
}

#[test]
fn secrets_of_the_host_are_not_readable() {
    let place = Place::new();
    let mut spec = sh(
        "cat /etc/shadow; cat /etc/gshadow; ls /root /home /etc/ssh /etc/sudoers; ls /var/lib; cat /host/proc/1/environ",
    );
    spec.user = Some(0);
    let ran = place.run(&spec);
    assert_eq!(
        ran.out().trim_matches(['\n', ':']).replace(['\n', ':'], ""),
        "/home/root",
        "{} {}",
        ran.out(),
        ran.err()
    );
    let ran = place.sh("cat /etc/passwd");
    assert!(
        ran.out().contains("step:x:1000:1000") && ran.out().lines().count() == 3,
        "synthetic: {}",
        ran.out()
    );
}

#[test]
fn the_attempts_own_directory_is_out_of_reach() {
    let place = Place::new();
    let mut spec =
        sh("ls /proc/1/root /proc/1/fd /proc/1/cwd; cat /proc/1/environ; cat /proc/1/mem; ls /run");
    spec.user = Some(0);
    let ran = place.run(&spec);
    assert_eq!(ran.out(), "firehall\n", "{}", ran.err());
}

#[test]
fn only_the_three_standard_descriptors_are_open() {
    let place = Place::new();
    let out = place.run(&exec(&["ls", "/proc/self/fd"])).out();
    // 3 is the directory that ls itself reads.
    assert_eq!(out, "0\n1\n2\n3\n");
}

#[test]
fn what_escapes_are_made_of_is_refused() {
    let place = Place::new();
    let script = "unshare -U true 2>/dev/null && echo userns
        unshare -m true 2>/dev/null && echo mountns
        mount -t tmpfs none /tmp 2>/dev/null && echo mount
        mknod /tmp/d c 1 1 2>/dev/null && echo mknod
        chroot / true 2>/dev/null && echo chroot
        nsenter -t 1 -m true 2>/dev/null && echo setns
        echo x > /proc/sys/kernel/core_pattern 2>/dev/null && echo core_pattern
        echo x > /proc/sysrq-trigger 2>/dev/null && echo sysrq
        head -c1 /proc/kcore 2>/dev/null | grep -q . && echo kcore
        head -c1 /dev/mem 2>/dev/null | grep -q . && echo mem
        dmesg 2>/dev/null | grep -q . && echo dmesg
        ls /proc/scsi /proc/acpi 2>/dev/null | grep -q '^[a-z]' && echo masked
        hostname evil 2>/dev/null && echo hostname
        kill -9 1; sleep 0.1; echo alive";
    for user in [Some(0), Some(1000)] {
        let mut spec = sh(script);
        spec.user = user;
        let ran = place.run(&spec);
        let out: Vec<String> = ran
            .out()
            .lines()
            .filter(|line| !line.starts_with('/'))
            .map(str::to_owned)
            .collect();
        assert_eq!(out, ["alive"], "{}", ran.err());
    }
}

#[test]
fn threads_and_child_processes_still_work() {
    let place = Place::new();
    // sort starts threads; clone3 answers ENOSYS and libc must fall back.
    let ran = place.sh("seq 200000 | sort --parallel=4 -rn | head -1; ls / | wc -l | grep -q . && echo ok");
    assert_eq!(ran.out(), "200000\nok\n", "{}", ran.err());
}
