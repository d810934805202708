//! The command line against a server: exit codes, lists with filters, what is said when a server goes away or is silent.

use std::{
    net::TcpListener,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use e2e::{Stack, process, wait};
use serde_json::Value;

fn workflow(name: &str, run: &str) -> String {
    format!("name: {name}\nsteps:\n  s:\n    image: host\n    run: {run}\n")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Starts a command, does something once it has printed its first line, and waits for its end.
fn meanwhile(stack: &Stack, args: &[&str], act: impl FnOnce(u32)) -> Output {
    use std::io::{BufRead, BufReader, Read};
    let mut child = process::firehall()
        .args(args)
        .env("FIREHALL_SERVER", stack.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    act(child.id());
    let status = wait::until("the command to end", Duration::from_secs(40), || {
        child.try_wait().unwrap()
    });
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    let mut stderr = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output {
        status,
        stdout: [first.into_bytes(), rest].concat(),
        stderr,
    }
}

#[test]
fn the_exit_code_of_what_is_followed_is_the_runs_outcome() {
    let stack = Stack::with_agent();
    for (run, code) in [
        ("echo fine", 0),
        ("exit 7", 1),
        ("echo half >> \"$FIREHALL_DEGRADED\"", 3),
    ] {
        let file = stack.file("w.yaml", &workflow("w", run));
        let ended = stack.cli(&["run", &file, "--watch"]);
        assert_eq!(ended.status.code(), Some(code), "{run}: {ended:?}");
        assert!(!ended.stdout.contains(&0x1b), "no control sequence in a pipe");
        let id = stack.json(&["runs", "-n", "1", "-o", "json"]).unwrap()[0]["id"].clone();
        let again = stack.cli(&["watch", id.as_str().unwrap()]);
        assert_eq!(
            (again.status.code(), &again.stdout),
            (Some(code), &ended.stdout),
            "{run}"
        );
        if code != 0 {
            let again = stack.cli(&["rerun", id.as_str().unwrap(), "--watch"]);
            assert_eq!(again.status.code(), Some(code), "{run}: {again:?}");
        }
    }
    let run = stack.start(&workflow("w", "sleep 60"), &[]);
    assert!(stack.cli(&["cancel", &run]).status.success());
    assert_eq!(stack.cli(&["watch", &run]).status.code(), Some(1), "cancelled");
}

#[test]
fn ctrl_c_ends_the_command_and_not_the_run() {
    let stack = Stack::with_agent();
    let file = stack.file("w.yaml", &workflow("w", "sleep 60"));
    for args in [
        &["run", &file, "--watch"][..],
        &["runs", "--watch"],
        &["events", "--from-start"],
    ] {
        let ended = meanwhile(&stack, args, |pid| process::signal(pid, libc::SIGINT));
        assert_eq!(ended.status.code(), Some(130), "{args:?}: {ended:?}");
    }
    let runs = stack.json(&["runs", "--live", "-o", "json"]).unwrap();
    let run = runs[0]["id"].as_str().unwrap();
    let ended = meanwhile(&stack, &["watch", run], |pid| process::signal(pid, libc::SIGINT));
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(
        said.contains(&format!("{run} goes on")) && said.contains(&format!("firehall watch {run}")),
        "{said}"
    );
    assert_eq!(stack.show(run)["outcome"], Value::Null);
    assert!(stack.cli(&["cancel", run]).status.success());
}

#[test]
fn a_server_that_goes_away_is_waited_for_as_long_as_was_said() {
    let mut stack = Stack::with_agent();
    let run = stack.start(&workflow("w", "sleep 60"), &[]);
    let server = stack.server_process().pid();
    let args = ["watch", &run, "--away-timeout", "1s"];
    let ended = meanwhile(&stack, &args, |_| process::signal(server, libc::SIGKILL));
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(4), "{said}");
    for part in ["given up after 1s", &stack.url(), &format!("{run} goes on")] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    stack.server_process().kill9();
    stack.start_server();
    assert!(stack.cli(&["cancel", &run]).status.success());
}

#[test]
fn a_server_that_is_silent_is_not_waited_for_longer_than_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    for command in [
        &["runs"][..],
        &["show", "run_x"],
        &["agents"],
        &["workflows"],
        &["cancel", "run_x"],
    ] {
        let began = Instant::now();
        let args = [command, &["--server", &url, "--timeout", "500ms"]].concat();
        let ended = process::run(args);
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(4), "{command:?}: {said}");
        assert!(
            said.contains("no answer within 500ms") && said.contains(&url),
            "{command:?}: {said}"
        );
        assert!(began.elapsed() < Duration::from_secs(10), "{command:?}");
    }
}

#[test]
fn runs_are_listed_by_what_is_asked_for() {
    let stack = Stack::with_agent();
    let mut runs = Vec::new();
    for (name, run) in [("good", "echo"), ("bad", "exit 1"), ("good", "echo")] {
        let run = stack.start(&workflow(name, run), &[]);
        let view = stack.finished(&run);
        runs.push(view["id"].as_str().unwrap().to_owned());
    }
    let ids = |args: &[&str]| -> Vec<String> {
        let listed = stack.json(&[&["runs", "-o", "json"], args].concat()).unwrap();
        let listed = listed.as_array().unwrap().iter();
        listed.map(|run| run["id"].as_str().unwrap().to_owned()).collect()
    };
    let newest_first: Vec<String> = runs.iter().rev().cloned().collect();
    assert_eq!(ids(&[]), newest_first);
    assert_eq!(ids(&["--outcome", "failed"]), [runs[1].clone()]);
    assert_eq!(ids(&["--outcome", "failed,succeeded"]), newest_first);
    assert_eq!(ids(&["--workflow", "good"]), [runs[2].clone(), runs[0].clone()]);
    assert_eq!(ids(&["--since", "1h"]), newest_first);
    assert_eq!(ids(&["--until", "1h"]), Vec::<String>::new());
    assert_eq!(ids(&["--live"]), Vec::<String>::new());
    assert_eq!(ids(&["-n", "1", "--all"]), newest_first);
    // A page, and the next one by the token that was named.
    let first = stack.cli(&["runs", "-n", "2", "-o", "json"]);
    let said = text(&first.stderr);
    let token = said.split("--page ").nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(ids(&["-n", "2", "--page", token]), [runs[0].clone()]);
    let row = text(&stack.cli(&["runs", "-n", "1"]).stdout);
    assert!(
        row.starts_with("RUN") && row.contains(&runs[2]) && row.contains("succeeded"),
        "{row}"
    );
    let wrong = stack.cli(&["runs", "--incident", "nonsense"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}
