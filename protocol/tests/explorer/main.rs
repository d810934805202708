//! The server's and the agent's machine together in a modelled world: a network that drops, duplicates and
//! reorders, agents that crash between any two actions, hosts that reboot, a server that restarts, leases that
//! run out at any time, stops and resolutions. Small worlds are explored to the last state, big ones by seeded
//! walks. Planted bugs prove that the search finds what it looks for.
#![allow(clippy::unwrap_used, reason = "tests")]

mod agents;
mod canonical;
mod model;
mod moves;
mod search;
mod server;
mod walk;

use model::{Config, Mutation};
use protocol::Resolution;
use search::explore;

/// Two steps, the second needs the first; one agent.
const TWO_STEPS: Config = Config {
    needs: &[&[], &[0]],
    agents: 1,
    slots: 1,
    crashes: 2,
    reboots: 0,
    tries: 1,
    network: 3,
    records: 2,
    with_stop: false,
    agents_expire: false,
    resolutions: &[Resolution::Fail],
    full: false,
    mutation: None,
};

/// One step that a person may stop, with agents that notice the end of a lease.
const STOPPED: Config = Config {
    needs: &[&[]],
    crashes: 1,
    network: 2,
    records: 1,
    with_stop: true,
    agents_expire: true,
    ..TWO_STEPS
};

/// One step on a host that reboots under an agent that crashes, resolved in every way.
const REBOOTED: Config = Config {
    needs: &[&[]],
    crashes: 1,
    reboots: 1,
    network: 2,
    records: 1,
    resolutions: ALL,
    ..TWO_STEPS
};

/// One step that may be run again while its first attempt still runs.
const RERUN: Config = Config {
    needs: &[&[]],
    crashes: 0,
    tries: 2,
    network: 2,
    records: 1,
    resolutions: &[Resolution::Fail, Resolution::Rerun],
    ..TWO_STEPS
};

const ALL: &[Resolution] = &[Resolution::Fail, Resolution::Rerun, Resolution::Succeeded];

fn holds(name: &str, config: &Config) {
    let found = explore(config, 1_500_000);
    println!("{name}: {found}");
    assert!(found.violation.is_none(), "{name}: {found}");
    assert_eq!(found.stuck, 0, "{name}: {found}");
    assert!(
        found.complete && found.clean > 0,
        "{name}: not explored to the end: {found}"
    );
}

#[test]
fn two_steps_hold() {
    holds("two steps", &TWO_STEPS);
}

#[test]
fn a_stop_at_any_time_holds() {
    holds("stop", &STOPPED);
}

#[test]
fn a_reboot_holds() {
    holds("reboot", &REBOOTED);
}

#[test]
fn a_rerun_holds() {
    holds("rerun", &RERUN);
}

/// The bug is found, and the trace is the shortest there is (breadth first).
fn is_caught(mutation: Mutation) {
    is_caught_in(mutation, &TWO_STEPS);
}

fn is_caught_in(mutation: Mutation, config: &Config) {
    let found = explore(
        &Config {
            mutation: Some(mutation),
            ..*config
        },
        1_000_000,
    );
    println!("{mutation:?}: {found}");
    let violation = found
        .violation
        .unwrap_or_else(|| panic!("{mutation:?} was not caught"));
    assert!(
        violation.what.contains("started twice"),
        "{mutation:?}: {}",
        violation.what
    );
}

#[test]
fn forgotten_tombstones_are_caught() {
    is_caught(Mutation::ForgetTombstones);
}

#[test]
fn missing_adoption_is_caught() {
    is_caught(Mutation::NoAdoption);
}

#[test]
fn a_spool_dropped_when_sent_is_caught() {
    is_caught(Mutation::DropSpoolOnSend);
}

#[test]
fn a_rerun_on_expiry_is_caught() {
    is_caught(Mutation::RerunOnExpiry);
}

#[test]
fn a_stale_hello_that_counts_is_caught() {
    is_caught_in(
        Mutation::NoGate,
        &Config {
            needs: &[&[]],
            crashes: 0,
            resolutions: &[],
            ..TWO_STEPS
        },
    );
}

#[test]
fn an_offer_of_a_dead_session_that_counts_is_caught() {
    is_caught(Mutation::NoEpoch);
}

#[test]
fn a_start_forgotten_over_a_reboot_is_caught() {
    is_caught_in(Mutation::NoBoot, &REBOOTED);
}

#[test]
fn bigger_worlds_hold_on_seeded_walks() {
    let config = Config {
        needs: &[&[], &[0], &[0], &[1, 2]],
        agents: 2,
        slots: 2,
        crashes: 3,
        reboots: 1,
        tries: 2,
        network: 6,
        records: 2,
        with_stop: true,
        agents_expire: true,
        resolutions: ALL,
        full: true,
        mutation: None,
    };
    walk::walks(&config, 6_000, 200);
}

#[test]
fn seeded_walks_find_a_planted_bug() {
    let config = Config {
        needs: &[&[], &[0]],
        agents: 2,
        network: 6,
        full: true,
        mutation: Some(Mutation::RerunOnExpiry),
        ..TWO_STEPS
    };
    let found = (0..2_000).find_map(|seed| walk::walk(&config, seed, 100).err());
    assert!(found.is_some_and(|what| what.contains("started twice")));
}
