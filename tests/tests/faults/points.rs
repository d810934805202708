//! kill -9 of agent, server and shim at each named point of an attempt's life.

use std::time::Instant;

use e2e::{
    Stack, Witness,
    ledger::Ledger,
    scene::{Judgement, Scene, cleaned},
    stack::PATIENCE,
    wait,
};

use crate::docker;

/// In the order of an attempt's life (`failpoint`: who calls `reach`).
const AGENT: [&str; 9] = [
    "assign.recv",
    "create.pre",
    "create.spawned",
    "create.post",
    "start.post",
    "exit.post",
    "spool.post",
    "send.post",
    "ack.post",
];
const SERVER: [&str; 10] = [
    "grant.pre",
    "grant.commit",
    "grant.post",
    "result.recv",
    "result.pre",
    "result.commit",
    "result.post",
    "advance.pre",
    "advance.commit",
    "advance.post",
];

/// The run's judgement, and how long it took; whoever of the two died is started again.
fn run_on(stack: &mut Stack, witness: &Witness, key: &str) -> (Judgement, String) {
    let begun = Instant::now();
    let before = pids(stack);
    let run = Scene::two().start(stack, witness, key, revive);
    wait::until(&format!("{run} to end"), PATIENCE, || {
        revive(stack);
        let view = stack.json(&["show", &run, "-o", "json"])?;
        // The last visit may come behind the run's end: who died there is started again, too.
        (!view["outcome"].is_null() && pids(stack) != before).then_some(())
    });
    let took = format!("{} ms", begun.elapsed().as_millis());
    (Scene::two().judge(stack, witness, &run), took)
}

/// Of the two that may die.
fn pids(stack: &mut Stack) -> (u32, u32) {
    (stack.server_process().pid(), stack.agent_process("one").pid())
}

fn revive(stack: &mut Stack) {
    if stack.server_process().ended().is_some() {
        stack.start_server();
    }
    if stack.agent_process("one").ended().is_some() {
        stack.start_agent("one");
    }
}

/// Kills once at each place, and expects a run of two steps to go through as if nothing had been.
fn at_each(title: &str, mut stack: Stack, places: &[&str], visits: u32) {
    let mut ledger = Ledger::new(title);
    let witness = Witness::start();
    for place in places {
        // A new one: an agent that lost its server often takes longer to try again.
        stack.agent_process("one").kill9();
        stack.start_agent("one");
        for visit in 1..=visits {
            let fault = format!("kill -9 at {place}, visit {visit}");
            stack.arm(place, &format!("{visit} kill"));
            let (mut judgement, took) = run_on(&mut stack, &witness, &format!("{place}-{visit}"));
            assert!(stack.reached(place), "{fault}: nobody came there");
            stack.disarm(place);
            judgement.row.figure = took;
            let (row, wrong) = (judgement.row, judgement.wrong);
            ledger.add(&fault, row.clone());
            assert_eq!((row.starts, row.unknown), (2, 0), "{fault}\n{}", stack.said());
            assert!(wrong.is_empty(), "{fault}: {wrong:#?}\n{}", stack.said());
        }
    }
    cleaned(&stack);
}

#[test]
fn kill_9_of_the_agent_at_each_point_of_an_attempt() {
    at_each("kill -9 of the agent", Stack::with_agent(), &AGENT, 1);
}

#[test]
fn kill_9_of_the_server_at_each_point_of_an_attempt() {
    at_each("kill -9 of the server", Stack::with_agent(), &SERVER, 1);
}

/// All but the place that only a shim has; what a daemon has instead is in `docker`.
#[test]
fn kill_9_of_the_agent_at_each_point_of_an_attempt_in_docker() {
    let places: Vec<&str> = AGENT
        .into_iter()
        .filter(|place| *place != "create.spawned")
        .collect();
    let (stack, agent) = docker::shared();
    at_each("kill -9 of the agent, with Docker", stack, &places, 1);
    agent.gone();
}

#[test]
fn full_kill_9_of_the_server_at_each_point_of_an_attempt_in_docker() {
    let (stack, agent) = docker::shared();
    at_each("kill -9 of the server, with Docker", stack, &SERVER, 1);
    agent.gone();
}

/// The step has written more than is kept, and the shim that knows how much is killed before it has said so.
#[test]
fn a_log_whose_shim_was_killed_says_that_its_end_is_not_known() {
    const HEAD: usize = 64 * 1024 * 1024 - 64 * 1024;
    let stack = Stack::with_agent();
    stack.arm("shim.exit.pre", "kill");
    let run = stack.start(
        "name: flood\nsteps:\n  s:\n    image: host\n    run: head -c 80000000 /dev/zero | tr '\\0' x\n",
        &[],
    );
    let view = stack.finished(&run);
    assert!(stack.reached("shim.exit.pre"), "nobody came there");
    assert_eq!(view["outcome"], "failed", "{view:#}");
    for (flags, bytes) in [([].as_slice(), HEAD), (&["--stderr"], 0)] {
        let args = [&["logs", &run, "s"], flags].concat();
        let told = wait::until("the log's end", PATIENCE, || {
            let told = stack.cli(&args);
            (!told.stderr.is_empty()).then_some(told)
        });
        assert_eq!(
            String::from_utf8_lossy(&told.stderr),
            "firehall: the end of this log is not known: what wrote it was killed, so bytes may be missing here\n"
        );
        assert!(told.stdout.iter().all(|byte| *byte == b'x'));
        assert_eq!(told.stdout.len(), bytes, "{flags:?}");
    }
    cleaned(&stack);
}

#[test]
fn full_kill_9_at_each_point_of_a_second_attempt_too() {
    at_each("kill -9 of the agent, two visits", Stack::with_agent(), &AGENT, 2);
    // `advance` comes once in a run of two steps.
    at_each(
        "kill -9 of the server, two visits",
        Stack::with_agent(),
        &SERVER[..7],
        2,
    );
}

/// A shim that dies before it could start anything fails its step and says so; one that dies after is a doubt; one that
/// dies with its record written is nothing at all.
#[test]
fn kill_9_of_the_shim_at_each_point_of_an_attempt() {
    let mut ledger = Ledger::new("kill -9 of the shim");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    for (place, starts, unknown, outcome) in [
        ("shim.setup", 0..=0, 0, "failed"),
        ("shim.started.pre", 0..=0, 0, "failed"),
        ("shim.started.post", 0..=0, 1, "failed"),
        ("shim.start.post", 0..=1, 1, "failed"),
        ("shim.exit.pre", 1..=1, 1, "failed"),
        ("shim.exit.post", 2..=2, 0, "succeeded"),
    ] {
        let fault = format!("kill -9 at {place}");
        stack.arm(place, "kill");
        let run = Scene::two().start(&mut stack, &witness, place, |_| ());
        let view = stack.finished(&run);
        assert!(stack.reached(place), "{fault}: nobody came there");
        let Judgement { row, wrong } = Scene::two().judge(&stack, &witness, &run);
        ledger.add(&fault, row.clone());
        assert!(wrong.is_empty(), "{fault}: {wrong:#?}\n{}", stack.said());
        assert_eq!(view["outcome"], outcome, "{fault}: {view:#}");
        assert_eq!(row.unknown, unknown, "{fault}: {view:#}");
        assert!(starts.contains(&row.starts), "{fault}: {} starts", row.starts);
        if unknown == 1 {
            assert!(view["reasons"].to_string().contains("may have run"), "{view:#}");
        }
    }
    cleaned(&stack);
}
