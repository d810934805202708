//! Large runs and long logs: what a page holds and fetches stays bounded.

use e2e::{Stack, browser::passes, stack::PATIENCE, wait};
use serde_json::json;

/// Chains of a hundred steps, side by side.
fn chains(steps: usize) -> String {
    let mut text = String::from("name: large\nsteps:\n");
    for n in 0..steps {
        let needs = if n % 100 == 0 {
            String::new()
        } else {
            format!(", needs: s{:05}", n - 1)
        };
        text.push_str(&format!(
            "  s{n:05}: {{ image: host, run: 'true', pickup: 1h{needs} }}\n"
        ));
    }
    text
}

#[test]
fn ten_thousand_steps_stay_smooth() {
    let stack = Stack::server();
    let definition = stack.file("large.yaml", &chains(10_000));
    passes(&stack, "large_run", &json!({ "definition": definition }));
    followed_on_a_terminal(&stack, &definition);
}

/// `run FILE --watch` gets such a run from its first event to its end.
fn followed_on_a_terminal(stack: &Stack, definition: &str) {
    let live = || {
        let runs = stack.json(&["runs", "--live", "-o", "json"])?;
        Some(runs.as_array()?.first()?["id"].as_str()?.to_owned())
    };
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| stack.cli(&["run", definition, "--watch", "--timeout", "2m"]));
        let run = wait::until("the run to be there", PATIENCE, live);
        assert!(stack.cli(&["cancel", &run]).status.success());
        let watched = watching.join().expect("the command ends");
        let said = String::from_utf8_lossy(&watched.stdout);
        assert_eq!(watched.status.code(), Some(1), "{said}");
        assert!(said.contains("s09999") && said.contains("cancelled"), "{said}");
    });
}

#[test]
fn a_hundred_thousand_lines_stay_smooth() {
    let stack = Stack::with_agent();
    let definition = "name: long\nsteps:\n  prints:\n    image: host\n    run: seq 1 100000 | sed 's/^/line /; s/77777$/77777 needle/'\n";
    let run = stack.start(definition, &[]);
    assert_eq!(stack.finished(&run)["outcome"], "succeeded");
    wait::until("the whole log to be there", PATIENCE, || {
        let log = stack.logs(&run, "prints");
        log.ends_with(b"line 100000\n").then_some(())
    });
    passes(&stack, "long_log", &json!({ "run": run }));
}
