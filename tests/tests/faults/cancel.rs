//! A cancel in each phase of an attempt: once it is acknowledged nothing new starts, and what runs is ended.

use std::{
    thread,
    time::{Duration, Instant},
};

use e2e::{
    Stack, Witness,
    ledger::Ledger,
    process::{signal, state},
    proxy::{Proxy, Rules},
    scene::{Judgement, Scene, Step, cleaned, history},
    stack::PATIENCE,
    wait,
};

/// Longer than a test waits for a run's end: it must be ended.
fn endless(key: &str, needs: &[&str]) -> Step {
    let mut step = Step::short(key, needs);
    (step.lines, step.pause_ms) = (600, 100);
    step
}

/// A long first step and one after it.
fn long() -> Scene {
    Scene::of(vec![endless("a", &[]), Step::short("b", &["a"])])
}

/// A short first step and a long one, which is offered in the commit of the first one's result.
fn advancing() -> Scene {
    Scene::of(vec![Step::short("a", &[]), endless("b", &["a"])])
}

fn cancel(stack: &Stack, run: &str) {
    let output = stack.cli(&["cancel", run]);
    assert!(output.status.success(), "{output:?}");
}

/// After the cancel: the run's end, and at most so many starts of each step.
fn ended(
    ledger: &mut Ledger,
    phase: &str,
    scene: &Scene,
    judged: (&Stack, &Witness, &str),
    starts: [usize; 2],
) {
    let (stack, witness, run) = judged;
    let begun = Instant::now();
    let view = stack.finished(run);
    let Judgement { mut row, wrong } = scene.judge(stack, witness, run);
    row.figure = format!("over {} ms after", begun.elapsed().as_millis());
    ledger.add(phase, row.clone());
    assert!(wrong.is_empty(), "{phase}: {wrong:#?}\n{}", stack.said());
    assert_eq!(view["outcome"], "cancelled", "{phase}: {view:#}");
    for (step, most) in scene.steps.iter().zip(starts) {
        let began = witness.count_prefix(&format!("start {run} {} ", step.key));
        assert!(began <= most, "{phase}: {} has {began} starts", step.key);
    }
    assert_eq!(row.unknown, 0, "{phase}: {view:#}");
    cleaned(stack);
}

#[test]
fn a_cancel_wins_in_each_phase_of_an_attempt() {
    let mut ledger = Ledger::new("a cancel while the agent stands still at a point");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    for (place, scene, starts) in [
        ("assign.recv", long(), [0, 0]),
        ("create.pre", long(), [0, 0]),
        ("create.spawned", long(), [1, 0]),
        ("create.post", long(), [1, 0]),
        ("start.post", long(), [1, 0]),
        ("exit.post", Scene::two(), [1, 0]),
        ("spool.post", Scene::two(), [1, 0]),
        // The second one's offer was on its way before the cancel: it may begin, and the stop behind it ends it.
        ("send.post", advancing(), [1, 1]),
    ] {
        stack.arm(place, "stop");
        let run = scene.start(&mut stack, &witness, place, |_| ());
        let agent = stack.agent_process("one").pid();
        wait::until(&format!("the agent to stand still at {place}"), PATIENCE, || {
            (stack.reached(place) && state(agent) == Some('T')).then_some(())
        });
        cancel(&stack, &run);
        cancel(&stack, &run);
        signal(agent, libc::SIGCONT);
        ended(&mut ledger, place, &scene, (&stack, &witness, &run), starts);
    }
}

/// The result of the first step is in the server's hands when the cancel comes: it stands, and what follows is ended.
#[test]
fn a_cancel_while_the_server_takes_a_result_ends_what_follows() {
    let mut ledger = Ledger::new("a cancel while the server stands still at a point");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    for place in ["result.pre", "result.commit", "result.post"] {
        stack.arm(place, "stop");
        let scene = advancing();
        let run = scene.start(&mut stack, &witness, place, |_| ());
        let server = stack.server_process().pid();
        wait::until(&format!("the server to stand still at {place}"), PATIENCE, || {
            (stack.reached(place) && state(server) == Some('T')).then_some(())
        });
        thread::scope(|scope| {
            scope.spawn(|| cancel(&stack, &run));
            // It waits in the server's socket by then, or comes a little later: both end alike.
            thread::sleep(Duration::from_millis(300));
            signal(server, libc::SIGCONT);
        });
        ended(&mut ledger, place, &scene, (&stack, &witness, &run), [1, 1]);
        let history = history(&stack, &run);
        let results: Vec<_> = history
            .iter()
            .filter(|event| event["kind"] == "attempt.finished" && event["body"]["step"] == "a")
            .collect();
        assert_eq!(results.len(), 1, "{place}: {results:#?}");
        assert_eq!(
            results[0]["body"]["report"]["exit"]["code"], 0,
            "{place}: {results:#?}"
        );
        assert_eq!(
            witness.count_prefix(&format!("end {run} b ")),
            0,
            "{place}: it went on"
        );
    }
}

/// Whichever comes first, the answer to the cancel and the run's outcome say the same.
#[test]
fn a_cancel_against_the_end_of_a_run_has_one_winner() {
    let mut ledger = Ledger::new("a cancel as the run ends");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    for round in 0..8 {
        let scene = Scene::of(vec![Step::short("a", &[])]);
        let run = scene.start(&mut stack, &witness, &format!("race-{round}"), |_| ());
        witness.wait_for_prefix(&format!("start {run}"));
        thread::sleep(Duration::from_millis(round * 20));
        let answer = stack.json(&["cancel", &run, "-o", "json"]).unwrap();
        let view = stack.finished(&run);
        let expected = if answer["accepted"] == true {
            "cancelled"
        } else {
            "succeeded"
        };
        assert_eq!(view["outcome"], expected, "{answer}: {view:#}");
        let Judgement { mut row, wrong } = scene.judge(&stack, &witness, &run);
        row.figure = format!("cancelled after {} ms: {expected}", round * 20);
        ledger.add("cancel against finish", row.clone());
        assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
        assert_eq!((row.starts, row.unknown), (1, 0), "{view:#}");
        let ends = history(&stack, &run)
            .iter()
            .filter(|event| event["kind"] == "attempt.finished")
            .count();
        assert_eq!(ends, 1, "{view:#}");
    }
    cleaned(&stack);
}

#[test]
fn a_cancel_wins_where_no_agent_is_and_behind_a_partition() {
    let mut ledger = Ledger::new("a cancel without an agent to hear it");
    let witness = Witness::start();
    let mut stack = Stack::server();
    let queued = long().start(&mut stack, &witness, "queued", |_| ());
    cancel(&stack, &queued);
    let proxy = Proxy::to(stack.address());
    stack.agent_through(&proxy.url(), "one", &[], &[]);
    ended(
        &mut ledger,
        "queued",
        &long(),
        (&stack, &witness, &queued),
        [0, 0],
    );

    let mut retried = Scene::one(50);
    retried.more = "retry: { limit: 2, delay: 60s }".to_owned();
    let waits = retried.start(&mut stack, &witness, "retry", |_| ());
    wait::until("the wait for a second try", PATIENCE, || {
        let view = stack.show(&waits);
        (view["steps"][0]["attempts"][0]["exit_code"] == 7).then_some(())
    });
    cancel(&stack, &waits);
    ended(
        &mut ledger,
        "waiting for a second try",
        &retried,
        (&stack, &witness, &waits),
        [1, 0],
    );

    let parted = long().start(&mut stack, &witness, "parted", |_| ());
    witness.wait_for_prefix(&format!("start {parted}"));
    proxy.set(Rules::part);
    cancel(&stack, &parted);
    proxy.heal();
    ended(
        &mut ledger,
        "behind a partition",
        &long(),
        (&stack, &witness, &parted),
        [1, 0],
    );
}
