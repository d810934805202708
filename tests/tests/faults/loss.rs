//! A link that drops packets: the kernel does it, in a network of the test's own.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use e2e::{
    Stack, Witness,
    ledger::Ledger,
    process,
    scene::{Scene, cleaned},
};

/// Set where the test runs once more, in its own network.
const INSIDE: &str = "FIREHALL_TEST_OWN_NETWORK";
const PROBABILITY: &str = "0.1";

fn done(program: &str, args: &[&str]) -> String {
    let output = process::finish(Command::new(program).args(args));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether this is the test's own network; else the test is run in one, to its end.
fn in_own_network(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        done("ip", &["link", "set", "lo", "up"]);
        return true;
    }
    let program = std::env::current_exe().unwrap();
    // Nearly as long as any test may take.
    let output = process::finish_within(
        Command::new("unshare")
            .args(["--net", "--"])
            .arg(program)
            .args(["--exact", "--nocapture", test])
            .env(INSIDE, "1"),
        Duration::from_secs(170),
    );
    let [said, wrong] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{wrong}"
    );
    print!("{said}");
    false
}

/// Packets that the rules have dropped.
fn dropped() -> u64 {
    let listed = done(
        "iptables",
        &["--list", "INPUT", "--verbose", "--numeric", "--exact"],
    );
    let rules = listed.lines().filter(|line| line.contains("DROP"));
    rules
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

#[test]
fn a_packet_in_ten_lost_both_ways_costs_time_and_nothing_else() {
    if !in_own_network("loss::a_packet_in_ten_lost_both_ways_costs_time_and_nothing_else") {
        return;
    }
    let mut ledger = Ledger::new("one packet in ten is lost, both ways");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let port = stack.address().port().to_string();
    for way in ["--sport", "--dport"] {
        done(
            "iptables",
            &[
                "--append",
                "INPUT",
                "--protocol",
                "tcp",
                way,
                &port,
                "--match",
                "statistic",
                "--mode",
                "random",
                "--probability",
                PROBABILITY,
                "--jump",
                "DROP",
            ],
        );
    }
    for n in 1..=3 {
        let mut scene = Scene::two();
        (scene.steps[0].lines, scene.steps[0].pause_ms) = (2_000, 0);
        let begun = Instant::now();
        let run = scene.start(&mut stack, &witness, &format!("loss-{n}"), |_| ());
        drop(stack.finished(&run));
        let figure = format!(
            "{} ms, {} packets lost so far",
            begun.elapsed().as_millis(),
            dropped()
        );
        scene.went_through(&mut ledger, "10 % loss", (&stack, &witness, &run), figure);
    }
    assert!(dropped() > 0, "no packet was lost");
    cleaned(&stack);
}
