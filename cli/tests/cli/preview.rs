//! What is said before anything is done: `plan`, `actions`, `sources test`.

use serde_json::{Value, json};

use crate::home::Home;

fn run(home: &Home, args: &[&str]) -> (i32, String, String) {
    let ended = home.run(args, &[]);
    (ended.code, ended.out, ended.err)
}

const DISK: &str = "\
name: disk
on:
  alert:
    when: alert.severity == \"critical\"
inputs:
  room: { type: string }
steps:
  check:
    foreach: ${{ trigger.alert.hosts }}
    runs-on: { host: \"${{ agent_host(each.value) }}\" }
    image: host
    env: { ROOM: \"${{ inputs.room }}\" }
    run: df
";

const ALERT: &str = r#"{"title": "Disk \u001b[31mfull", "severity": "critical", "id": "A-1", "hosts": ["web-1", "no host"],
    "colour": "red"}"#;

#[test]
fn a_plan_says_what_is_known_and_what_is_not() {
    let home = Home::new();
    let (file, alert) = (home.file("disk.yaml", DISK), home.file("alert.json", ALERT));
    let (code, out, err) = run(
        &home,
        &["plan", &file, "-i", "room=x", "--payload", &alert, "-o", "json"],
    );
    assert_eq!((code, err.as_str()), (0, ""));
    let seen: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(seen["triggers"]["starts"], true, "{seen:#}");
    assert_eq!(seen["triggers"]["alert"]["source"], "generic");
    let items = &seen["steps"][0]["fan_out"]["items"];
    assert_eq!(items[0]["runs_on"]["host"], json!({"value": "web-1"}));
    assert!(
        items[1]["refused"].as_str().unwrap().contains("FH07"),
        "{items:#}"
    );
    let (code, out, _) = run(&home, &["plan", &file, "--payload", &alert]);
    assert_eq!(code, 0);
    for said in [
        "this alert would start it",
        "web-1",
        "REFUSED",
        "a run is refused without it",
    ] {
        assert!(out.contains(said), "no {said:?} in\n{out}");
    }
    assert!(!out.contains('\u{1b}'), "{out:?}");
    let (code, out, _) = run(&home, &["plan", "incident-response"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("WRITES to slack") && out.contains("Known only at run time"),
        "{out}"
    );
}

#[test]
fn a_plan_of_what_is_wrong_says_so_as_check_does() {
    let home = Home::new();
    let wrong = home.file(
        "wrong.yaml",
        "name: w\nsteps:\n  a:\n    image: host\n    runn: x\n",
    );
    let (code, out, _) = run(&home, &["plan", &wrong]);
    assert_eq!(code, 2);
    assert!(out.contains("wrong.yaml:5:") && out.contains("runn"), "{out}");
    let (code, out, _) = run(&home, &["plan", &wrong, "-o", "json"]);
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &said["file"]), (2, &json!("HOME/wrong.yaml")));
    assert!(said["diagnostics"][0]["code"].is_string(), "{said}");
    // A warning is not counted among the errors.
    let both = home.file(
        "both.yaml",
        "name: w\nsteps:\n  a: { image: host, run: x, env: { X: \"{{ inputs.x }}\" }, runn: x }\n",
    );
    let plan = run(&home, &["plan", &both]);
    assert!(plan.1.ends_with("both.yaml: 1 error and 1 warning\n"), "{plan:?}");
    let compiled = run(&home, &["compile", &both]);
    assert!(
        compiled
            .2
            .ends_with("both.yaml is not compiled: 1 error and 1 warning\n"),
        "{compiled:?}"
    );
    let file = home.file("disk.yaml", DISK);
    for (args, said) in [
        (vec![&*file, "-i", "roon=x"], "did you mean \"room\"?"),
        (vec![&*file, "--payload", &wrong], "not JSON"),
        (vec!["nobody"], "--remote"),
        (vec!["/nonexistent.yaml"], "/nonexistent.yaml"),
    ] {
        let (code, out, err) = run(&home, &[&["plan"], &*args].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains(said), "{args:?}: {err}");
    }
    let (code, _, err) = run(
        &home,
        &["plan", "x", "--remote", "--server", "http://127.0.0.1:9"],
    );
    assert_eq!(code, 4, "{err}");
}

#[test]
fn an_action_is_described_in_full_and_a_near_miss_is_named() {
    let home = Home::new();
    let (code, out, _) = run(&home, &["actions", "slack/war-room"]);
    assert_eq!(code, 0);
    for said in [
        "privacy: string (default \"auto\"",
        "channels:manage or groups:write",
        "uses: slack/war-room",
    ] {
        assert!(out.contains(said), "no {said:?} in\n{out}");
    }
    let (code, out, err) = run(&home, &["actions", "slack/warroom"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("did you mean slack/war-room?"), "{err}");
    let (_, out, _) = run(&home, &["actions", "incident/parse", "-o", "json"]);
    let view: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&view["effect"], &view["params"][0]["required"]),
        (&json!("none"), &json!(true)),
        "{view:#}"
    );
    assert_eq!(
        view["types"]["incident"]["hosts"],
        json!({"type": "list<string>", "optional": false})
    );
}

#[test]
fn a_payload_is_taken_apart_and_one_that_is_none_is_refused() {
    let home = Home::new();
    let (alert, disk) = (home.file("alert.json", ALERT), home.file("disk.yaml", DISK));
    let (code, out, _) = run(
        &home,
        &["sources", "test", &alert, "--workflow", &disk, "-o", "json"],
    );
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["understood"]), (0, &json!(true)), "{answer:#}");
    assert_eq!(
        (&answer["source"], &answer["detected"]),
        (&json!("generic"), &json!(true))
    );
    assert_eq!(
        (&answer["unread"], &answer["grouping_key"]),
        (&json!(["colour"]), &json!("generic:A-1"))
    );
    assert_eq!(answer["workflows"][0]["starts"], true, "{answer:#}");
    let (code, out, _) = run(&home, &["sources", "test", &alert, "--source", "datadog"]);
    assert!(
        code == 0 && !out.contains('\u{1b}') && out.contains("datadog (as you say)"),
        "{out:?}"
    );
    for (body, reason) in [
        ("{\"receiver\": \"x\"}", "title: expected text"),
        ("[]", "the body: expected a JSON object"),
        ("", "the body is empty"),
    ] {
        let file = home.file("other.json", body);
        let (code, out, _) = run(&home, &["sources", "test", &file]);
        assert!(
            code == 2 && out.contains("REFUSED") && out.contains(reason),
            "{code} {out}"
        );
        let (_, out, _) = run(&home, &["sources", "test", &file, "-o", "json"]);
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert!(
            answer["refusal"]["reason"].as_str().unwrap().contains(reason),
            "{answer:#}"
        );
    }
    // As before there were subcommands.
    let (code, out, _) = run(&home, &["sources", "datadog", "--template"]);
    assert!(code == 0 && serde_json::from_str::<Value>(&out).is_ok(), "{out}");
    assert_eq!(run(&home, &["sources"]).0, 2);
}
