//! A step that ends its agent whenever it is about to be started.

use e2e::{
    Stack, Witness,
    ledger::{Ledger, Row},
    scene::{Judgement, Scene, Step, cleaned},
    stack::PATIENCE,
    wait,
};

const AGENTS: [&str; 3] = ["one", "three", "two"];

/// Whoever ended is started again, as systemd does; answers how many ends there were.
fn revive(stack: &mut Stack, ends: &mut [usize; 3]) {
    for (name, ends) in AGENTS.iter().zip(ends) {
        if stack.agent_process(name).ended().is_some() {
            *ends += 1;
            stack.spawn_agent(name);
        }
    }
}

/// `place` is where the step's agent dies, each time.
fn poisoned(place: &str) {
    let mut ledger = Ledger::new("a step that ends its agent");
    let witness = Witness::start();
    let mut stack = Stack::server();
    for name in AGENTS {
        stack.agent(name, &[], &[]);
    }
    stack.arm(&format!("{place}@poison"), "every kill");
    // Others that start at the same time go through.
    let mut scene = Scene::of(vec![
        Step::short("poison", &[]),
        Step::short("a", &[]),
        Step::short("b", &[]),
    ]);
    scene.more = "retry: { limit: 3, delay: 0s }".to_owned();
    let mut ends = [0; 3];
    let run = scene.start(&mut stack, &witness, "crash-loop", |_| ());
    let view = wait::until("the run to end", PATIENCE * 3, || {
        revive(&mut stack, &mut ends);
        let view = stack.json(&["show", &run, "-o", "json"])?;
        (!view["outcome"].is_null()).then_some(view)
    });
    let hit = ends.iter().filter(|ends| **ends > 0).count();
    let figure = format!("{hit} of 3 agents hit, {ends:?} crashes");
    let starts = |step: &str| witness.count_prefix(&format!("start {run} {step} "));
    let row = Row {
        runs: 1,
        starts: starts("poison") + starts("a") + starts("b"),
        figure,
        ..Row::default()
    };
    ledger.add(&format!("kill -9 at {place}, each time"), row);
    assert_eq!(starts("poison"), 0, "{view:#}");
    assert_eq!((starts("a"), starts("b")), (1, 1), "{view:#}\n{}", stack.said());
    assert_eq!(hit, 2, "{ends:?}\n{}", stack.said());
    assert_eq!(ends.iter().sum::<usize>(), 6, "{ends:?}\n{}", stack.said());
    assert_eq!(view["outcome"], "failed", "{view:#}");
    assert!(
        view["reasons"].to_string().contains("agent_crash: agents ended"),
        "{view:#}"
    );
    // The agents take other work as before.
    stack.disarm(&format!("{place}@poison"));
    let after = Scene::two().start(&mut stack, &witness, "after", |_| ());
    drop(stack.finished(&after));
    let Judgement { row, wrong } = Scene::two().judge(&stack, &witness, &after);
    ledger.add("a run after it", row);
    assert!(wrong.is_empty(), "{wrong:#?}");
    cleaned(&stack);
}

#[test]
fn a_step_that_ends_its_agent_is_given_back_and_hits_two_agents_at_most() {
    poisoned("create.pre");
}

/// It dies before it has written down what it got: only the server can count.
#[test]
fn an_offer_that_ends_its_agent_hits_two_agents_at_most() {
    poisoned("assign.recv");
}

/// The two that ended are away, each after one end: it waits for them, although a third one is free.
#[test]
fn what_ended_two_agents_waits_for_them() {
    let mut ledger = Ledger::new("a step that ended two agents which are drained then");
    let witness = Witness::start();
    let mut stack = Stack::server();
    for name in AGENTS {
        stack.agent(name, &[], &[]);
    }
    stack.arm("assign.recv@poison", "every kill");
    let scene = Scene::of(vec![Step::short("poison", &[])]);
    let run = scene.start(&mut stack, &witness, "two-away", |_| ());
    for name in ["one", "three"] {
        wait::until(&format!("{name} to end"), PATIENCE, || {
            stack.agent_process(name).ended()
        });
        assert!(stack.cli(&["agents", "drain", name]).status.success());
        stack.spawn_agent(name);
    }
    let waits = wait::until("the step to wait", PATIENCE, || {
        let waits = stack.show(&run)["steps"][0]["waits_for"].to_string();
        waits.contains("three is draining").then_some(waits)
    });
    assert!(
        waits.contains("one is draining") && !waits.contains("two"),
        "{waits}"
    );
    assert!(stack.agent_process("two").ended().is_none(), "{}", stack.said());
    // What was wrong is mended, and they are back.
    stack.disarm("assign.recv@poison");
    for name in ["one", "three"] {
        assert!(stack.cli(&["agents", "uncordon", name]).status.success());
    }
    drop(stack.finished(&run));
    let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
    ledger.add("kill -9 of two at assign.recv, then a drain of both", row.clone());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    assert_eq!((row.starts, row.unknown), (1, 0));
    cleaned(&stack);
}

/// An operator who stops and starts an agent crashes nothing: a start that takes long is made again however often.
#[test]
fn an_agent_that_is_restarted_gives_nothing_back() {
    let mut ledger = Ledger::new("an agent that is told to end");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let scene = Scene::one(2_000);
    let run = scene.start(&mut stack, &witness, "restarts", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    for _ in 0..4 {
        stack.agent_process("one").stop();
        stack.start_agent("one");
    }
    drop(stack.finished(&run));
    let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
    ledger.add("SIGTERM four times", row.clone());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    assert_eq!((row.starts, row.unknown), (1, 0));
    assert!(!stack.said_by("one").contains("agent_crash"));
    cleaned(&stack);
}
