//! What is asked wrongly, and what is not there: a clear answer, never a success.

use e2e::Stack;

fn refused(stack: &Stack, definition: &str, args: &[&str]) -> String {
    let file = stack.file("wrong.yaml", definition);
    let output = stack.cli(&[&["run", &file], args].concat());
    assert_eq!(
        output.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const ONE: &str = "name: one\ninputs: { count: { type: int }, mode: { type: string, enum: [a, b], default: a } }\nsteps:\n  s:\n    image: host\n    run: \"true\"\n";

#[test]
fn wrong_inputs_are_named() {
    let stack = Stack::server();
    assert!(refused(&stack, ONE, &[]).contains("count"));
    assert!(refused(&stack, ONE, &["--input", "count=many"]).contains("count"));
    assert!(refused(&stack, ONE, &["--input", "count=1", "--input", "cuont=2"]).contains("cuont"));
    assert!(refused(&stack, ONE, &["--input", "count=1", "--input", "mode=c"]).contains("mode"));
    assert!(
        stack
            .json(&["runs", "-o", "json"])
            .unwrap()
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn wrong_definitions_are_shown_with_their_place() {
    let stack = Stack::server();
    let cycle = "name: c\nsteps:\n  a: { image: host, run: 'true', needs: b }\n  b: { image: host, run: 'true', needs: a }\n";
    let text = refused(&stack, cycle, &[]);
    assert!(
        text.contains("a -> b -> a") || text.contains("b -> a -> b"),
        "{text}"
    );
    let inject = "name: i\non: { alert: {} }\nsteps:\n  s:\n    image: host\n    run: echo ${{ trigger.alert.title }}\n";
    let text = refused(&stack, inject, &[]);
    assert!(text.contains("wrong.yaml") && text.contains("env"), "{text}");
    let check = stack.cli(&["check", &stack.file("wrong.yaml", inject)]);
    assert_eq!(check.status.code(), Some(2));
}

#[test]
fn without_an_agent_a_step_waits_and_then_says_why_not() {
    let stack = Stack::server();
    let run = stack.start(
        "name: w\nsteps:\n  s:\n    image: host\n    run: 'true'\n    pickup: 300ms\n",
        &[],
    );
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "failed");
    assert!(
        view["reasons"][0].as_str().unwrap().contains("no agent"),
        "{view:#}"
    );
}

#[test]
fn without_a_matching_label_the_reason_names_it() {
    let stack = Stack::with_agent();
    let run = stack.start(
        "name: w\nsteps:\n  s:\n    image: host\n    run: 'true'\n    pickup: 300ms\n    runs-on: { host: db-9 }\n",
        &[],
    );
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "failed");
    assert!(
        view["reasons"][0].as_str().unwrap().contains("host=db-9"),
        "{view:#}"
    );
}

#[test]
fn a_step_has_a_network_only_where_it_asks_for_one() {
    let stack = Stack::with_agent();
    // Beside `lo` there is one interface, and a way out.
    let out = r#"test $(grep -c ':' /proc/net/dev) -eq 2; awk '$2 == "00000000" { way = 1 } END { exit !way }' /proc/net/route"#;
    let none = "test $(grep -c ':' /proc/net/dev) -eq 1";
    let run = stack.start(
        &format!(
            "name: w\nsteps:\n  out:\n    image: host\n    network: egress\n    run: |\n      {out}\n  none:\n    image: host\n    run: |\n      {none}\n"
        ),
        &[],
    );
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
}

#[test]
fn what_no_agent_was_granted_is_not_placed_and_the_reason_names_the_flag() {
    let mut stack = Stack::server();
    stack.agent_granting("bare", "host-view:proc");
    let run = stack.start(
        "name: w\nsteps:\n  s:\n    image: host\n    run: 'true'\n    network: host\n    pickup: 300ms\n",
        &[],
    );
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "failed");
    assert!(
        view["reasons"][0]
            .as_str()
            .unwrap()
            .contains("--allow network:host"),
        "{view:#}"
    );
}

#[test]
fn another_image_than_host_is_refused_with_its_reason() {
    let stack = Stack::with_agent();
    let run = stack.start(
        "name: w\nsteps:\n  s:\n    image: alpine:3\n    run: 'true'\n    pickup: 2s\n",
        &[],
    );
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "failed");
    assert!(
        view["reasons"][0].as_str().unwrap().contains("alpine:3"),
        "{view:#}"
    );
}

#[test]
fn a_used_idempotency_key_replays_or_refuses() {
    let stack = Stack::server();
    let file = stack.file("one.yaml", ONE);
    let start = |count: &str| stack.cli(&["run", &file, "--input", count, "--idempotency-key", "k"]);
    let first = start("count=1");
    assert_eq!(first.stdout, start("count=1").stdout);
    let other = start("count=2");
    assert!(!other.status.success());
    assert_eq!(
        stack
            .json(&["runs", "-o", "json"])
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn unknown_and_malformed_runs_are_told_apart() {
    let stack = Stack::server();
    let unknown = stack.cli(&["show", "run_0123456789abcdefghjkmnpqrs"]);
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("no run"),
        "{unknown:?}"
    );
    let malformed = stack.cli(&["show", "nonsense"]);
    assert!(
        String::from_utf8_lossy(&malformed.stderr).contains("not a valid id"),
        "{malformed:?}"
    );
    assert!(!unknown.status.success() && !malformed.status.success());
}

#[test]
fn a_code_is_explained_and_an_unknown_one_is_refused() {
    let known = e2e::process::run(["explain", "fh0301"]);
    let text = String::from_utf8_lossy(&known.stdout).into_owned();
    assert!(
        known.status.success() && text.starts_with("FH0301: ") && text.len() > 40,
        "{text}"
    );
    let unknown = e2e::process::run(["explain", "FH0001"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("no diagnostic"),
        "{unknown:?}"
    );
}
