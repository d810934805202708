//! A timeout at the moment at which the step ends, and a result that waits beyond its lease.

use e2e::{
    Stack, Witness,
    ledger::{Ledger, Row},
    scene::{Judgement, Scene, Step, cleaned, history},
    stack::PATIENCE,
    wait,
};
use serde_json::Value;

/// Steps with a timeout of 1 s that take from 0.8 to 1.2 s by themselves: each has one end, which is the one or the other, and
/// nobody is told of a success or of an exit code where it was ended.
#[test]
fn a_timeout_as_the_step_ends_leaves_one_outcome() {
    let mut ledger = Ledger::new("a timeout of 1 s as the step ends by itself");
    let witness = Witness::start();
    let mut stack = Stack::server();
    stack.agent("one", &["--capacity", "16"], &[]);
    let steps = (0..16).map(|n| {
        let mut step = Step::short(&format!("s{n}"), &[]);
        (step.lines, step.pause_ms, step.code) = (1, 800 + n * 25, 7);
        step
    });
    let mut scene = Scene::of(steps.collect());
    scene.more = "timeout: 1s".to_owned();
    let run = scene.start(&mut stack, &witness, "timeouts", |_| ());
    let view = stack.finished(&run);
    let history = history(&stack, &run);
    let (mut by_itself, mut timed_out, mut longest) = (0, 0, 0);
    for step in &scene.steps {
        let ends: Vec<&Value> = history
            .iter()
            .filter(|event| event["kind"] == "attempt.finished" && event["body"]["step"] == step.key.as_str())
            .collect();
        let [end] = ends.as_slice() else {
            panic!("{}: {} ends\n{view:#}", step.key, ends.len())
        };
        let report = &end["body"]["report"];
        let key = &step.key;
        let starts = witness.count_prefix(&format!("start {run} {key} "));
        let kind = &report["failure"]["kind"];
        match kind.as_str() {
            Some("timeout") => {
                timed_out += 1;
                // Its time may have been over before its first word.
                assert!(starts <= 1, "{key}");
            }
            Some("exit") => {
                by_itself += 1;
                assert_eq!(starts, 1, "{key}");
                assert_eq!(report["exit"]["code"], 7, "{report:#}");
                let last_word = format!("end {run} {key} ");
                assert_eq!(
                    witness.count_prefix(&last_word),
                    1,
                    "{key} ended by itself without its last word"
                );
            }
            _ => panic!("{key}: {report:#}"),
        }
        let shown = view["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["key"] == key.as_str());
        let shown = shown.unwrap();
        assert_eq!(shown["attempts"].as_array().unwrap().len(), 1, "{shown:#}");
        let took = shown["attempts"][0]["duration_ms"].as_u64();
        longest = longest.max(took.unwrap_or_default());
    }
    // How many of each there are is the machine's affair; that they are all is not.
    assert_eq!(by_itself + timed_out, scene.steps.len());
    let doubts = history.iter().filter(|event| event["kind"] == "attempt.lost");
    assert_eq!(doubts.count(), 0, "{view:#}");
    ledger.add(
        "16 steps of 0.8 to 1.2 s",
        Row {
            runs: 1,
            starts: witness.count_prefix(&format!("start {run} ")),
            figure: format!(
                "{timed_out} timed out, {by_itself} ended by themselves, the longest took {longest} ms"
            ),
            ..Row::default()
        },
    );
    assert_eq!(view["outcome"], "failed", "{view:#}");
    cleaned(&stack);
}

/// The server has the result in its hands for longer than the lease of its attempt: whether or not the lease's end is judged
/// meanwhile, the result stands, and it is one.
#[test]
fn full_a_result_that_waits_beyond_its_lease_stands() {
    let mut ledger = Ledger::new("a result waits in the server beyond its lease of 3 s");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let mut scene = Scene::one(500);
    // Not to be run again unasked, whatever is judged.
    scene.more = "disconnect: 3s\n    if-lost: ask".to_owned();
    // Longer than the lease and the server's margin.
    stack.arm("result.recv", "sleep 16000");
    let run = scene.start(&mut stack, &witness, "lease", |_| ());
    wait::until("the result to arrive", PATIENCE, || {
        stack.reached("result.recv").then_some(())
    });
    let view = stack.finished(&run);
    let Judgement { mut row, wrong } = scene.judge(&stack, &witness, &run);
    let history = history(&stack, &run);
    let of_kind =
        |kind: &str| -> Vec<&Value> { history.iter().filter(|event| event["kind"] == kind).collect() };
    row.figure = format!("{} doubts on the way", of_kind("attempt.lost").len());
    ledger.add("the result waits 16 s", row.clone());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    let ends = of_kind("attempt.finished");
    assert_eq!(ends.len(), 1, "{ends:#?}");
    assert_eq!(ends[0]["body"]["report"]["exit"]["code"], 7, "{ends:#?}");
    assert_eq!(of_kind("attempt.offered").len(), 1, "{view:#}");
    assert_eq!((row.starts, row.unknown), (1, 0), "{view:#}");
    cleaned(&stack);
}
