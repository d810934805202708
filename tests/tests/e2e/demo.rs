//! `cargo demo`, as a user runs it.

use std::process::Stdio;

use e2e::process;

#[test]
fn the_demo_ends_with_an_honest_line_and_exit_code_0() {
    let output = process::finish(process::firehall().arg("demo").stdin(Stdio::null()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(
        text.contains("degraded: 1 of 4 responders is not in the directory"),
        "{text}"
    );
    for wanted in [
        "parse-incident-event",
        "final-summary",
        "checkout-01.company.com",
        "jonas.weber",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
    assert!(!text.contains('\u{1b}'), "plain lines in a pipe");
}

#[test]
fn another_payload_makes_another_demo() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("other.json");
    let payload = r#"{"id":"DD-77","title":"Checkout latency is up","severity":"high","source":"datadog",
        "alerts":[{"host":"checkout-9.example.com","status":"ALERT"}],"tags":["service:checkout"]}"#;
    std::fs::write(&file, payload).unwrap();
    let output = process::finish(process::firehall().arg("demo").arg("--payload").arg(&file));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains("Checkout latency is up") && text.contains("checkout-9.example.com"),
        "{text}"
    );
    assert!(!text.contains("checkout-01.company.com"), "{text}");
}
