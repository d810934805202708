//! Namespaces, network, the host's view, the working directory and the user.

use std::io::Write;
use std::net::TcpListener;

use runtime::{HostView, Network};

use crate::support::{Place, exec, sh};

#[test]
fn every_namespace_is_the_steps_own() {
    let place = Place::new();
    let ran = place.sh(
        "for n in user pid mnt ipc uts net cgroup; do readlink /proc/self/ns/$n; done; hostname; echo $$",
    );
    for line in ran.out().lines().take(7) {
        let kind = line.split(':').next().unwrap();
        let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(own.to_string_lossy(), line, "{kind} is shared");
    }
    assert!(ran.out().lines().nth(7) == Some("step"), "{}", ran.out());
    let pid: u32 = ran.out().lines().nth(8).unwrap().parse().unwrap();
    assert!(pid < 10, "{pid}");
    let ran = place.sh("cat /proc/self/cgroup | cut -d: -f3 | sort -u; ls -d /proc/[0-9]*");
    assert!(
        !ran.out().contains("firehall"),
        "the cgroup namespace begins at the step: {}",
        ran.out()
    );
}

#[test]
fn no_network_means_no_route_and_host_means_the_hosts() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let script = format!(
        "cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /etc/resolv.conf; bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3'"
    );
    let ran = place.sh(&script);
    assert_eq!(ran.out().trim(), "lo", "{}", ran.err());
    assert!(listener.accept().is_err(), "nothing came");
    assert_eq!(place.sh("tail -n +2 /proc/net/route").out(), "");

    listener.set_nonblocking(false).unwrap();
    let greet = std::thread::spawn(move || {
        listener
            .accept()
            .unwrap()
            .0
            .write_all(b"hello from the host")
            .unwrap()
    });
    let mut spec = sh(&script);
    spec.network = Network::Host;
    let ran = place.run(&spec);
    assert!(
        ran.out().contains("hello from the host"),
        "{} {}",
        ran.out(),
        ran.err()
    );
    greet.join().unwrap();
    let mut spec = sh("cat /etc/resolv.conf; readlink /proc/self/ns/net");
    spec.network = Network::Host;
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let resolv = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    assert_eq!(place.run(&spec).out(), format!("{resolv}{}\n", own.display()));
}

#[test]
fn the_view_of_the_hosts_processes_is_there_only_when_granted_and_read_only() {
    let place = Place::new();
    let me = std::process::id();
    assert_eq!(
        place.sh("ls /host/proc /host/sys").out(),
        "/host/proc:\n\n/host/sys:\n"
    );
    let mut spec = sh(&format!(
        "cat /host/proc/{me}/comm; cat /host/proc/loadavg | wc -l; \
         echo 1 > /host/proc/sys/vm/drop_caches || echo refused; echo x > /host/proc/{me}/comm || echo refused; \
         cat /host/proc/1/environ || echo hidden; ls /host/proc/1/root || echo hidden; ls /proc | grep -c '^{me}$'"
    ));
    for user in [Some(0), None] {
        spec.id = exec(&["x"]).id;
        spec.user = user;
        spec.host_view = [HostView::Proc].into();
        let ran = place.run(&spec);
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        let expected = format!("{comm}1\nrefused\nrefused\nhidden\nhidden\n0\n");
        // comm is the thread group's: the test binary's name.
        assert_eq!(
            ran.out().lines().skip(1).collect::<Vec<_>>(),
            expected.lines().skip(1).collect::<Vec<_>>(),
            "{}",
            ran.err()
        );
    }
}

#[test]
fn the_view_of_sys_is_read_only_with_the_hosts_cgroups() {
    let place = Place::new();
    let mut spec = sh(
        "ls /host/sys/kernel | grep -c . ; find /host/sys/fs/cgroup -name cgroup.procs | wc -l; \
        find /host/sys/fs/cgroup -type d | while read d; do mkdir $d/evil 2>/dev/null && echo wrote $d; \
        touch $d/evil 2>/dev/null && echo wrote $d; done; \
        for f in $(find /host/sys/fs/cgroup -name cgroup.procs); do echo $$ > $f && echo wrote $f; done; \
        touch /host/sys/kernel/x && echo wrote",
    );
    spec.host_view = [HostView::Sys].into();
    for user in [Some(0), None] {
        spec.id = exec(&["x"]).id;
        spec.user = user;
        let ran = place.run(&spec);
        let lines: Vec<String> = ran.out().lines().map(str::to_owned).collect();
        assert_eq!(
            lines.len(),
            2,
            "nothing could be written: {lines:?} {}",
            ran.err()
        );
        assert!(lines[0].parse::<u32>().unwrap() > 3, "{lines:?}");
        assert!(
            lines[1].parse::<u32>().unwrap() > 1,
            "the host's cgroups are seen: {lines:?} {}",
            ran.err()
        );
    }
}

#[test]
fn working_directory_and_user_are_as_asked() {
    let place = Place::new();
    assert_eq!(
        place.sh("pwd; id -u; id -g; id -G; id -un").out(),
        "/tmp\n1000\n1000\n1000\nstep\n"
    );
    let mut spec = sh("pwd; id -u; touch /tmp/mine && stat -c %u /tmp/mine; echo k=v > $FIREHALL_OUTPUT");
    spec.workdir = Some("/usr/bin".to_owned());
    spec.user = Some(4242);
    let ran = place.run(&spec);
    assert_eq!(ran.out(), "/usr/bin\n4242\n4242\n");
    assert_eq!(ran.dir.output().unwrap(), b"k=v\n");
}

#[test]
fn neighbours_share_nothing() {
    let place = Place::new();
    let first = place.start(&sh(
        "echo secret > /tmp/note; echo secret > /dev/shm/note; echo up; sleep 5",
    ));
    crate::support::until_says(first.dir(), "up");
    assert_eq!(place.sh("ls /tmp /dev/shm").out(), "/dev/shm:\n\n/tmp:\n");
    first.stop().unwrap();
    crate::support::wait(&first);
}

#[test]
fn a_spec_that_cannot_run_is_refused_by_its_field() {
    let place = Place::new();
    let broken: [(&str, fn(&mut runtime::ContainerSpec)); 8] = [
        ("id", |spec| spec.id = "../x".to_owned()),
        ("argv", |spec| spec.argv.clear()),
        ("argv", |spec| spec.argv.push("a\0b".to_owned())),
        ("env", |spec| spec.env.push(("A=B".to_owned(), String::new()))),
        ("workdir", |spec| spec.workdir = Some("relative".to_owned())),
        ("user", |spec| spec.user = Some(65_536)),
        ("memory_bytes", |spec| spec.memory_bytes = 1),
        ("network", |spec| spec.network = Network::Egress),
    ];
    for (field, brk) in broken {
        let mut spec = exec(&["true"]);
        brk(&mut spec);
        let error = place
            .native
            .start(&place.path("refused"), &spec, &Vec::new())
            .unwrap_err();
        assert!(error.to_string().contains(&format!("{field}: ")), "{error}");
        assert!(!place.path("refused").exists());
    }
}
