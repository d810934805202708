//! What is quick costs the server one commit: its start is told with its end.

use std::fmt::Write as _;

use e2e::{Stack, scene::history};
use serde_json::{Value, json};

const STEPS: usize = 8;

#[test]
fn the_start_of_what_is_quick_is_stored_with_its_end() {
    let stack = Stack::with_agent();
    // Whoever told a start at once would have told it so long before the end.
    stack.arm("exit.post", "every sleep 8");
    let mut definition = "name: quick\non: { alert: {} }\nsteps:\n".to_owned();
    for n in 1..=STEPS {
        let needs = if n > 1 {
            format!("    needs: s{}\n", n - 1)
        } else {
            String::new()
        };
        writeln!(
            definition,
            "  s{n}:\n{needs}    uses: incident/parse\n    with: {{ alert: \"${{{{ trigger.alert }}}}\" }}"
        )
        .unwrap();
    }
    let alert = json!({"id": "al-1", "title": "down", "severity": "critical", "source": "test"});
    let alert = stack.file("alert.json", &alert.to_string());
    let run = stack.start(&definition, &["--payload", &alert]);
    assert_eq!(stack.finished(&run)["outcome"], "succeeded", "{}", stack.said());
    let history = history(&stack, &run);
    let at = |kind: &str, step: &str| -> Value {
        let of = |event: &&Value| event["kind"] == kind && event["body"]["step"] == step;
        history
            .iter()
            .find(of)
            .unwrap_or_else(|| panic!("no {kind} of {step}: {history:#?}"))["at"]
            .clone()
    };
    let together = (1..=STEPS).map(|n| format!("s{n}")).filter(|step| {
        let (started, finished) = (at("attempt.started", step), at("attempt.finished", step));
        assert!(
            started.is_string() && finished.is_string(),
            "{started} {finished}"
        );
        started == finished
    });
    // A step that took longer than a start is kept back, on a busy machine, is told twice.
    assert!(together.count() > 0, "{history:#?}");
}
