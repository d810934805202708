//! What an agent does without its server, and without its memory.

use e2e::{
    Stack, Witness,
    ledger::Ledger,
    proxy::Proxy,
    scene::{Judgement, Scene, cleaned},
    stack::PATIENCE,
    wait,
};

/// The time of a step is over while no server is there: its agent ends it, and says so later.
#[test]
fn a_timeout_holds_while_the_server_is_down() {
    let mut ledger = Ledger::new("a timeout while the server is down");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let mut scene = Scene::one(60_000);
    scene.more = "timeout: 1s".to_owned();
    let run = scene.start(&mut stack, &witness, "timeout", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    stack.server_process().kill9();
    wait::until("the agent to end the step", PATIENCE, || {
        e2e::process::shims(stack.dir()).is_empty().then_some(())
    });
    stack.start_server();
    let view = stack.finished(&run);
    let Judgement { mut row, wrong } = scene.judge(&stack, &witness, &run);
    let took = view["steps"][0]["attempts"][0]["duration_ms"].as_u64();
    row.figure = format!("ended by the agent after {took:?} ms");
    ledger.add("kill -9 of the server, then the timeout", row.clone());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    assert_eq!((row.starts, row.unknown), (1, 0), "{view:#}");
    assert!(view["reasons"].to_string().contains("timed out"), "{view:#}");
    cleaned(&stack);
}

/// An agent that lost its spool runs nothing again: what ran is buried and in doubt.
#[test]
fn a_lost_spool_is_a_doubt_and_never_a_second_start() {
    let mut ledger = Ledger::new("the spool is gone while a container lives");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let scene = Scene::one(60_000);
    let run = scene.start(&mut stack, &witness, "spool", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    stack.agent_process("one").kill9();
    std::fs::remove_file(stack.agent_dir("one").join("spool")).unwrap();
    stack.start_agent("one");
    let view = stack.finished(&run);
    let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
    ledger.add("kill -9, spool removed", row.clone());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    assert_eq!((row.starts, row.unknown), (1, 1), "{view:#}");
    cleaned(&stack);
}

/// Nor where the server had not heard of the start: what lies in its directory says that it was here.
#[test]
fn a_lost_spool_of_a_start_that_was_never_told_is_a_doubt_too() {
    let mut ledger = Ledger::new("the spool is gone before the start was told");
    let witness = Witness::start();
    let mut stack = Stack::server();
    let proxy = Proxy::to(stack.address());
    stack.agent_through(&proxy.url(), "one", &[], &[]);
    // By then the server has heard what the agent would take.
    let first = Scene::one(0).start(&mut stack, &witness, "first", |_| ());
    drop(stack.finished(&first));
    proxy.set(|rules| rules.up.stalls = true);
    let scene = Scene::one(60_000);
    let run = scene.start(&mut stack, &witness, "untold", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    stack.agent_process("one").kill9();
    // What the agent has said until now never arrives.
    proxy.cut();
    proxy.heal();
    std::fs::remove_file(stack.agent_dir("one").join("spool")).unwrap();
    stack.start_agent("one");
    let view = stack.finished(&run);
    let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
    ledger.add("kill -9 behind a link that stalls, spool removed", row.clone());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    assert_eq!((row.starts, row.unknown), (1, 1), "{view:#}");
    cleaned(&stack);
}
