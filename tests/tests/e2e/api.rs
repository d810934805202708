//! The API from another language, which knows of it only what the server says of itself.

use std::process::{Command, Output};

use e2e::{Stack, process, python};
use serde_json::Value;

fn address(stack: &Stack) -> String {
    stack.url().trim_start_matches("http://").to_owned()
}

#[test]
fn a_program_in_python_makes_the_calls_by_reflection() {
    let stack = Stack::with_agent();
    let script = python::script("grpc_check.py");
    let ended = process::finish(
        Command::new(python::interpreter())
            .arg(script)
            .arg(address(&stack)),
    );
    assert!(
        ended.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[test]
fn the_lines_of_grpcurl_do_what_its_own_manual_says() {
    let stack = Stack::with_agent();
    let folder = tempfile::tempdir().unwrap();
    let program = python::grpcurl(folder.path()).unwrap();
    let address = address(&stack);
    let grpcurl = |args: &[&str]| process::finish(Command::new(&program).args(args));
    let call = |data: &str, method: &str| grpcurl(&["-plaintext", "-d", data, &address, method]);
    let out = |ended: &Output| String::from_utf8(ended.stdout.clone()).unwrap();
    let err = |ended: &Output| String::from_utf8(ended.stderr.clone()).unwrap();

    let listed = grpcurl(&["-plaintext", &address, "list"]);
    assert!(
        out(&listed).lines().any(|line| line == "firehall.v1.RunService"),
        "{}",
        err(&listed)
    );
    let described = grpcurl(&["-plaintext", &address, "describe", "firehall.v1.GetRunRequest"]);
    assert!(
        out(&described).contains("string run_id = 1;"),
        "{}",
        out(&described)
    );

    let started = call(
        r#"{"source": "name: hello\nsteps:\n  only:\n    image: host\n    run: echo hello\n"}"#,
        "firehall.v1.RunService/Start",
    );
    assert_eq!(started.status.code(), Some(0), "{}", err(&started));
    let started: Value = serde_json::from_slice(&started.stdout).unwrap();
    let run = format!("{{\"run_id\": {}}}", started["runId"]);
    let watched = call(&run, "firehall.v1.RunService/Watch");
    assert!(
        out(&watched).contains("\"kind\": \"run.ended\""),
        "{}",
        out(&watched)
    );
    let seen = call(&run, "firehall.v1.RunService.Get");
    let seen: Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(seen["outcome"], "OUTCOME_SUCCEEDED");

    // 64 and the code of the call; 1 for what never became a call; 2 for a wrong command line.
    let malformed = call(r#"{"run_id": "x"}"#, "firehall.v1.RunService/Get");
    assert_eq!(malformed.status.code(), Some(64 + 3));
    let said = err(&malformed);
    assert!(
        said.starts_with("ERROR:\n  Code: InvalidArgument\n  Message: run_id: "),
        "{said}"
    );
    assert!(said.contains("\"field\": \"run_id\""), "{said}");
    assert_eq!(
        call(r#"{"nope": 1}"#, "firehall.v1.RunService/Get").status.code(),
        Some(1)
    );
    assert_eq!(call("", "firehall.v1.Nobody/Get").status.code(), Some(1));
    assert_eq!(grpcurl(&["-nope"]).status.code(), Some(2));
    let endless = grpcurl(&[
        "-plaintext",
        "-max-time",
        "5",
        &address,
        "firehall.v1.EventService/Subscribe",
    ]);
    assert_eq!(endless.status.code(), Some(64 + 4), "{}", err(&endless));
}
