#![allow(clippy::unwrap_used, reason = "tests")]
//! The binary from outside: exit codes, what goes to which stream, and lifetimes.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

fn firehall(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firehall"));
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = firehall(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A listening child and its URL; killed when dropped.
struct Listening(Child, String);

impl Listening {
    fn start(args: &[&str]) -> Self {
        let mut child = firehall(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line:?}"))
            .to_owned();
        Self(child, url)
    }

    fn ends_within(&mut self, seconds: u64) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn server(dir: &Path) -> Listening {
    let data = dir.join("data").display().to_string();
    Listening::start(&[
        "server",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &data,
        "--until-stdin-closes",
    ])
}

#[test]
fn no_server_is_exit_code_4_with_a_way_out() {
    // The discard port: nothing listens there.
    for command in [
        vec!["runs"],
        vec!["agents"],
        vec!["watch", "run_x"],
        vec!["logs", "run_x"],
    ] {
        let args = [&command[..], &["--server", "http://127.0.0.1:9"]].concat();
        let (code, out, err) = run(&args);
        assert_eq!((code, out.as_str()), (4, ""), "{args:?}: {err}");
        assert!(
            err.contains("http://127.0.0.1:9") && err.contains("firehall dev"),
            "{err}"
        );
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let wrong = [
        vec![],
        vec!["frobnicate"],
        vec!["run"],
        vec!["shim"],
        vec!["resolve", "r", "s", "--as", "maybe"],
    ];
    for args in wrong {
        let (code, out, _) = run(&args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
    }
    assert_eq!(run(&["runs", "--server", "https://x"]).0, 2);
    assert_eq!(run(&["run", "/nonexistent.yaml"]).0, 2);
    assert_eq!(run(&["--version"]).0, 0);
}

#[test]
fn a_server_refuses_to_listen_beyond_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data").display().to_string();
    let (code, out, err) = run(&["server", "--listen", "0.0.0.0:0", "--data-dir", &data]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("--insecure"), "{err}");
}

#[test]
fn check_tells_wrong_from_right() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs_err::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = file(
        "good.yaml",
        "name: w\nsteps:\n  a:\n    image: host\n    run: echo hi\n",
    );
    let wrong = file(
        "wrong.yaml",
        "name: w\nsteps:\n  a:\n    image: host\n    runn: echo hi\n",
    );
    let (code, out, err) = run(&["check", &good]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, _) = run(&["check", &good, &wrong]);
    assert_eq!(code, 2);
    assert!(
        out.contains("wrong.yaml") && out.contains("runn") && out.contains(":5:"),
        "{out}"
    );
    // A link to nowhere in a folder is a file that cannot be read, not one that is left out.
    let folder = dir.path().join("folder");
    fs_err::create_dir(&folder).unwrap();
    fs_err::copy(&good, folder.join("good.yaml")).unwrap();
    let folder = folder.display().to_string();
    assert_eq!(run(&["check", &folder]).0, 0);
    std::os::unix::fs::symlink("/nonexistent", format!("{folder}/gone.yaml")).unwrap();
    let (code, out, _) = run(&["check", &folder]);
    assert!(code == 2 && out.contains("gone.yaml: 1 error"), "{out}");
    let (code, out, _) = run(&["check", "-o", "json", &wrong]);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &answer["diagnostics"][0]["code"]),
        (2, &"FH0201".into()),
        "{answer}"
    );
}

#[test]
fn the_sources_template_is_printed_alone() {
    let (code, out, err) = run(&["sources", "datadog", "--template"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
}

#[test]
fn a_child_ends_with_its_parents_pipe() {
    let mut emulator = Listening::start(&["emulator", "slack", "--until-stdin-closes"]);
    assert_eq!(emulator.0.try_wait().unwrap(), None);
    drop(emulator.0.stdin.take());
    assert_eq!(emulator.ends_within(10), Some(0));
}

#[test]
fn a_server_answers_commands_and_stops_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = server(dir.path());
    let url = server.1.clone();
    let (code, out, err) = run(&["runs", "-o", "json", "--server", &url]);
    assert_eq!((code, out.trim()), (0, "[]"), "{err}");
    assert_eq!(run(&["show", "run_nonsense", "--server", &url]).0, 2);
    assert_eq!(
        run(&["show", "run_01jx0000000000000000000000", "--server", &url]).0,
        1
    );
    let (code, _, err) = run(&["run", "no-such-workflow", "--server", &url]);
    assert_eq!(code, 1, "{err}");
    let wrong = dir.path().join("wrong.yaml");
    fs_err::write(&wrong, "name: w\nsteps: 7\n").unwrap();
    let (code, out, err) = run(&["run", &wrong.display().to_string(), "--server", &url]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("wrong.yaml:2:"), "{err}");
    drop(server.0.stdin.take());
    assert_eq!(server.ends_within(15), Some(0));
}

#[test]
fn put_keeps_a_shipped_runbook_with_other_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let put = |more: &[&str]| run(&[&["put", "incident-response", "--server", &server.1], more].concat());
    let (code, out, err) = put(&[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("incident-response "), "{out}");
    assert!(put(&[]).1.contains("there already"));
    let (code, _, err) = put(&["--default", r#"responders=["a@b.c"]"#]);
    assert_eq!(code, 0, "{err}");
    let (_, source, _) = run(&["workflows", "incident-response", "--server", &server.1]);
    assert!(source.contains(r#"default: ["a@b.c"]"#), "{source}");
    for wrong in ["responders=x", "nobody=1", "privacy=secret"] {
        assert_eq!(put(&["--default", wrong]).0, 2, "{wrong}");
    }
}
