//! Seeds that hold, seeds that are the same twice, planted bugs that are found.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    ops::RangeInclusive,
    process::{Command, Output},
};

use simulation::planted::Planted;

/// Each seed in a process of its own, as it is run again by hand.
fn run(seed: u64, planted: Option<Planted>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulation"));
    command.arg(seed.to_string());
    command.args(planted.map(|one| one.to_string()));
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn hold(seeds: RangeInclusive<u64>) {
    for seed in seeds {
        let output = run(seed, None);
        let text = text(&output);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{text}{errors}\nagain: cargo run -p simulation -- {seed}"
        );
        println!("{}", text.lines().last().unwrap_or_default());
    }
}

/// Few in a test: each has its deadline, on a slow machine too.
macro_rules! seeds {
    ($($name:ident: $seeds:expr,)*) => {$(
        #[test]
        fn $name() {
            hold($seeds);
        }
    )*};
}

seeds! {
    seeds_to_10_hold: 1..=10,
    seeds_to_20_hold: 11..=20,
    seeds_to_30_hold: 21..=30,
    seeds_to_40_hold: 31..=40,
    seeds_to_50_hold: 41..=50,
    seeds_to_60_hold: 51..=60,
    seeds_to_70_hold: 61..=70,
    seeds_to_80_hold: 71..=80,
    seeds_to_90_hold: 81..=90,
    seeds_to_100_hold: 91..=100,
    seeds_to_110_hold: 101..=110,
    seeds_to_120_hold: 111..=120,
    seeds_to_130_hold: 121..=130,
    seeds_to_140_hold: 131..=140,
    seeds_to_150_hold: 141..=150,
    seeds_to_160_hold: 151..=160,
    seeds_to_170_hold: 161..=170,
    seeds_to_180_hold: 171..=180,
    seeds_to_190_hold: 181..=190,
    seeds_to_200_hold: 191..=200,
}

#[test]
fn full_a_thousand_more_seeds_hold() {
    hold(201..=1_200);
}

#[test]
fn a_seed_is_the_same_to_the_letter() {
    for seed in 1..=4 {
        let (one, two) = (text(&run(seed, None)), text(&run(seed, None)));
        let differ = one.lines().zip(two.lines()).position(|(a, b)| a != b);
        assert!(
            one == two,
            "seed {seed} differs at line {differ:?}:\n{:?}\n{:?}",
            differ.and_then(|n| one.lines().nth(n)),
            differ.and_then(|n| two.lines().nth(n))
        );
        assert!(one.lines().count() > 100, "seed {seed} does something: {one}");
    }
}

/// Within so many seeds each planted bug is found.
const ENOUGH: u64 = 30;

fn is_caught(planted: Planted) {
    is_caught_from(1, planted);
}

fn is_caught_from(first: u64, planted: Planted) {
    for seed in first..first + ENOUGH {
        let output = run(seed, Some(planted));
        if !output.status.success() {
            let text = text(&output);
            let what = text.lines().last().unwrap_or_default();
            assert!(what.starts_with("VIOLATION"), "{text}");
            println!("{planted}: seed {seed}: {what}");
            return;
        }
    }
    panic!("{planted} was not found in {ENOUGH} seeds");
}

#[test]
fn a_result_dropped_when_sent_is_caught() {
    is_caught(Planted::ResultDroppedWhenSent);
}

#[test]
fn a_spool_that_is_not_kept_is_caught() {
    is_caught(Planted::SpoolNotKept);
}

#[test]
fn containers_that_are_not_adopted_are_caught() {
    is_caught(Planted::NoAdoption);
}

#[test]
fn a_store_that_answers_without_writing_is_caught() {
    is_caught(Planted::AnsweredNotStored);
}

#[test]
fn a_pause_of_the_server_that_is_not_noticed_is_caught() {
    // Few stop the server for longer than a lease; the third of these does.
    is_caught_from(60, Planted::PauseUnnoticed);
}

#[test]
fn artifacts_that_are_not_kept_are_caught() {
    is_caught(Planted::ArtifactsNotKept);
}

#[test]
fn a_lease_whose_end_runs_a_step_again_is_caught() {
    is_caught(Planted::ExpiryReruns);
}
