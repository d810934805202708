//! What a step feels of others on its host that take all they can get.

use std::{fs, path::Path};

use e2e::{
    Stack,
    ledger::{Ledger, Row},
    scene::cleaned,
};
use serde_json::Value;

/// A step that starts a program again and again for 3 s, and prints how long each took, in microseconds.
const NEIGHBOUR: &str = r#"  neighbour:
    image: host
    run: |
      exec perl -MTime::HiRes=time,sleep -e '
        my $until = time + 3;
        while (time < $until) {
          my $begun = time;
          system("true") == 0 or die "no program was started";
          printf "%d\n", (time - $begun) * 1e6;
          sleep 0.005;
        }'
"#;

/// Each takes one thing without end, and has a limit of it.
const GREEDY: &[(&str, &str, &str)] = &[
    (
        "processes",
        "resources: { pids: 64 }",
        "f() { f | f & }; f & exec sleep 60",
    ),
    (
        "memory",
        "resources: { memory: 64MiB }",
        "x=xxxxxxxx; while :; do x=$x$x; done",
    ),
    (
        "processor",
        "resources: { cpu: 0.5 }",
        "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait",
    ),
    (
        "disk",
        "grace: 1s",
        "while cat /dev/zero >> /tmp/full 2>> /tmp/why || true; do :; done",
    ),
    ("output", "grace: 1s", "exec yes"),
];

fn definition(beside: bool) -> String {
    let mut text = format!("name: neighbours\nsteps:\n{NEIGHBOUR}");
    for (name, limit, script) in GREEDY.iter().filter(|_| beside) {
        text.push_str(&format!(
            "  {name}:\n    image: host\n    timeout: 5s\n    {limit}\n    run: |\n      {script}\n"
        ));
    }
    text
}

/// Microseconds of the run's neighbour: the median and the 99th percentile.
fn felt(stack: &Stack, run: &str) -> (u64, u64) {
    let log = String::from_utf8(stack.logs(run, "neighbour")).unwrap();
    let mut took: Vec<u64> = log.lines().map(|line| line.parse().unwrap()).collect();
    took.sort_unstable();
    assert!(took.len() >= 20, "only {} programs in 3 s", took.len());
    (took[took.len() / 2], took[took.len() * 99 / 100])
}

fn step<'a>(view: &'a Value, key: &str) -> &'a Value {
    let steps = view["steps"].as_array().unwrap();
    steps.iter().find(|step| step["key"] == key).unwrap()
}

/// Bytes of all files below a directory.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        // Removed meanwhile.
        Err(_) => 0,
    });
    sizes.sum()
}

#[test]
fn what_takes_all_it_can_get_is_held_and_its_neighbour_goes_on() {
    let mut ledger = Ledger::new("steps that take all they can get");
    let mut stack = Stack::server();
    stack.agent("one", &[], &[]);
    let alone = stack.start(&definition(false), &[]);
    assert_eq!(stack.finished(&alone)["outcome"], "succeeded");
    let before = size(&stack.agent_dir("one"));
    let beside = stack.start(&definition(true), &[]);
    let view = stack.finished(&beside);
    assert_eq!(view["outcome"], "failed", "{view:#}");
    assert_eq!(step(&view, "neighbour")["state"], "succeeded", "{view:#}");
    for (name, cause) in [
        ("processes", "time"),
        ("memory", "memory"),
        ("processor", "time"),
        ("disk", "time"),
        ("output", "time"),
    ] {
        let step = step(&view, name);
        assert_eq!(step["state"], "failed", "{name}: {step:#}");
        let why = step["attempts"][0]["message"].as_str().unwrap_or_default();
        assert!(why.contains(cause), "{name}: {step:#}");
    }
    for (what, run) in [("alone", &alone), ("beside all of them", &beside)] {
        let (median, most) = felt(&stack, run);
        ledger.add(
            what,
            Row {
                runs: 1,
                figure: format!(
                    "a program of the neighbour: median {:.1} ms, p99 {:.1} ms",
                    micros(median),
                    micros(most)
                ),
                ..Row::default()
            },
        );
    }
    cleaned(&stack);
    let more = size(&stack.agent_dir("one")).saturating_sub(before);
    assert!(more < 16 << 20, "{more} bytes stay");
    let figure = format!("{} KiB stay of it, none of them an attempt's", more >> 10);
    ledger.add(
        "the agent's disk",
        Row {
            figure,
            ..Row::default()
        },
    );
    let sessions = stack.said_by("server").matches("agent connected").count();
    let figure = format!("{sessions} in all");
    ledger.add(
        "sessions of the agent",
        Row {
            figure,
            ..Row::default()
        },
    );
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
fn micros(count: u64) -> f64 {
    count as f64 / 1_000.0
}
