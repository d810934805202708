//! The tables of `docs/protocol.md` are the machines: every combination of state and input is looked up there
//! and compared with what the code does, and every row is used.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use protocol::agent::{Action, Desk, Ending, Input as AgentInput, Lease as AgentLease, Phase, Seen};
use protocol::server::{Attempt, Change, Input, Known, Lease, Send, State};
use protocol::{Decline, Held, Report, Resolution};

const DOC: &str = include_str!("../../docs/protocol.md");

struct Table {
    rows: Vec<Vec<String>>,
    used: BTreeSet<usize>,
}

impl Table {
    /// The table under a heading; `keys` leading columns are looked up.
    fn under(heading: &str) -> Self {
        let section = DOC
            .split("\n## ")
            .find(|section| section.starts_with(heading))
            .unwrap();
        let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
        let cells = |line: &str| {
            line.trim_matches('|')
                .split('|')
                .map(|c| c.trim().to_owned())
                .collect()
        };
        Self {
            rows: rows.map(cells).collect(),
            used: BTreeSet::new(),
        }
    }

    /// The first row that fits.
    fn rule(&mut self, keys: &[&str]) -> Vec<String> {
        let fits = |cell: &str, key: &str| cell == "*" || cell.split(", ").any(|one| one == key);
        let row = self
            .rows
            .iter()
            .position(|row| row.iter().zip(keys).all(|(cell, key)| fits(cell, key)));
        let row = row.unwrap_or_else(|| panic!("no row for {keys:?}"));
        self.used.insert(row);
        self.rows[row].clone()
    }

    fn all_used(&self) {
        let unused: Vec<_> = (0..self.rows.len())
            .filter(|row| !self.used.contains(row))
            .collect();
        assert!(
            unused.is_empty(),
            "rows that no case needs: {:?}",
            unused.iter().map(|r| &self.rows[*r]).collect::<Vec<_>>()
        );
    }
}

type ServerAttempt = Attempt<u8, u8, u8>;
const LEASE: Lease<u8, u8, u8> = Lease {
    token: 1,
    agent: 1,
    session: 1,
};

fn states() -> Vec<(&'static str, bool, ServerAttempt)> {
    let known = [
        ("offered", Known::Offered),
        ("accepted", Known::Accepted),
        ("started", Known::Started),
    ];
    let lost = [
        ("lost-offered", Known::Offered),
        ("lost-accepted", Known::Accepted),
        ("lost-started", Known::Started),
    ];
    let mut states = vec![
        ("queued", State::Queued),
        ("finished", State::Finished { lease: LEASE }),
    ];
    states.extend(known.map(|(name, known)| (name, State::Out { lease: LEASE, known })));
    states.extend(lost.map(|(name, known)| (name, State::Lost { lease: LEASE, known })));
    let settled = |resolution| {
        (
            "settled",
            State::Settled {
                lease: LEASE,
                resolution,
            },
        )
    };
    states.extend([Resolution::Fail, Resolution::Rerun, Resolution::Succeeded].map(settled));
    states.push(("withdrawn", State::Withdrawn));
    let both = |(name, state): (_, State<_, _, _>)| {
        [false, true].map(|stopping| (name, stopping, Attempt::restore(state.clone(), stopping)))
    };
    let possible = |case: &(&str, bool, ServerAttempt)| (case.0, case.1) != ("queued", true);
    states.into_iter().flat_map(both).filter(possible).collect()
}

fn inputs() -> Vec<(&'static str, &'static str, Input<u8, u8, u8>)> {
    let mut inputs = vec![
        (
            "offer",
            "-",
            Input::Offer(Lease {
                token: 2,
                agent: 2,
                session: 2,
            }),
        ),
        ("resolve fail", "-", Input::Resolve(Resolution::Fail)),
        ("resolve rerun", "-", Input::Resolve(Resolution::Rerun)),
        ("resolve succeeded", "-", Input::Resolve(Resolution::Succeeded)),
        ("stop", "-", Input::Stop),
        ("expired", "mine", Input::Expired { token: 1 }),
        ("expired", "other token", Input::Expired { token: 9 }),
    ];
    let reports = [
        ("accepted", Report::Accepted),
        ("started", Report::Started),
        ("declined", Report::Declined),
        ("released", Report::Released),
        ("finished", Report::Finished),
        ("lost", Report::Lost),
    ];
    for (name, report) in reports {
        for (whose, token, from) in [("mine", 1, 1), ("other token", 9, 1), ("other agent", 1, 9)] {
            inputs.push((name, whose, Input::Report { token, from, report }));
        }
    }
    let holdings = [
        ("holds nothing", None),
        ("holds accepted", Some(Held::Accepted)),
        ("holds starting", Some(Held::Starting)),
        ("holds running", Some(Held::Running)),
        ("holds finished", Some(Held::Finished)),
        ("holds done", Some(Held::Done)),
    ];
    for (name, held) in holdings {
        for (which, agent, session) in [("newer", 1, 2), ("same", 1, 1), ("other agent", 9, 2)] {
            inputs.push((name, which, Input::Inventory { agent, session, held }));
        }
    }
    inputs
}

fn state_name(attempt: &ServerAttempt) -> String {
    let known = |known: Known| format!("{known:?}").to_lowercase();
    match attempt.state() {
        State::Queued => "queued".to_owned(),
        State::Out { known: k, .. } => known(*k),
        State::Lost { known: k, .. } => format!("lost-{}", known(*k)),
        State::Finished { .. } => "finished".to_owned(),
        State::Settled { .. } => "settled".to_owned(),
        State::Withdrawn => "withdrawn".to_owned(),
    }
}

/// The first word of a value's debug form: its variant.
fn variant(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
        .split([' ', '(', '{'])
        .next()
        .unwrap()
        .to_owned()
}

/// The picture in docs/semantics.md has the ways that an attempt can go, all of them and no others. It leaves out how
/// much is known of one in doubt.
#[test]
fn the_picture_of_an_attempt_is_the_server_s_machine() {
    let mut ways = BTreeSet::new();
    for (from, _, before) in states() {
        for (_, _, input) in inputs() {
            let mut after = before.clone();
            after.on(input);
            let picture = |name: &str| {
                if name.starts_with("lost-") {
                    "in_doubt".to_owned()
                } else {
                    name.to_owned()
                }
            };
            let (from, to) = (picture(from), picture(&state_name(&after)));
            if from != to {
                ways.insert((from, to));
            }
        }
    }
    let semantics = include_str!("../../docs/semantics.md");
    let section = semantics
        .split("\n## ")
        .find(|section| section.starts_with("An attempt"));
    let drawn = section.unwrap().lines().filter_map(|line| {
        let (from, rest) = line.trim().split_once(" --> ")?;
        let to = rest.split(':').next()?.trim();
        (from != "[*]" && to != "[*]").then(|| (from.to_owned(), to.to_owned()))
    });
    assert_eq!(drawn.collect::<BTreeSet<_>>(), ways);
}

#[test]
fn the_server_does_what_its_table_says() {
    let mut table = Table::under("Server");
    for (name, stopping, before) in states() {
        for (input_name, whose, input) in inputs() {
            let case = [name, if stopping { "yes" } else { "no" }, input_name, whose];
            let rule = table.rule(&case);
            let mut after = before.clone();
            let step = after.on(input.clone());
            let append = match &step.change {
                Change::Append(event) => variant(event),
                Change::Repeat => "repeat".to_owned(),
                Change::Ignored(why) => format!("ignored {why:?}"),
            };
            let send = step
                .send
                .as_ref()
                .map_or("-".to_owned(), |send| variant(send).to_lowercase());
            let state = if rule[4] == "=" { name } else { &rule[4] };
            assert_eq!(
                (state_name(&after), append, send),
                (state.to_owned(), rule[5].clone(), rule[6].clone()),
                "{case:?}"
            );
            if !matches!(step.change, Change::Append(_)) {
                assert_eq!(after, before, "{case:?}: changed without an event");
            }
            addressed_right(&input, step.send);
        }
    }
    table.all_used();
}

/// An answer names the token that was spoken of.
fn addressed_right(input: &Input<u8, u8, u8>, send: Option<Send<u8, u8, u8>>) {
    let spoken = match input {
        Input::Report { token, .. } => *token,
        Input::Offer(lease) => lease.token,
        _ => LEASE.token,
    };
    let named = send.map(|send| match send {
        Send::Offer(lease) => lease.token,
        Send::Ack(token) | Send::Stop(token) | Send::Forget(token) => token,
    });
    assert!(
        named.is_none_or(|named| named == spoken),
        "{input:?} answered about {named:?}"
    );
}

const TOKEN: u8 = 1;
const RESULT: u8 = 7;

fn phases() -> Vec<(&'static str, Option<Phase<u8>>, &'static [bool])> {
    let ending = Ending::Finished { result: RESULT };
    vec![
        ("unknown", None, &[false]),
        ("accepted", Some(Phase::Accepted), &[false]),
        ("starting", Some(Phase::Starting), &[false, true]),
        ("running", Some(Phase::Running), &[false, true]),
        ("finished", Some(Phase::Finished { ending }), &[false, true]),
        ("tombstone", Some(Phase::Tombstone), &[false, true]),
    ]
}

fn agent_inputs() -> Vec<(&'static str, u32, AgentInput<u8, u8, u8>)> {
    let token = TOKEN;
    let offer = |admit| AgentInput::Offer {
        token,
        session: 1,
        admit,
    };
    let seen = |seen| AgentInput::Recovered { token, seen };
    vec![
        ("offer", 2, offer(Ok(()))),
        ("offer refused", 2, offer(Err(Decline::Draining))),
        ("offer full", 0, offer(Ok(()))),
        ("ready", 2, AgentInput::Ready { token }),
        ("started", 2, AgentInput::Started { token }),
        (
            "ended",
            2,
            AgentInput::Ended {
                token,
                result: RESULT,
            },
        ),
        ("sees running", 2, seen(Seen::Running)),
        ("sees exit", 2, seen(Seen::Exited(RESULT))),
        ("sees never", 2, seen(Seen::NeverStarted)),
        ("sees unknown", 2, seen(Seen::Unknown)),
        ("stop", 2, AgentInput::Stop { token }),
        ("lease over", 2, AgentInput::LeaseEnded { token }),
        ("ack", 2, AgentInput::Ack { token }),
        ("forget", 2, AgentInput::Forget { token }),
        ("opened", 2, AgentInput::Opened(3)),
    ]
}

fn told(action: &Action<u8, u8, u8>) -> String {
    match action {
        Action::Persist { lease, .. } => format!("persist {}", variant(&lease.phase).to_lowercase()),
        Action::Send { report, .. } => format!("send {:?}", report.report()).to_lowercase(),
        other => variant(other).to_lowercase(),
    }
}

#[test]
fn the_agent_does_what_its_table_says() {
    let mut table = Table::under("Agent");
    for (name, phase, flags) in phases() {
        for stopping in flags {
            for (session_name, session) in [("same", Some(1)), ("other", Some(2)), ("none", None)] {
                for (input_name, slots, input) in agent_inputs() {
                    let lease = phase.clone().map(|phase| AgentLease {
                        session: 1,
                        phase,
                        stopping: *stopping,
                    });
                    let mut desk =
                        Desk::restore(slots, 2, lease.map(|lease| (TOKEN, lease)).into_iter().collect());
                    session.map(|session| desk.on(AgentInput::Opened(session)));
                    let case = [
                        name,
                        if *stopping { "yes" } else { "no" },
                        input_name,
                        session_name,
                    ];
                    let rule = table.rule(&case);
                    let before = desk.clone();
                    let answer = desk.on(input);
                    let did = match &answer {
                        Ok(actions) => actions.iter().map(told).collect::<Vec<_>>().join(", "),
                        Err(why) => format!("ignored {why:?}"),
                    };
                    let wanted = rule[5].replace("persist =", &format!("persist {name}"));
                    let after = desk
                        .leases()
                        .get(&TOKEN)
                        .map_or("unknown".to_owned(), |l| variant(&l.phase).to_lowercase());
                    let phase = if rule[4] == "=" { name } else { &rule[4] };
                    assert_eq!((after.as_str(), did), (phase, wanted), "{case:?}");
                    assert!(answer.is_ok() || desk == before, "{case:?}: ignored, yet changed");
                    persisted_is_held(&desk, &before, answer.unwrap_or_default());
                }
            }
        }
    }
    table.all_used();
}

/// What is written to disk is all that the desk holds afterwards.
fn persisted_is_held(desk: &Desk<u8, u8, u8>, before: &Desk<u8, u8, u8>, actions: Vec<Action<u8, u8, u8>>) {
    let mut disk: BTreeMap<_, _> = before.leases().clone();
    for action in actions {
        match action {
            Action::Persist { token, lease } => drop(disk.insert(token, lease)),
            Action::Erase { token } => drop(disk.remove(&token)),
            _ => {}
        }
    }
    assert_eq!(&disk, desk.leases());
}

#[test]
fn dials_only_grow_and_close_the_session() {
    let mut desk: Desk<u8, u8, u8> = Desk::restore(1, 4, BTreeMap::new());
    desk.on(AgentInput::Opened(1)).unwrap();
    assert_eq!((desk.dial(0), desk.session()), (5, None));
    assert_eq!(desk.dial(9), 10);
    let mut gate = protocol::session::Gate::default();
    assert_eq!(gate.hello(10), Ok(()));
    assert_eq!(gate.hello(10), Err(protocol::session::Stale { last: 10 }));
    assert_eq!((gate.hello(3).is_err(), gate.last()), (true, 10));
}
