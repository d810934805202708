//! What systemd is told by a unit of `Type=notify`.

use std::{
    os::unix::net::UnixDatagram,
    process::{Child, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::home::Home;

/// Longer than a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
struct Unit(Child);

impl Unit {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn notified(args: &[&str]) -> String {
    let home = Home::new();
    let socket = home.file("run/x", "").replace("/x", "/notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = home.firehall(args);
    command
        .env("NOTIFY_SOCKET", &socket)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut unit = Unit(command.spawn().unwrap());
    let mut heard = String::new();
    let mut hear = || {
        let mut bytes = [0; 4_096];
        let n = systemd.recv(&mut bytes).unwrap();
        heard.push_str(&String::from_utf8_lossy(&bytes[..n]));
    };
    hear();
    unit.signal(Signal::SIGTERM);
    hear();
    assert!(unit.0.wait().unwrap().success());
    heard
}

#[test]
fn a_server_says_when_it_listens_and_when_it_stops() {
    let heard = notified(&["server", "--listen", "127.0.0.1:0", "--data-dir", "d"]);
    let (ready, stopping) = heard.split_once("STOPPING=1").unwrap();
    assert!(
        ready.starts_with("READY=1\nSTATUS=listening on http://127.0.0.1:"),
        "{heard}"
    );
    assert_eq!(stopping.trim(), "");
}

#[test]
fn an_agent_is_ready_without_its_server() {
    // Its server may be down for long: that is no reason to start the unit again.
    let heard = notified(&[
        "agent",
        "--server",
        "http://127.0.0.1:9",
        "--data-dir",
        "d",
        "--name",
        "a",
    ]);
    assert!(heard.starts_with("READY=1\nSTATUS=agent a"), "{heard}");
    assert!(heard.contains("STOPPING=1"), "{heard}");
}
