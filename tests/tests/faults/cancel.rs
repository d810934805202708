//! A cancel in each phase of an attempt: once it is acknowledged nothing new starts, and what runs is ended.

use std::time::Instant;

use e2e::{
    Stack, Witness,
    ledger::Ledger,
    process::{signal, state},
    proxy::{Proxy, Rules},
    scene::{Judgement, Scene, Step, cleaned},
    stack::PATIENCE,
    wait,
};

/// A long first step and one after it.
fn long() -> Scene {
    let mut first = Step::short("a", &[]);
    (first.lines, first.pause_ms) = (600, 100);
    Scene::of(vec![first, Step::short("b", &["a"])])
}

fn cancel(stack: &Stack, run: &str) {
    let output = stack.cli(&["cancel", run]);
    assert!(output.status.success(), "{output:?}");
}

/// After the cancel: the run's end, at most so many starts of its first step, none of its second.
fn ended(ledger: &mut Ledger, phase: &str, scene: &Scene, judged: (&Stack, &Witness, &str), starts: usize) {
    let (stack, witness, run) = judged;
    let begun = Instant::now();
    let view = stack.finished(run);
    let Judgement { mut row, wrong } = scene.judge(stack, witness, run);
    row.figure = format!("over {} ms after", begun.elapsed().as_millis());
    ledger.add(phase, row.clone());
    assert!(wrong.is_empty(), "{phase}: {wrong:#?}\n{}", stack.said());
    assert_eq!(view["outcome"], "cancelled", "{phase}: {view:#}");
    assert!(row.starts <= starts, "{phase}: {} starts", row.starts);
    assert_eq!(row.unknown, 0, "{phase}: {view:#}");
    cleaned(stack);
}

#[test]
fn a_cancel_wins_in_each_phase_of_an_attempt() {
    let mut ledger = Ledger::new("a cancel while the agent stands still at a point");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    for (place, scene, starts) in [
        ("assign.recv", long(), 0),
        ("create.pre", long(), 0),
        ("create.spawned", long(), 1),
        ("create.post", long(), 1),
        ("start.post", long(), 1),
        ("exit.post", Scene::two(), 1),
        ("spool.post", Scene::two(), 1),
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

#[test]
fn a_cancel_wins_where_no_agent_is_and_behind_a_partition() {
    let mut ledger = Ledger::new("a cancel without an agent to hear it");
    let witness = Witness::start();
    let mut stack = Stack::server();
    let queued = long().start(&mut stack, &witness, "queued", |_| ());
    cancel(&stack, &queued);
    let proxy = Proxy::to(stack.address());
    stack.agent_through(&proxy.url(), "one", &[], &[]);
    ended(&mut ledger, "queued", &long(), (&stack, &witness, &queued), 0);

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
        1,
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
        1,
    );
}
