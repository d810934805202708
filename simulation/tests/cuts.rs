//! A conversation of an agent with its server, cut after each of its bytes: every result, log and artifact arrives once.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

/// What a process of the simulation printed, when it went well.
fn cut(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulation"));
    let output = command.arg("cut").args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{text}{errors}\nagain: cargo run -p simulation -- cut {}",
        args.join(" ")
    );
    let last = text.lines().last().unwrap_or_default().to_owned();
    println!("{last}");
    last
}

/// The number before a word, each time it stands there.
fn before<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = u64> + 'a {
    let words: Vec<&str> = text
        .split([' ', ',', ';', ':'])
        .filter(|word| !word.is_empty())
        .collect();
    let pairs: Vec<u64> = words
        .windows(2)
        .filter(|pair| pair[1] == word)
        .map(|pair| pair[0].parse().unwrap())
        .collect();
    pairs.into_iter()
}

/// Session, logs, an artifact that is sent, and one that is got.
const CONNECTIONS: usize = 4;

/// Each connection's bytes of one way, cut off after every so many.
fn swept(way: &str, step: u64) {
    let recorded = cut(&[]);
    let bytes: Vec<u64> = before(&recorded, way).collect();
    assert_eq!(bytes.len(), CONNECTIONS, "{recorded}");
    for (connection, bytes) in bytes.into_iter().enumerate() {
        let said = cut(&[&connection.to_string(), way, &step.to_string()]);
        let cuts = before(&said, "cuts").next().unwrap();
        // Heartbeats come when they come, and numbers have more digits later: no conversation has the length of the other.
        let least = bytes / step * 9 / 10;
        assert!(bytes > 100 && cuts >= least, "{bytes} bytes, and of them: {said}");
    }
}

/// No divisor of what frames and messages are long.
const COARSE: u64 = 11;

#[test]
fn what_an_agent_says_is_cut_after_every_few_bytes() {
    swept("up", COARSE);
}

#[test]
fn what_a_server_says_is_cut_after_every_few_bytes() {
    swept("down", COARSE);
}

#[test]
fn full_what_an_agent_says_is_cut_after_every_byte() {
    swept("up", 1);
}

#[test]
fn full_what_a_server_says_is_cut_after_every_byte() {
    swept("down", 1);
}
