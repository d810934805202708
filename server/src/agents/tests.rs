//! The registry by itself: what a race would need luck to show from outside.

use std::collections::BTreeMap;

use engine::{At, placement::Wanted};
use types::{ContainerWork, RunId, Whose, Work, WorkBody};

use super::*;

fn work() -> Work {
    let container = ContainerWork {
        image: "host".to_owned(),
        pull: types::Pull::default(),
        argv: Vec::new(),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        secret_files: BTreeSet::new(),
        files: BTreeMap::new(),
        artifacts: BTreeMap::new(),
        resources: types::Resources::default(),
        network: types::Network::None,
        host_view: BTreeSet::new(),
        workdir: None,
        user: None,
        output_from: types::OutputFrom::default(),
        runtime: None,
        services: std::collections::BTreeMap::new(),
    };
    Work {
        body: WorkBody::Container(container),
        outputs: BTreeMap::new(),
        timeout_ms: 1_000,
        grace_ms: 1_000,
        disconnect_ms: 1_000,
    }
}

fn id(n: u8) -> AgentId {
    AgentId::new(Timestamp::from_unix_ms(1), [n; 10])
}

fn ses(n: u8) -> SessionId {
    SessionId::new(Timestamp::from_unix_ms(1), [n; 10])
}

fn open(agents: &Agents, agent: u8, session: u8, dial: u64) -> Option<Opened> {
    open_as(agents, agent, session, dial, "")
}

fn open_as(agents: &Agents, agent: u8, session: u8, dial: u64, instance: &str) -> Option<Opened> {
    let hello = Introduction {
        name: format!("a{agent}"),
        labels: Labels::default(),
        facts: Facts {
            runtimes: vec!["native".to_owned()],
            offers: BTreeMap::new(),
            ..Facts::default()
        },
        dial,
        instance: instance.to_owned(),
        crashed: false,
        answers_probes: false,
        held: Inventory::default(),
    };
    agents.open(&id(agent), ses(session), hello)
}

fn reserve(agents: &Agents) -> Result<Placement, String> {
    let (work, runs_on) = (work(), BTreeMap::new());
    agents.reserve(&Wanted {
        work: &work,
        runs_on: &runs_on,
        connection: None,
        whose: Whose::default(),
        crashes: None,
    })
}

fn lease(placement: &Placement) -> Lease {
    Lease {
        run: RunId::new(Timestamp::from_unix_ms(1), [1; 10]),
        at: At {
            step: "s".to_owned(),
            index: None,
            attempt: 1,
        },
        agent: placement.agent.clone(),
        session: placement.session.clone(),
        budget_ms: 0,
        lost: false,
    }
}

#[test]
fn an_older_dial_that_comes_late_does_not_supersede_the_newer() {
    let agents = Agents::new(Clock::start());
    let newer = open(&agents, 1, 2, 6).unwrap();
    assert!(open(&agents, 1, 1, 5).is_none());
    assert!(open(&agents, 1, 1, 6).is_none());
    assert!(agents.is_current(&id(1), &ses(2)) && !newer.end.is_cancelled());
    agents.closed(&id(1), &ses(1));
    assert!(agents.is_current(&id(1), &ses(2)));
    let newest = open(&agents, 1, 3, 7).unwrap();
    assert!(newer.end.is_cancelled() && !newest.end.is_cancelled());
    assert_eq!(*newer.close.lock().unwrap(), Some(Close::Superseded));
}

#[test]
fn slots_are_taken_given_back_and_told() {
    let agents = Agents::new(Clock::start());
    let _one = open(&agents, 1, 1, 1);
    assert!(reserve(&agents).is_err(), "nothing granted");
    agents.grant(&id(1), &ses(1), 1);
    let changed = agents.changed();
    let placement = reserve(&agents).unwrap();
    assert!(reserve(&agents).is_err());
    agents.release(&placement);
    assert!(
        changed.has_changed().unwrap(),
        "a slot that is given back wakes who waits"
    );
    assert!(reserve(&agents).is_ok());
    // Grants of an older session are none of this one.
    agents.grant(&id(1), &ses(9), 100);
    assert!(reserve(&agents).is_err());
}

#[test]
fn a_session_that_does_not_read_is_offered_nothing_more() {
    let agents = Agents::new(Clock::start());
    let opened = open(&agents, 1, 1, 1).unwrap();
    agents.grant(&id(1), &ses(1), 9);
    for _ in 0..=DOWN_MESSAGES {
        agents.send(&id(1), None, v1::SessionDown::default());
    }
    assert!(opened.end.is_cancelled());
    assert_eq!(*opened.close.lock().unwrap(), Some(Close::Slow));
    assert!(reserve(&agents).is_err());
}

#[test]
fn a_decline_counts_once_and_only_for_its_session() {
    let agents = Agents::new(Clock::start());
    let _one = open(&agents, 1, 1, 1);
    agents.grant(&id(1), &ses(1), 4);
    let placement = reserve(&agents).unwrap();
    agents.lease(placement.token.clone(), lease(&placement));
    agents.full(&id(1), &ses(2), &placement.token);
    assert!(reserve(&agents).is_ok());
    agents.full(&id(1), &ses(1), &placement.token);
    assert!(reserve(&agents).is_err());
    // What was granted before is no news: so a probe is answered.
    agents.grant(&id(1), &ses(1), 0);
    agents.grant(&id(1), &ses(1), 4);
    assert!(reserve(&agents).is_err());
    agents.grant(&id(1), &ses(1), 5);
    agents.unlease(&placement.token);
    agents.full(&id(1), &ses(1), &placement.token);
    assert!(reserve(&agents).is_ok());
}

#[test]
fn leases_are_renewed_by_their_own_agent_and_leave_the_book() {
    let agents = Agents::new(Clock::start());
    let _one = open(&agents, 1, 1, 1);
    agents.grant(&id(1), &ses(1), 2);
    let (a, b) = (reserve(&agents).unwrap(), reserve(&agents).unwrap());
    agents.lease(a.token.clone(), lease(&a));
    let strange = agents.renew(&id(2), "", vec![a.token.clone()], None);
    assert_eq!(strange.first(), Some(&a.token), "another's");
    assert!(agents.renew(&id(1), "", vec![a.token.clone()], None).is_empty());
    agents.lost(&a.token);
    assert!(
        agents.renew(&id(1), "", vec![a.token.clone()], None).is_empty(),
        "in doubt is not unwanted"
    );
    assert!(agents.expired().is_empty());
    agents.lease(b.token.clone(), lease(&b));
    // Withdrawn: its token is not known any more.
    agents.unlease_attempt(&lease(&b).run, &lease(&b).at);
    assert!(agents.leases_at(&id(1)).is_empty());
}

#[test]
fn what_waits_unread_after_a_pause_expires_no_lease_and_disconnects_nobody() {
    let agents = Agents::new(Clock::start());
    let _one = open(&agents, 1, 1, 1);
    agents.grant(&id(1), &ses(1), 1);
    let placement = reserve(&agents).unwrap();
    agents.lease(placement.token.clone(), lease(&placement));
    let mut book = agents.book();
    let connected = |book: &Book, now| book.snapshot(now).agents[0].session.is_some();
    // The lease here has no time of its own: the margin is all. Looks come, and nothing is heard.
    for now in (0..=20_000).step_by(1_000) {
        book.listening.look(now);
    }
    assert!(book.expired(9_000).is_empty() && connected(&book, 9_000));
    assert!(!book.expired(20_000).is_empty() && !connected(&book, 20_000));
    // Nobody looked for a minute: whoever asks first finds out.
    assert!(book.expired(80_000).is_empty() && connected(&book, 80_000));
    assert_eq!(book.listening.look(80_000), Some(60_000));
    for now in (81_000..=90_000).step_by(1_000) {
        assert!(book.expired(now - 1).is_empty());
        book.listening.look(now);
    }
    assert!(!book.expired(91_000).is_empty());
}

#[test]
fn who_is_refused_beside_another_process_does_not_speak_for_it() {
    let agents = Agents::new(Clock::start());
    let _open = open_as(&agents, 1, 1, 1, "first").unwrap();
    let running = |running| {
        Some(v1::AgentStats {
            running,
            ..v1::AgentStats::default()
        })
    };
    let told = || agents.list()[0].stats.map(|stats| stats.running);
    assert!(agents.other(&id(1), "second").is_some() && agents.other(&id(1), "first").is_none());
    agents.renew(&id(1), "first", Vec::new(), running(1));
    agents.renew(&id(1), "second", Vec::new(), running(2));
    assert_eq!(told(), Some(1));
    // An older agent does not say which process it is.
    agents.renew(&id(1), "", Vec::new(), running(3));
    assert_eq!(told(), Some(3));
}
