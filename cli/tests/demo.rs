#![allow(clippy::unwrap_used, reason = "tests")]
//! `firehall demo` as a person runs it, in a pipe. It needs what the native runtime needs: Linux and root.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Runs the demo to its end, at most a minute: exit code, standard output, standard error.
fn demo(tmp: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    demo_while(tmp, args, |_| {})
}

/// The same, with something done while it runs, which gets its pid and must end by itself.
fn demo_while(tmp: &Path, args: &[&str], meanwhile: impl FnOnce(u32)) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firehall"));
    command
        .arg("demo")
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .env("TMPDIR", tmp)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (pid, (tx, rx)) = (child.id(), std::sync::mpsc::sync_channel(1));
    std::thread::spawn(move || drop(tx.send(child.wait_with_output())));
    meanwhile(pid);
    let Ok(output) = rx.recv_timeout(Duration::from_secs(60)) else {
        Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap();
        panic!("the demo did not end within a minute");
    };
    let output = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// No process of ours, and no file, is left.
fn nothing_is_left(tmp: &Path) {
    let left: Vec<_> = fs_err::read_dir(tmp)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let mark = tmp.display().to_string();
    for entry in fs_err::read_dir("/proc").unwrap().flatten() {
        let line = fs_err::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        assert!(!line.contains(&mark), "still running: {line}");
    }
}

#[test]
fn it_goes_from_the_alert_to_the_summary_and_leaves_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let (code, out, err) = demo(tmp.path(), &[]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert_eq!(
        out.lines().last(),
        Some("degraded: 1 of 4 responders is not in the directory"),
        "{out}"
    );
    let note = out.find("the sample's hosts are this machine: two agents carry their labels");
    assert!(note.unwrap() < out.find("the war room").unwrap(), "{out}");
    // The room, by what only a responder's view has.
    assert!(
        out.contains("## High error rate on checkout servers") && out.contains("[pinned]"),
        "{out}"
    );
    for host in ["checkout-01", "checkout-02", "checkout-03"] {
        // Alone or with others in one line, as many as land together.
        assert!(
            out.contains(&format!("· {host}.company.com ·")),
            "no finding of {host}:\n{out}"
        );
        for step in ["host-checks", "reachability"] {
            let ended = format!("({host}.company.com) succeeded");
            assert!(
                out.lines()
                    .any(|line| line.contains(step) && line.contains(&ended)),
                "{step} {host}:\n{out}"
            );
        }
    }
    for agent in ["demo-east", "demo-west"] {
        assert!(
            out.contains(&format!("runs on {agent}")),
            "{agent} ran nothing:\n{out}"
        );
    }
    assert!(!out.contains('\u{1b}'), "a pipe gets no escape sequence");
    nothing_is_left(tmp.path());
}

#[test]
fn another_payload_changes_title_hosts_and_findings_and_is_not_called_expected() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let payload = dir.path().join("alert.json");
    let alert = serde_json::json!({
        "id": "OTHER-7", "title": "evil \u{1b}]0;x\u{7} <!channel> $(touch pwned) \u{202e}", "severity": "high",
        "alerts": [{"host": "db-9.example.net"}, {"host": "no such; host"}],
    });
    fs_err::write(&payload, alert.to_string()).unwrap();
    let (code, out, err) = demo(tmp.path(), &["--payload", &payload.display().to_string()]);
    assert_eq!(code, Some(1), "{out}\n{err}");
    assert!(
        out.contains("evil") && out.contains("<!channel> $(touch pwned)"),
        "{out}"
    );
    assert!(
        out.contains("· db-9.example.net ·") && !out.contains("checkout-01"),
        "{out}"
    );
    assert!(
        !out.chars()
            .any(|c| c == '\u{1b}' || c == '\u{7}' || c == '\u{202e}'),
        "{out:?}"
    );
    assert!(err.contains("did not go as it should"), "{err}");
    nothing_is_left(tmp.path());
}

/// The demo's children that are agents; none when it is gone.
fn agents_of(demo: u32) -> Vec<u32> {
    let threads = fs_err::read_dir(format!("/proc/{demo}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let children: Vec<u32> = threads
        .filter_map(|thread| fs_err::read_to_string(thread.path().join("children")).ok())
        .flat_map(|pids| {
            pids.split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    let is_agent = |pid: &u32| {
        let line = fs_err::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("\0agent\0--server\0")
    };
    children.into_iter().filter(is_agent).collect()
}

/// Kills both agents as soon as they appear; the time until then is bounded.
fn kill_the_agents(demo: u32) {
    let (mut killed, until) = (BTreeSet::new(), Instant::now() + Duration::from_secs(30));
    while killed.len() < 2 && Instant::now() < until && Path::new(&format!("/proc/{demo}")).exists() {
        for agent in agents_of(demo) {
            if killed.insert(agent) {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(agent).unwrap());
                // The demo may have ended it already: it leaves when the other is gone.
                match nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL) {
                    Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // The demo may notice the first one's end and leave before the second is seen.
    assert!(!killed.is_empty(), "no agent was seen");
}

#[test]
fn without_its_agents_it_fails_and_says_so() {
    let tmp = tempfile::tempdir().unwrap();
    let (code, out, err) = demo_while(tmp.path(), &[], kill_the_agents);
    assert_eq!(code, Some(1), "{out}\n{err}");
    let said = ["demo-east", "demo-west"].map(|agent| format!("{agent} ended while the demo began"));
    assert!(said.iter().any(|said| err.contains(said)), "{out}\n{err}");
    assert!(!out.contains("webhook -> staffed"), "nothing was staffed: {out}");
    nothing_is_left(tmp.path());
}

#[test]
fn what_is_no_alert_starts_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let payload = dir.path().join("alert.json");
    fs_err::write(&payload, "{").unwrap();
    let (code, out, err) = demo(tmp.path(), &["--payload", &payload.display().to_string()]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("no alert"), "{err}");
    nothing_is_left(tmp.path());
}
