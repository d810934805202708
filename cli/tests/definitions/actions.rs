//! Actions of a team's own, as the command line reads their folders.

use serde_json::Value;

use crate::{answer, folder};

const ACTION: &str = "description: Says a word.\ninputs:\n  word: string\noutputs:\n  said: string\nimage: host\ncommand: [python3, -c]\nmain: main.py\n";
const WORKFLOW: &str = "name: w\nsteps:\n  a:\n    uses: ./actions/say\n    with: { word: hello }\n";

fn project(workflow: &str, action: &str) -> tempfile::TempDir {
    folder(&[
        ("w.yaml", workflow.as_bytes()),
        ("actions/say/action.yaml", action.as_bytes()),
        ("actions/say/main.py", b"print(1)\n"),
        ("secret.txt", b"hunter2"),
    ])
}

#[test]
fn check_reads_the_folder_once_and_shows_each_file_under_its_own_name() {
    let place = project(WORKFLOW, ACTION);
    let (code, out, _) = answer(place.path(), &["check", "."]);
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(
        out,
        "actions/say/action.yaml: ok, an action with 1 input\nw.yaml: ok, w with 1 step\n2 files: 2 ok, 0 wrong with 0 errors\n"
    );
    let place = project(WORKFLOW, &ACTION.replace("word: string", "word: text"));
    let (code, out, _) = answer(place.path(), &["check", "w.yaml"]);
    assert_eq!(code, Some(2), "{out}");
    for part in [
        "w.yaml: an action that it uses is wrong",
        "--> actions/say/action.yaml:3:9",
        "did you mean `string`?",
        "2 files: 0 ok, 2 wrong with 1 error",
    ] {
        assert!(out.contains(part), "{part} is in:\n{out}");
    }
}

#[test]
fn only_a_file_of_its_own_folder_comes_along() {
    for main in ["../../secret.txt", "/etc/passwd", "..", "sub/x.py", "absent.py"] {
        let place = project(
            WORKFLOW,
            &ACTION.replace("main: main.py", &format!("main: {main}")),
        );
        let (code, out, _) = answer(place.path(), &["check", "w.yaml"]);
        assert_eq!(code, Some(2), "{main}: {out}");
        assert!(
            out.contains("the action `./actions/say` cannot be read:"),
            "{main}: {out}"
        );
        assert!(
            !out.contains("hunter2") && !out.contains("root:"),
            "{main}: {out}"
        );
        let (code, _, said) = answer(place.path(), &["plan", "w.yaml"]);
        assert_eq!(code, Some(2), "{main}");
        assert!(
            said.contains("the action ./actions/say cannot be read:"),
            "{main}: {said}"
        );
    }
}

#[test]
fn its_folder_is_described_as_a_built_in_one_is() {
    let place = project(WORKFLOW, ACTION);
    let (_, table, _) = answer(place.path(), &["actions"]);
    assert!(
        table.contains("./actions/say") && table.contains("Says a word."),
        "{table}"
    );
    let (code, out, _) = answer(place.path(), &["actions", "./actions/say", "-o", "json"]);
    assert_eq!(code, Some(0), "{out}");
    let one: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(one["params"][0]["name"], "word");
    assert_eq!(one["outputs"][0]["trust"], "untrusted");
    // Its example is one that compiles where the folder is.
    let example = place.path().join("example.yaml");
    fs_err::write(&example, one["example"].as_str().unwrap()).unwrap();
    let (code, out, _) = answer(place.path(), &["check", "example.yaml"]);
    assert_eq!(code, Some(0), "{out}");
    let (code, _, said) = answer(place.path(), &["actions", "./actions/nothing"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("there is no actions/nothing/action.yaml"), "{said}");
}

#[test]
fn the_graph_names_the_action_and_its_digest() {
    let place = project(WORKFLOW, ACTION);
    let (code, out, _) = answer(place.path(), &["compile", "w.yaml"]);
    assert_eq!(code, Some(0), "{out}");
    let graph: Value = serde_json::from_str(&out).unwrap();
    let found = graph.to_string();
    assert!(
        found.contains("\"uses\":\"./actions/say\"") && found.contains("\"digest\":\""),
        "{found}"
    );
    let (code, _, said) = answer(place.path(), &["compile", "actions/say/action.yaml"]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("it is an action; a workflow uses it by its folder"),
        "{said}"
    );
}
