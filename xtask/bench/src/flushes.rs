//! Row 7: disk flushes of a run of seven steps that do nothing, server and agent together.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    http,
    stack::{PATIENCE, Stack},
    steps::STEPS,
    table::{Row, Series},
};

const AT_ONCE: usize = 50;
/// The processes that are counted.
const BOTH: [&str; 2] = ["server", "agent"];

/// A chain of the cheapest action there is.
fn definition() -> String {
    let mut text = String::from("name: bench-actions\non:\n  alert: {}\nsteps:\n");
    for n in 1..=STEPS {
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "  s{n}:\n    uses: incident/parse\n    with: {{ alert: \"${{{{ trigger.alert }}}}\" }}\n"
        );
        if n > 1 {
            let _ = writeln!(text, "    needs: s{}", n - 1);
        }
    }
    text
}

pub(crate) fn measure(rounds: usize) -> Result<Vec<Row>> {
    let mut stack = Stack::start(true)?;
    stack.agent("agent", &[], &[])?;
    let file = stack.file("actions.yaml", &definition())?;
    stack.cli(&["put", &file])?;
    let mut alone = Series::new("a run alone");
    let mut together = Series::new("50 at once, each");
    for round in 0..=rounds {
        let one = flushes(&stack, round, 1)?;
        let fifty = flushes(&stack, round, AT_ONCE)?;
        if round > 0 {
            alone.push(sum(&one));
            together.push(sum(&fifty));
        }
        if round == rounds {
            println!("row 7, by file, in the last round alone: {}", listed(&one));
            println!(
                "row 7, by file, in the last round of 50, each: {}",
                listed(&fifty)
            );
        }
    }
    let (one, fifty) = (alone.median(), together.median());
    Ok(vec![Row {
        number: 7,
        what: "disk flushes of a 7-step run, server and agent together: alone / 50 at once".to_owned(),
        series: vec![alone, together],
        unit: "flushes",
        goal: "≤ 30 / ≤ 6".to_owned(),
        figure: format!("{one:.0} / {fifty:.1}"),
        met: one <= 30.0 && fifty <= 6.0,
    }])
}

fn sum(flushes: &Flushes) -> f64 {
    flushes.values().sum()
}

fn listed(flushes: &Flushes) -> String {
    let each: Vec<String> = flushes
        .iter()
        .map(|(file, count)| format!("{file} {count:.1}"))
        .collect();
    each.join(", ")
}

/// Flushes of one run, by process and file.
type Flushes = BTreeMap<String, f64>;

/// Flushes a run, with so many at once.
fn flushes(stack: &Stack, round: usize, runs: usize) -> Result<Flushes> {
    let before = quiet(stack)?;
    let to = stack.address;
    let posts: Vec<_> = (0..runs)
        .map(|n| {
            let alert = json!({ "id": format!("flush-{round}-{runs}-{n}"), "title": "bench" });
            std::thread::spawn(move || http::post(to, "/webhook/incident-response", &alert))
        })
        .collect();
    let mut started = Vec::new();
    for post in posts {
        let answer = post.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        started.push(answer["run_id"].as_str().context("no run")?.to_owned());
    }
    ended(stack, &started)?;
    let after = quiet(stack)?;
    let added = |file: &String, count: usize| count - before.get(file).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let each = |count: usize| count as f64 / runs as f64;
    let counts = after
        .iter()
        .map(|(file, count)| (file.clone(), each(added(file, *count))));
    Ok(counts.filter(|(_, count)| *count > 0.0).collect())
}

/// Waits until all have ended well.
fn ended(stack: &Stack, runs: &[String]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let limit = runs.len().to_string();
        let listed = stack.json(&["runs", "--limit", &limit])?;
        let done = |run: &String| {
            let found = listed
                .as_array()
                .into_iter()
                .flatten()
                .find(|one| one["id"] == run.as_str());
            found.map_or(Value::Null, |one| one["outcome"].clone())
        };
        let outcomes: Vec<Value> = runs.iter().map(done).collect();
        if outcomes.iter().all(|outcome| outcome == "succeeded") {
            return Ok(());
        }
        ensure!(
            outcomes.iter().all(|one| one.is_null() || one == "succeeded"),
            "a measured run failed"
        );
        if Instant::now() > deadline {
            bail!("the measured runs did not end: {outcomes:?}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The count once nothing has been added for a while.
fn quiet(stack: &Stack) -> Result<BTreeMap<String, usize>> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = stack.flushes(&BOTH)?;
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(600) {
        ensure!(Instant::now() < deadline, "the disk never comes to rest");
        std::thread::sleep(Duration::from_millis(50));
        let now = stack.flushes(&BOTH)?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(last)
}
