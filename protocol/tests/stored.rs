//! What the machines keep is read back as it was written, over Firehall's own ids.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Debug;

use protocol::agent::{Ending, Phase};
use protocol::server::{Event, Known, Lost, Returned, State};
use protocol::{Decline, Resolution, ids};
use serde::Serialize;
use serde::de::DeserializeOwned;
use types::{AgentId, AttemptReport, LeaseToken, SessionId, Timestamp};

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> String {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "{text}");
    text
}

fn lease() -> ids::Lease {
    let at = Timestamp::from_unix_ms(1_700_000_000_000);
    let entropy = [7; 10];
    ids::Lease {
        token: LeaseToken::new(at, entropy),
        agent: AgentId::new(at, entropy),
        session: SessionId::new(at, entropy),
    }
}

#[test]
fn the_servers_states_and_events_are_stored() {
    let known = Known::Accepted;
    let resolution = Resolution::Rerun;
    let states = [
        State::Queued,
        State::Out {
            lease: lease(),
            known,
        },
        State::Lost {
            lease: lease(),
            known,
        },
        State::Finished { lease: lease() },
        State::Settled {
            lease: lease(),
            resolution,
        },
        State::Withdrawn,
    ];
    for state in states {
        same(&ids::Attempt::restore(state, true));
    }
    let events: [ids::Event; 9] = [
        Event::Offered { lease: lease() },
        Event::Accepted,
        Event::Started,
        Event::Finished,
        Event::Returned {
            because: Returned::NotTaken,
        },
        Event::Withdrawn,
        Event::Lost {
            known,
            because: Lost::Ahead,
        },
        Event::Settled { resolution },
        Event::StopRequested,
    ];
    for event in events {
        same(&event);
    }
}

#[test]
fn the_agents_leases_are_stored() {
    let report = r#"{"verdict":"degraded","reasons":["no topic"],"outputs":{"n":1},"finished_at":5}"#;
    let result: AttemptReport = serde_json::from_str(report).unwrap();
    let endings = [
        Ending::Declined { why: Decline::NoSlot },
        Ending::Released,
        Ending::Finished { result },
        Ending::Lost,
    ];
    let phases = [Phase::Accepted, Phase::Starting, Phase::Running, Phase::Tombstone];
    for phase in phases
        .into_iter()
        .chain(endings.map(|ending| Phase::Finished { ending }))
    {
        let stored = same(&ids::DeskLease {
            session: lease().session,
            phase,
            stopping: true,
        });
        assert!(stored.contains(r#""phase":""#), "{stored}");
    }
}
