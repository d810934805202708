//! Hours of an agent and its server, in seconds: sessions and connections are replaced when they are old, and results wait.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

/// What a process of the simulation printed last, when it went well.
fn simulated(what: &str, hours: u32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulation"));
    let output = command.args([what, &hours.to_string()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{text}{errors}\nagain: cargo run -p simulation -- {what} {hours}"
    );
    text.lines().last().unwrap().to_owned()
}

/// The number before a word.
fn before(text: &str, word: &str) -> u32 {
    let words: Vec<&str> = text
        .split([' ', ',', ';'])
        .filter(|word| !word.is_empty())
        .collect();
    let at = words.iter().position(|one| *one == word).unwrap();
    words[at - 1].parse().unwrap()
}

/// A session is an hour old, and at most one and a half; a connection two hours. There are two: what follows a session, and the logs.
fn grow_old(hours: u32) {
    let said = simulated("hours", hours);
    println!("{said}");
    assert!(before(&said, "sessions") >= hours * 2 / 3, "{said}");
    assert!(before(&said, "connections") >= 2 * (hours / 2 + 1), "{said}");
}

#[test]
fn a_step_of_three_hours_outlives_its_sessions_and_connections() {
    grow_old(3);
}

#[test]
fn full_a_step_of_a_day_outlives_its_sessions_and_connections() {
    grow_old(23);
}

#[test]
fn a_result_waits_a_day_for_its_server() {
    println!("{}", simulated("outage", 24));
}
