//! What steps leave, as people meet it: kept, taken by a later step, listed and got; and what is said when the bytes are gone.

use std::path::Path;

use e2e::{Stack, process, wait};
use serde_json::Value;

const KEEPS: &str = r"
name: keeps
steps:
  dump:
    image: host
    run: |
      printf 'heap\n' > /tmp/heap
      mkdir /tmp/logs && echo one > /tmp/logs/one
    artifacts:
      heap: { path: /tmp/heap, media-type: text/plain }
      logs: /tmp/logs
      core: { path: /tmp/core, if-missing: ignore }
  look:
    image: host
    files:
      /data/heap: { artifact: dump.heap }
      /data/logs.tar: { artifact: dump.logs }
    run: cat /data/heap; tar -xOf /data/logs.tar logs/one 2>/dev/null || tar -xOf /data/logs.tar one
";

fn kept(stack: &Stack) -> String {
    let run = stack.start(KEEPS, &[]);
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    run
}

fn list(stack: &Stack, run: &str) -> Vec<Value> {
    let listed = stack.json(&["artifacts", run, "-o", "json"]).unwrap();
    listed.as_array().unwrap().clone()
}

/// Gets the heap into a file of this name; what was said when it cannot be had.
fn get(stack: &Stack, run: &str, name: &str) -> Result<Vec<u8>, String> {
    let to = stack.dir().join(name);
    let output = stack.cli(&[
        "artifacts",
        "get",
        run,
        "dump",
        "heap",
        "-o",
        &to.display().to_string(),
    ]);
    if output.status.success() {
        return Ok(std::fs::read(to).unwrap());
    }
    assert!(!to.exists(), "nothing is left of it");
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn what_a_step_leaves_goes_to_a_later_step_and_to_people() {
    let stack = Stack::with_agent();
    let run = kept(&stack);
    assert_eq!(stack.logs(&run, "look"), b"heap\none\n");

    let listed = list(&stack, &run);
    let names: Vec<&str> = listed.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["heap", "logs"]);
    assert_eq!(
        (&listed[0]["bytes"], &listed[0]["media_type"]),
        (&5.into(), &"text/plain".into())
    );
    assert_eq!(listed[1]["media_type"], "application/x-tar");
    let table = String::from_utf8(stack.cli(&["artifacts", &run]).stdout).unwrap();
    assert!(
        table.contains("dump") && table.contains(listed[0]["sha256"].as_str().unwrap()),
        "{table}"
    );

    assert_eq!(get(&stack, &run, "heap").unwrap(), b"heap\n");
    let again = get_again(&stack, &run);
    assert!(again.contains("is there already"), "{again}");
    // Without a name it is called as it is, here; a directory is a tar archive.
    let here = stack.dir().join("here");
    std::fs::create_dir(&here).unwrap();
    let output = process::finish(
        process::firehall()
            .env("FIREHALL_SERVER", stack.url())
            .current_dir(&here)
            .args(["artifacts", "get", &run, "dump", "logs"]),
    );
    assert!(output.status.success(), "{output:?}");
    let left: Vec<_> = std::fs::read_dir(&here)
        .unwrap()
        .flatten()
        .map(|one| one.file_name())
        .collect();
    assert_eq!(left, ["logs.tar"]);
    let none = stack.cli(&["artifacts", "get", &run, "dump", "core"]);
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(
        !none.status.success() && said.contains("it left heap, logs"),
        "{said}"
    );
}

fn get_again(stack: &Stack, run: &str) -> String {
    let to = stack.dir().join("heap").display().to_string();
    let output = stack.cli(&["artifacts", "get", run, "dump", "heap", "-o", &to]);
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_restored_server_says_which_bytes_it_does_not_have_until_they_are_put_back() {
    let mut stack = Stack::with_agent();
    let run = kept(&stack);
    let (data, backup) = (stack.dir().join("server"), stack.dir().join("backup"));
    let path = |path: &Path| path.display().to_string();
    let made = stack.cli(&["backup", "--data-dir", &path(&data), &path(&backup)]);
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(
        made.status.success() && said.contains("artifacts of steps are not in it"),
        "{said}"
    );
    assert!(!backup.join("artifacts").exists());

    stack.server_process().kill9();
    let lost = stack.dir().join("lost");
    std::fs::rename(&data, &lost).unwrap();
    assert!(
        stack
            .cli(&["restore", "--data-dir", &path(&data), &path(&backup)])
            .status
            .success()
    );
    stack.start_server();
    assert_eq!(list(&stack, &run).len(), 2, "the history tells what there was");
    let said = get(&stack, &run, "missing").unwrap_err();
    assert!(
        said.contains("does not have its bytes") && said.contains("put the copy of that store back"),
        "{said}"
    );
    copy(&lost.join("artifacts"), &data.join("artifacts"));
    assert_eq!(get(&stack, &run, "back").unwrap(), b"heap\n");
}

#[test]
fn bytes_beyond_the_operators_bounds_go_and_what_the_history_says_stays() {
    let mut stack = Stack::server_with(&["--artifacts-max-bytes", "7B"], &[]);
    stack.agent("one", &[], &[]);
    let run = kept(&stack);
    assert_eq!(get(&stack, &run, "before").unwrap(), b"heap\n", "not at once");
    stack.server_process().kill9();
    stack.start_server();
    // The tar archive of a directory has more than that.
    let listed = wait::until("what is too much to go", e2e::stack::PATIENCE, || {
        let listed = list(&stack, &run);
        listed
            .iter()
            .all(|one| !one["removed_at"].is_null())
            .then_some(listed)
    });
    assert!(
        listed
            .iter()
            .all(|one| one["sha256"].as_str().unwrap().len() == 64),
        "{listed:#?}"
    );
    let output = stack.cli(&["artifacts", "get", &run, "dump", "logs"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("were removed") && said.contains("--artifacts-max-bytes"),
        "{said}"
    );
    let table = String::from_utf8(stack.cli(&["artifacts", &run]).stdout).unwrap();
    assert!(table.contains("(removed "), "{table}");
    // A run that takes it over is told so, too, and does not hang.
    let again = stack
        .json(&["rerun", &run, "--from", "look", "-o", "json"])
        .unwrap();
    let view = stack.finished(again["id"].as_str().unwrap());
    assert_eq!(view["outcome"], "failed", "{view:#}");
    assert!(view["reasons"].to_string().contains("were removed"), "{view:#}");
}
