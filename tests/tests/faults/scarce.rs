//! What runs out besides bytes: files that can be made, descriptors, a thread's time.

use std::{
    fs,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use e2e::{
    Stack, Witness,
    disk::SmallDisk,
    ledger::{Ledger, Row},
    scene::{Judgement, Scene, cleaned},
    stack::PATIENCE,
    wait,
};

#[test]
fn an_agent_that_cannot_make_files_reports_what_runs_and_takes_nothing_new() {
    let mut ledger = Ledger::new("no file can be made any more, then some can");
    let witness = Witness::start();
    let mut stack = Stack::server();
    let path = stack.agent_dir("one");
    let disk = SmallDisk::of_files(&path, 2_000);
    stack.agent("one", &[], &[]);
    let scene = Scene::one(1_500);
    let runs = scene.start(&mut stack, &witness, "runs", |_| ());
    witness.wait_for_prefix(&format!("start {runs}"));
    disk.exhaust();
    wait::until("the agent to notice", PATIENCE, || {
        stack.said_by("one").contains("the disk is full").then_some(())
    });
    scene.went_through(
        &mut ledger,
        "the agent's, while it runs",
        (&stack, &witness, &runs),
        String::new(),
    );
    let waits = scene.start(&mut stack, &witness, "waits", |_| ());
    assert!(
        stack.show(&waits)["outcome"].is_null(),
        "it waits\n{}",
        stack.said()
    );
    disk.free();
    scene.went_through(
        &mut ledger,
        "the agent's, before it",
        (&stack, &witness, &waits),
        String::new(),
    );
    cleaned(&stack);
}

#[test]
fn a_server_that_cannot_make_files_goes_on() {
    let mut ledger = Ledger::new("no file can be made any more");
    let witness = Witness::start();
    let mut stack = Stack::server();
    stack.server_process().stop();
    let path = stack.dir().join("server");
    let disk = SmallDisk::of_files(&path, 2_000);
    stack.start_server();
    stack.agent("one", &[], &[]);
    disk.exhaust();
    let scene = Scene::two();
    let run = scene.start(&mut stack, &witness, "server", |_| ());
    scene.went_through(
        &mut ledger,
        "the server's",
        (&stack, &witness, &run),
        String::new(),
    );
    cleaned(&stack);
}

/// How long an agent has none to spare.
const WITHOUT: Duration = Duration::from_secs(3);

fn descriptors(pid: u32, most: u64) {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most.max(1_024),
    };
    let pid = i32::try_from(pid).unwrap();
    #[expect(unsafe_code, reason = "prlimit(2) reads one struct")]
    // SAFETY: the struct lives through the call, and nothing is written back.
    let done = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// 64 descriptors, and somebody who takes all that are left: what is connected goes on, and others are served once
/// there are some again.
#[test]
fn a_server_without_descriptors_loses_nothing_and_goes_on_when_it_has_some() {
    let mut ledger = Ledger::new("64 descriptors");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let scene = Scene::one(1_500);
    let run = scene.start(&mut stack, &witness, "server", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    descriptors(stack.server_process().pid(), 64);
    let hogs: Vec<TcpStream> = (0..100)
        .filter_map(|_| TcpStream::connect(stack.address()).ok())
        .collect();
    wait::until("the server to run out of descriptors", PATIENCE, || {
        stack
            .said_by("server")
            .contains("cannot accept a connection")
            .then_some(())
    });
    witness.wait_for_prefix(&format!("end {run}"));
    let held = hogs.len();
    drop(hogs);
    scene.went_through(
        &mut ledger,
        "the server's, while a step runs",
        (&stack, &witness, &run),
        String::new(),
    );
    let after = Scene::two().start(&mut stack, &witness, "after", |_| ());
    Scene::two().went_through(
        &mut ledger,
        "a run after it",
        (&stack, &witness, &after),
        String::new(),
    );
    ledger.add(
        "connections of somebody who says nothing",
        Row {
            figure: held.to_string(),
            ..Row::default()
        },
    );
    cleaned(&stack);
}

/// With what it has open already, or a few more, an agent can begin nothing or not end what it began: that is said, nothing
/// that did not run counts as done, and whatever it could not open meanwhile it opens once it can.
#[test]
fn an_agent_without_descriptors_says_so_and_goes_on_when_it_has_some() {
    let mut ledger = Ledger::new("no more descriptors for an agent");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let agent = stack.agent_process("one").pid();
    let scene = Scene::two();
    for spare in 0..10 {
        let open = fs::read_dir(format!("/proc/{agent}/fd")).unwrap().count();
        descriptors(agent, u64::try_from(open + spare).unwrap());
        let run = scene.start(&mut stack, &witness, &format!("agent-{spare}"), |_| ());
        // One that lost its connection has none for another.
        let until = Instant::now() + WITHOUT;
        while Instant::now() < until && stack.show(&run)["outcome"].is_null() {
            thread::sleep(Duration::from_millis(20));
        }
        descriptors(agent, 1_024);
        let view = stack.finished(&run);
        let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
        assert!(wrong.is_empty(), "{spare} spare: {wrong:#?}\n{}", stack.said());
        if row.starts < 2 {
            assert_eq!(view["outcome"], "failed", "{spare} spare: {view:#}");
        }
        if spare == 0 && row.starts < 2 {
            assert!(
                view["reasons"].to_string().contains("Too many open files"),
                "{view:#}"
            );
        }
        if view["outcome"] != "succeeded" {
            assert!(
                !view["reasons"].as_array().unwrap().is_empty(),
                "{spare} spare: {view:#}"
            );
        }
        let figure = format!("{}: {}", view["outcome"], view["reasons"]);
        ledger.add(&format!("while {spare} more may be open"), Row { figure, ..row });
    }
    let after = scene.start(&mut stack, &witness, "after", |_| ());
    scene.went_through(
        &mut ledger,
        "when there are some",
        (&stack, &witness, &after),
        String::new(),
    );
    cleaned(&stack);
}

/// One handler holds its thread for longer than a lease: the heartbeats of others are served.
#[test]
fn a_handler_that_stalls_expires_nobody() {
    let mut ledger = Ledger::new("one handler stands still for 8 s, leases are of 3 s");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let mut scene = Scene::one(9_000);
    scene.more = "disconnect: 3s".to_owned();
    let run = scene.start(&mut stack, &witness, "other", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    stack.arm("run.decide@stalled", "sleep 8000");
    let stalled = Scene::two();
    let text = stalled
        .definition(&witness)
        .replacen("name: scene", "name: stalled", 1);
    let slow = stack.start(&text, &[]);
    wait::until("the handler to stand still", PATIENCE, || {
        stack.reached("run.decide@stalled").then_some(())
    });
    scene.went_through(
        &mut ledger,
        "the others' step",
        (&stack, &witness, &run),
        String::new(),
    );
    stalled.went_through(
        &mut ledger,
        "its own run",
        (&stack, &witness, &slow),
        String::new(),
    );
    cleaned(&stack);
}
