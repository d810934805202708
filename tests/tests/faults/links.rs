//! Links that go wrong between an agent and its server, through the proxy.

use std::{
    thread,
    time::{Duration, Instant},
};

use e2e::{
    Stack, Witness,
    ledger::Ledger,
    process::memory_kib,
    proxy::{Admit, BAD_GATEWAY, GARBAGE, Proxy, Rules},
    scene::{Scene, cleaned},
    stack::PATIENCE,
    wait,
};

/// A stack whose one agent reaches the server through a proxy.
fn behind_a_proxy() -> (Stack, Proxy) {
    let mut stack = Stack::server();
    let proxy = Proxy::to(stack.address());
    stack.agent_through(&proxy.url(), "one", &[], &[]);
    (stack, proxy)
}

/// The network breaks in the middle of a step, which ends meanwhile, and comes back.
#[test]
fn a_partition_of_either_way_costs_a_running_step_nothing() {
    let mut ledger = Ledger::new("partitions in the middle of a step");
    let witness = Witness::start();
    let (mut stack, proxy) = behind_a_proxy();
    let ways: [(&str, fn(&mut Rules)); 4] = [
        ("both ways", Rules::part),
        ("agent to server", |rules| rules.up.stalls = true),
        ("server to agent", |rules| rules.down.stalls = true),
        ("refused", |rules| rules.admit = Admit::Refuse),
    ];
    for (name, part) in ways {
        let scene = Scene::one(400);
        let run = scene.start(&mut stack, &witness, &name.replace(' ', "-"), |_| ());
        witness.wait_for_prefix(&format!("start {run}"));
        proxy.set(part);
        if name == "refused" {
            proxy.cut();
        }
        witness.wait_for_prefix(&format!("end {run}"));
        let begun = Instant::now();
        proxy.heal();
        drop(stack.finished(&run));
        let figure = format!("known {} ms after the link was back", begun.elapsed().as_millis());
        scene.went_through(&mut ledger, name, (&stack, &witness, &run), figure);
    }
    cleaned(&stack);
}

/// A minute without a network: longer than both ends take to find out. One step ends meanwhile, the other one after it.
#[test]
fn full_a_partition_of_a_minute_costs_running_steps_nothing() {
    let mut ledger = Ledger::new("a partition of a minute");
    let witness = Witness::start();
    let (mut stack, proxy) = behind_a_proxy();
    let runs = [("ends in it", 15_000), ("ends after it", 65_000)].map(|(name, ms)| {
        let scene = Scene::one(ms);
        let run = scene.start(&mut stack, &witness, &name.replace(' ', "-"), |_| ());
        (name, scene, run)
    });
    for (_, _, run) in &runs {
        witness.wait_for_prefix(&format!("start {run}"));
    }
    proxy.set(Rules::part);
    thread::sleep(Duration::from_secs(60));
    proxy.heal();
    for (name, scene, run) in &runs {
        witness.wait_for_prefix(&format!("end {run}"));
        scene.went_through(&mut ledger, name, (&stack, &witness, run), String::new());
    }
    cleaned(&stack);
}

/// Each connection is cut after N bytes of one way, for growing N until a whole session passes untouched.
fn cut_after_every(bytes: usize) {
    let mut ledger = Ledger::new(&format!("cut after every {bytes} bytes"));
    let witness = Witness::start();
    for way in ["up", "down"] {
        let (mut stack, proxy) = behind_a_proxy();
        for n in (1..).step_by(bytes) {
            assert!(n < 64 * 1024, "a small session is small");
            stack.agent_process("one").kill9();
            wait::until("the connections to end", PATIENCE, || {
                (proxy.open() == 0).then_some(())
            });
            let before = proxy.connections().len();
            proxy.set(|rules| match way {
                "up" => rules.up.cut_after = Some(n),
                _ => rules.down.cut_after = Some(n),
            });
            stack.spawn_agent("one");
            let scene = Scene::two();
            let run = scene.start(&mut stack, &witness, &format!("{way}-{n}"), |_| ());
            let was_cut = wait::until("a cut or the end", PATIENCE, || {
                if proxy.connections()[before..].iter().any(|one| one.over) {
                    return Some(true);
                }
                let view = stack.json(&["show", &run, "-o", "json"])?;
                (!view["outcome"].is_null()).then_some(false)
            });
            proxy.heal();
            drop(stack.finished(&run));
            let figure = format!("to byte {n}");
            scene.went_through(
                &mut ledger,
                &format!("{way}stream"),
                (&stack, &witness, &run),
                figure,
            );
            if !was_cut {
                break;
            }
        }
        cleaned(&stack);
    }
}

#[test]
fn a_link_cut_after_n_bytes_loses_and_doubles_nothing() {
    cut_after_every(797);
}

#[test]
fn full_a_link_cut_after_every_few_bytes_loses_and_doubles_nothing() {
    cut_after_every(23);
}

/// The server hears everything twice: hellos, reports, heartbeats and logs.
#[test]
fn connections_that_arrive_twice_double_nothing() {
    let mut ledger = Ledger::new("every connection arrives twice");
    let witness = Witness::start();
    let (mut stack, proxy) = behind_a_proxy();
    proxy.set(|rules| rules.admit = Admit::Twice);
    for round in 0..3 {
        proxy.cut();
        let scene = Scene::two();
        let run = scene.start(&mut stack, &witness, &format!("twice-{round}"), |_| ());
        drop(stack.finished(&run));
        scene.went_through(&mut ledger, "duplicated", (&stack, &witness, &run), String::new());
    }
    proxy.heal();
    cleaned(&stack);
}

/// What stands where the server was: it is tried again, and the log says what was met.
#[test]
fn a_proxy_that_answers_nonsense_is_outlived() {
    let mut ledger = Ledger::new("something else answers for the server");
    let witness = Witness::start();
    let (mut stack, proxy) = behind_a_proxy();
    for (name, answer) in [("502 with HTML", BAD_GATEWAY), ("garbage", GARBAGE)] {
        let scene = Scene::one(200);
        let run = scene.start(&mut stack, &witness, &name.replace(' ', "-"), |_| ());
        witness.wait_for_prefix(&format!("start {run}"));
        let tries = stack.said_by("one").matches("connecting again").count();
        proxy.set(|rules| rules.admit = Admit::Answer(answer));
        proxy.cut();
        wait::until("the agent to meet it", PATIENCE, || {
            (stack.said_by("one").matches("connecting again").count() > tries + 1).then_some(())
        });
        proxy.heal();
        drop(stack.finished(&run));
        scene.went_through(&mut ledger, name, (&stack, &witness, &run), String::new());
        assert!(!stack.said_by("one").contains("panicked"), "{}", stack.said());
    }
    cleaned(&stack);
}

/// A link that is cut once a second.
fn flapping(seconds: u32) {
    let mut ledger = Ledger::new("a link that is cut once a second");
    let witness = Witness::start();
    let (mut stack, proxy) = behind_a_proxy();
    let before = proxy.connections().len();
    let scene = Scene::one(seconds * 1_000);
    let run = scene.start(&mut stack, &witness, "flapping", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    for _ in 0..seconds {
        thread::sleep(Duration::from_secs(1));
        proxy.cut();
    }
    drop(stack.finished(&run));
    let opened = proxy.connections().len() - before;
    let figure = format!("{opened} connections in {seconds} s");
    scene.went_through(&mut ledger, "1 Hz", (&stack, &witness, &run), figure);
    // Session and logs have a connection each, a cut ends both, and a try has its pause.
    let most = usize::try_from(seconds).unwrap() * 4 + 4;
    assert!(opened <= most, "{opened} connections, more than {most}");
    let agents = stack.json(&["agents", "-o", "json"]).unwrap();
    assert_eq!(agents.as_array().unwrap().len(), 1, "{agents:#}");
    cleaned(&stack);
}

#[test]
fn a_flapping_link_makes_no_herd() {
    flapping(4);
}

#[test]
fn full_a_flapping_link_for_five_minutes() {
    flapping(300);
}

/// A log that takes more than a minute over the slow link: a busy machine has asked for the result long before.
const LINES: u32 = 40_000;

/// 300 ms there and back and 64 kbit/s: the end of a step is known long before its log has arrived.
#[test]
fn a_slow_link_delays_logs_and_not_results() {
    let mut ledger = Ledger::new("300 ms and 64 kbit/s");
    let witness = Witness::start();
    let (mut stack, proxy) = behind_a_proxy();
    proxy.set(|rules| {
        for way in [&mut rules.up, &mut rules.down] {
            way.delay = Duration::from_millis(150);
            way.bytes_per_s = Some(8_000);
        }
    });
    let mut scene = Scene::one(0);
    (scene.steps[0].lines, scene.steps[0].pause_ms) = (LINES, 0);
    let run = scene.start(&mut stack, &witness, "slow", |_| ());
    witness.wait_for_prefix(&format!("end {run}"));
    let begun = Instant::now();
    drop(stack.finished(&run));
    let known = begun.elapsed();
    let arrived = stack.logs(&run, "a").len();
    // Else the rest would take more than a minute.
    proxy.heal();
    let whole: usize = (1..=LINES).map(|line| format!("a line {line}\n").len()).sum();
    assert!(
        arrived < whole,
        "the result waited for all {whole} bytes of the log"
    );
    let figure = format!(
        "result after {} ms, {arrived} of {whole} log bytes then",
        known.as_millis()
    );
    scene.went_through(&mut ledger, "slow link", (&stack, &witness, &run), figure);
    cleaned(&stack);
}

/// Large packets are lost without a word, small ones pass: heartbeats and results go through, and what is large waits on
/// connections of its own.
#[test]
fn large_packets_that_vanish_hold_up_logs_and_not_results() {
    let mut ledger = Ledger::new("packets of more than 1,400 bytes vanish, smaller ones pass");
    let witness = Witness::start();
    let (mut stack, proxy) = behind_a_proxy();
    let mut scene = Scene::one(0);
    (scene.steps[0].lines, scene.steps[0].pause_ms) = (5_000, 0);
    proxy.set(|rules| rules.up.swallows_over = Some(1_400));
    let run = scene.start(&mut stack, &witness, "hole", |_| ());
    witness.wait_for_prefix(&format!("end {run}"));
    let begun = Instant::now();
    drop(stack.finished(&run));
    let known = begun.elapsed();
    let whole: usize = (1..=5_000).map(|line| format!("a line {line}\n").len()).sum();
    let arrived = stack.logs(&run, "a").len();
    assert!(arrived < whole, "the hole swallowed nothing");
    proxy.heal();
    let figure = format!(
        "result after {} ms, {arrived} of {whole} log bytes then, all when it was over",
        known.as_millis()
    );
    scene.went_through(&mut ledger, "agent to server", (&stack, &witness, &run), figure);
    // An offer does not fit: nothing is lost and nothing starts twice once it does.
    let mut scene = Scene::two();
    scene.more = format!("env: {{ LARGE: {} }}", "x".repeat(20_000));
    proxy.set(|rules| rules.down.swallows_over = Some(1_400));
    let run = scene.start(&mut stack, &witness, "offer", |_| ());
    thread::sleep(Duration::from_secs(1));
    assert_eq!(witness.count_prefix(&format!("start {run}")), 0);
    proxy.heal();
    scene.went_through(
        &mut ledger,
        "server to agent, an offer of 20 kB",
        (&stack, &witness, &run),
        "started when it was over".to_owned(),
    );
    cleaned(&stack);
}

/// How the peer is lost.
struct Gone {
    name: &'static str,
    part: fn(&mut Rules),
    agent_dies: bool,
}

const GONE: [Gone; 4] = [
    Gone {
        name: "both ways",
        part: Rules::part,
        agent_dies: false,
    },
    Gone {
        name: "agent to server",
        part: |rules| rules.up.stalls = true,
        agent_dies: false,
    },
    Gone {
        name: "server to agent",
        part: |rules| rules.down.stalls = true,
        agent_dies: false,
    },
    Gone {
        name: "half-open: the agent is gone without a word",
        part: Rules::part,
        agent_dies: true,
    },
];
/// Keepalive and its timeout of both ends are 20 s and 10 s; a busy machine gets three times that.
const FOUND: Duration = Duration::from_secs(90);

/// Both ends find within keepalive and timeout that nobody is there, and go on where they were when the link is back.
/// TCP by itself would take 15 minutes.
#[test]
fn a_dead_link_is_found_by_both_ends() {
    let mut ledger = Ledger::new("dead links: found after");
    let witness = Witness::start();
    let mut stack = Stack::server();
    let mut parted = Vec::new();
    for (index, gone) in GONE.iter().enumerate() {
        let name = format!("agent-{index}");
        let proxy = Proxy::to(stack.address());
        stack.agent_through(&proxy.url(), &name, &["--label", &format!("host={name}")], &[]);
        let mut scene = Scene::one(500);
        scene.more = format!("runs-on: {{ host: {name} }}");
        let run = scene.start(&mut stack, &witness, &name, |_| ());
        witness.wait_for_prefix(&format!("start {run}"));
        let open = proxy.connections().len();
        proxy.set(gone.part);
        let since = Instant::now();
        if gone.agent_dies {
            stack.agent_process(&name).kill9();
        }
        parted.push((gone, name, proxy, scene, run, open, since));
    }
    // An agent may have its last acknowledgements to fetch until all is cleaned up.
    let mut kept = Vec::new();
    for (gone, name, proxy, scene, run, open, since) in parted {
        let found = |side: fn(&e2e::proxy::Connection) -> Option<Instant>| {
            wait::until(&format!("{}: both ends to leave", gone.name), FOUND, || {
                let sessions = &proxy.connections()[..open];
                sessions
                    .iter()
                    .map(side)
                    .collect::<Option<Vec<_>>>()?
                    .into_iter()
                    .max()
            })
        };
        let by_server = found(|one| one.left_by_server).saturating_duration_since(since);
        let by_agent = found(|one| one.left_by_client).saturating_duration_since(since);
        proxy.heal();
        if gone.agent_dies {
            stack.spawn_agent(&name);
        }
        drop(stack.finished(&run));
        let figure = format!(
            "server {} ms, agent {} ms",
            by_server.as_millis(),
            by_agent.as_millis()
        );
        scene.went_through(&mut ledger, gone.name, (&stack, &witness, &run), figure);
        kept.push(proxy);
    }
    cleaned(&stack);
}

/// What the server may take more while an agent does not read: generous, for what waits is bounded to what it has room for.
const MORE_KIB: u64 = 128 * 1024;

/// An agent that reads nothing any more harms nobody else.
#[test]
fn an_agent_that_never_reads_harms_no_other() {
    let mut ledger = Ledger::new("one agent of two does not read");
    let witness = Witness::start();
    let (mut stack, proxy) = behind_a_proxy();
    let mut slow = Scene::one(200);
    // More than the buffers of a connection take.
    slow.more = format!(
        "runs-on: {{ host: slow }}\n    env: {{ LARGE: {} }}",
        "x".repeat(100_000)
    );
    let slow_proxy = Proxy::to(stack.address());
    stack.agent_through(&slow_proxy.url(), "slow", &["--label", "host=slow"], &[]);
    let server = stack.server_process().pid();
    let before = memory_kib(server, "VmRSS");
    slow_proxy.set(|rules| rules.down.stalls = true);
    let waiting: Vec<String> = (0..8)
        .map(|n| slow.start(&mut stack, &witness, &format!("slow-{n}"), |_| ()))
        .collect();
    let mut longest = Duration::ZERO;
    for round in 0..3 {
        let scene = Scene::two();
        let begun = Instant::now();
        let run = scene.start(&mut stack, &witness, &format!("other-{round}"), |_| ());
        drop(stack.finished(&run));
        longest = longest.max(begun.elapsed());
        let figure = format!("longest {} ms", longest.as_millis());
        scene.went_through(&mut ledger, "the other's runs", (&stack, &witness, &run), figure);
    }
    assert_eq!(
        waiting
            .iter()
            .filter(|run| witness.count_prefix(&format!("start {run}")) > 0)
            .count(),
        0,
        "it read after all"
    );
    let peak = memory_kib(server, "VmHWM");
    assert!(
        peak < before + MORE_KIB,
        "the server took {peak} KiB, {before} KiB before"
    );
    slow_proxy.heal();
    for run in &waiting {
        let figure = format!("the server's peak was {} KiB more", peak.saturating_sub(before));
        slow.went_through(
            &mut ledger,
            "its own runs, when it reads again",
            (&stack, &witness, run),
            figure,
        );
    }
    cleaned(&stack);
    drop(proxy);
}
