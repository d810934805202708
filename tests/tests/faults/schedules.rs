//! Random work under random faults. More of it, and other seeds: `cargo xtask soak`.

use std::time::Duration;

use e2e::schedule::Soak;

/// Seeds that went wrong once stay here.
const ONCE_WRONG: [u64; 0] = [];

fn schedules(seed: u64, schedules: u64, at_once: usize) {
    let soak = Soak {
        seed,
        schedules,
        within: Duration::MAX,
        at_once,
    };
    let wrong = soak.run();
    assert!(
        wrong.is_empty(),
        "cargo xtask soak --schedules 1 --seed {wrong:?}"
    );
}

#[test]
fn twenty_random_schedules_lose_and_double_nothing() {
    schedules(20_261_125, 20, 4);
    for seed in ONCE_WRONG {
        schedules(seed, 1, 1);
    }
}

/// Five hundred in all, in parts that a slow machine finishes in time.
fn hundred(from: u64) {
    schedules(from, 100, 4);
}

#[test]
fn full_random_schedules_1_to_100_lose_and_double_nothing() {
    hundred(1);
}

#[test]
fn full_random_schedules_101_to_200_lose_and_double_nothing() {
    hundred(101);
}

#[test]
fn full_random_schedules_201_to_300_lose_and_double_nothing() {
    hundred(201);
}

#[test]
fn full_random_schedules_301_to_400_lose_and_double_nothing() {
    hundred(301);
}

#[test]
fn full_random_schedules_401_to_500_lose_and_double_nothing() {
    hundred(401);
}
