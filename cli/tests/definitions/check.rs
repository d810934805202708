//! `firehall check`.

use serde_json::Value;

use super::{GOOD, WRONG, answer, firehall, folder};

/// The objects of JSON Lines.
fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn codes(report: &Value) -> Vec<&str> {
    let diagnostics = report["diagnostics"].as_array().unwrap();
    diagnostics
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect()
}

#[test]
fn json_is_one_line_a_file_and_no_file_stops_the_others() {
    let folder = folder(&[
        ("good.yaml", GOOD.as_bytes()),
        ("wrong.yaml", WRONG.as_bytes()),
        ("latin.yaml", b"name: caf\xe9\nsteps: {}\n"),
        ("large.yaml", &vec![b'#'; types::limits::DEFINITION_BYTES + 1]),
    ]);
    let files = ["good.yaml", "god.yaml", "latin.yaml", "large.yaml", "wrong.yaml"];
    let mut args = vec!["check", "-o", "json"];
    args.extend(files);
    let (code, out, err) = answer(folder.path(), &args);
    assert_eq!((code, err.as_str()), (Some(2), ""));
    let reports = lines(&out);
    let names: Vec<&str> = reports
        .iter()
        .map(|report| report["file"].as_str().unwrap())
        .collect();
    assert_eq!(names, files);
    let codes: Vec<_> = reports.iter().map(codes).collect();
    assert_eq!(
        codes,
        [
            vec![],
            vec!["FH0111"],
            vec!["FH0112"],
            vec!["FH0101"],
            vec!["FH0201"]
        ]
    );
    assert_eq!(reports[1]["diagnostics"][0]["help"], "did you mean `good.yaml`?");
    let place = |report: &Value| {
        [
            &report["diagnostics"][0]["line"],
            &report["diagnostics"][0]["column"],
        ]
        .map(Value::as_u64)
    };
    assert_eq!(place(&reports[2]), [Some(1), Some(10)]);
    assert_eq!(place(&reports[4]), [Some(6), Some(5)]);
    let fields: Vec<&String> = reports[4]["diagnostics"][0].as_object().unwrap().keys().collect();
    let documented = [
        "code",
        "column",
        "end_column",
        "end_line",
        "fix",
        "help",
        "label",
        "labels",
        "line",
        "message",
        "severity",
    ];
    assert_eq!(fields, documented);
}

#[test]
fn right_files_exit_with_zero_and_wrong_ones_with_two() {
    let folder = folder(&[("good.yaml", GOOD.as_bytes()), ("wrong.yaml", WRONG.as_bytes())]);
    let (code, out, _) = answer(folder.path(), &["check", "good.yaml"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "good.yaml: ok, good with 1 step\n")
    );
    let (code, out, _) = answer(folder.path(), &["check", "wrong.yaml", "good.yaml", "wrong.yaml"]);
    assert_eq!(code, Some(2));
    let expected = "\
error[FH0201]: a step has no key `tiemout`
 --> wrong.yaml:6:5
  |
6 |     tiemout: 5s
  |     ^^^^^^^
  |
  = help: did you mean `timeout`?
help: write
  |
6 -     tiemout: 5s
6 +     timeout: 5s
  |

wrong.yaml: 1 error
good.yaml: ok, good with 1 step
2 files: 1 ok, 1 wrong with 1 error
`firehall explain FH0201` says more.
";
    assert_eq!(out, expected);
}

#[test]
fn a_dash_is_standard_input() {
    let folder = folder(&[]);
    for (text, code) in [(GOOD, 0), (WRONG, 2)] {
        let output = firehall(folder.path(), &["check", "-o", "json", "-"], text.as_bytes());
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(lines(&String::from_utf8(output.stdout).unwrap())[0]["file"], "-");
    }
    let output = firehall(folder.path(), &["check", "-"], WRONG.as_bytes());
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        out.contains("--> <stdin>:6:5") && out.contains("<stdin>: 1 error"),
        "{out}"
    );
}

#[test]
fn a_folder_stands_for_the_definitions_below_it() {
    let folder = folder(&[
        ("b/two.yml", GOOD.as_bytes()),
        (
            "b/c/three.json",
            br#"{"name": "j", "steps": {"a": {"image": "host", "run": "x"}}}"#,
        ),
        ("one.yaml", GOOD.as_bytes()),
        ("notes.md", b"not a definition"),
        (".hidden/x.yaml", b"]"),
        ("empty/readme.txt", b""),
    ]);
    std::os::unix::fs::symlink("..", folder.path().join("b/up")).unwrap();
    let (code, out, _) = answer(folder.path(), &["check", "."]);
    let expected = "\
b/c/three.json: ok, j with 1 step
b/two.yml: ok, good with 1 step
one.yaml: ok, good with 1 step
3 files: 3 ok, 0 wrong with 0 errors
";
    assert_eq!((code, out.as_str()), (Some(0), expected));
    let (code, out, _) = answer(folder.path(), &["check", "-o", "json", "empty", "one.yaml"]);
    let reports = lines(&out);
    assert_eq!((code, codes(&reports[0])), (Some(2), vec!["FH0111"]));
    assert!(codes(&reports[1]).is_empty());
}

#[test]
fn sarif_has_rules_places_and_fixes() {
    let folder = folder(&[
        ("good.yaml", GOOD.as_bytes()),
        ("a b/wrong.yaml", WRONG.as_bytes()),
    ]);
    let (code, out, _) = answer(
        folder.path(),
        &["check", "-o", "sarif", "good.yaml", "a b/wrong.yaml", "no.yaml"],
    );
    assert_eq!(code, Some(2));
    let sarif: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
    }
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b/wrong.yaml");
    assert_eq!(place["region"]["startLine"], 6);
    let change = &results[0]["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(change["insertedContent"]["text"], "timeout");
    assert_eq!(change["deletedRegion"]["endColumn"], 12);
    // Nothing found is a whole document too.
    let (code, out, _) = answer(folder.path(), &["check", "-o", "sarif", "good.yaml"]);
    let sarif: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, sarif["runs"][0]["results"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
}

#[test]
fn nothing_in_a_file_or_its_name_steers_a_terminal() {
    let name = "e\u{1b}[2J\u{202e}.yaml";
    let text =
        "name: t\nsteps:\n  \"x\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{2028}\": { imag\u{200b}e: 1 }\nz: 1\n";
    let folder = folder(&[(name, text.as_bytes())]);
    for output in ["text", "json", "sarif"] {
        let (code, out, err) = answer(folder.path(), &["check", "-o", output, name]);
        assert_eq!((code, err.as_str()), (Some(2), ""));
        let steering: Vec<char> = out
            .chars()
            .filter(|c| *c != '\n' && types::text::is_unsafe(*c))
            .collect();
        assert!(steering.is_empty(), "{output}: {steering:?}\n{out}");
        assert!(out.contains("owned"), "{out}");
    }
    let (_, out, _) = answer(folder.path(), &["check", "-o", "json", name]);
    assert_eq!(lines(&out)[0]["file"], name, "an escape means the same");
}

#[test]
fn a_warning_is_shown_and_fails_nothing() {
    let text = "name: w\ninputs: { x: string }\nsteps:\n  a: { image: host, env: { A: \"{{ inputs.x }}\" }, run: y }\n";
    let folder = folder(&[("w.yaml", text.as_bytes())]);
    let (code, out, _) = answer(folder.path(), &["check", "w.yaml"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.starts_with("warning[FH0409]") && out.contains("w.yaml: ok, w with 1 step; 1 warning"),
        "{out}"
    );
    let (code, out, _) = answer(folder.path(), &["check", "-o", "json", "w.yaml"]);
    let report = &lines(&out)[0]["diagnostics"][0];
    assert_eq!(
        (code, &report["severity"], &report["fix"]["replacement"]),
        (Some(0), &"warning".into(), &"${{".into())
    );
}
