//! Runs and the registry together: races that a peer cannot force.

use std::time::Duration;

use engine::{ReportBody, Trigger};
use protocol::server::{Known, State};
use types::{Labels, Object, Timestamp};

use super::*;
use crate::{
    agents::{Facts, Introduction, Opened},
    clock::entropy,
    store::memory::MemoryStore,
};

const ONE: &str = "
name: one
steps:
  only:
    image: host
    run: echo hello
";

struct World {
    runs: Runs,
    agents: Arc<Agents>,
    store: SharedStore,
    shutdown: CancellationToken,
}

impl World {
    fn new() -> Self {
        let clock = Clock::start();
        let agents = Arc::new(Agents::new(clock));
        let store: SharedStore = Arc::new(MemoryStore::new());
        let shutdown = CancellationToken::new();
        let runs = Runs::new(
            Arc::clone(&store),
            Arc::clone(&agents),
            Arc::new(Meter::new()),
            clock,
            BlackBox::default(),
            shutdown.clone(),
        );
        Self {
            runs,
            agents,
            store,
            shutdown,
        }
    }

    fn open(&self, n: u8) -> Opened {
        let hello = Introduction {
            crashed: false,
            answers_probes: false,
            name: "a".to_owned(),
            labels: Labels::default(),
            facts: Facts {
                runtimes: vec!["native".to_owned()],
                offers: std::collections::BTreeMap::new(),
                ..Facts::default()
            },
            dial: u64::from(n),
            instance: String::new(),
            held: Inventory::default(),
        };
        let opened = self.agents.open(&agent(), ses(n), hello).unwrap();
        self.agents.grant(&agent(), &ses(n), 9);
        opened
    }

    fn prepare(&self) -> Prepared {
        let file = workflow::SourceFile::new("one.yaml", ONE);
        let plan = workflow::compile(&file, &types::Catalogue::default())
            .plan
            .unwrap();
        let trigger = Trigger {
            alert: None,
            incident: None,
            by: "test".to_owned(),
        };
        let id = RunId::new(self.runs.inner.clock.now(), entropy());
        self.runs
            .prepare(RunStarted::new(id, plan, Object::new(), trigger))
    }

    /// Waits until the stored run's attempt is out in that session.
    async fn out_in(&self, id: &RunId, session: &SessionId) -> LeaseToken {
        for _ in 0..500 {
            let run = load(&self.store, id).await.unwrap().unwrap();
            if let State::Out { lease, known } = run.attempt(&at()).unwrap().life.state()
                && lease.session == *session
            {
                assert_eq!(*known, Known::Offered);
                return lease.token.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never offered in {session}");
    }
}

fn agent() -> AgentId {
    AgentId::new(Timestamp::from_unix_ms(1), [1; 10])
}

fn ses(n: u8) -> SessionId {
    SessionId::new(Timestamp::from_unix_ms(1), [n; 10])
}

fn at() -> At {
    At {
        step: "only".to_owned(),
        index: None,
        attempt: 1,
    }
}

#[tokio::test]
async fn a_first_offer_whose_session_ended_before_the_commit_is_made_again() {
    let world = World::new();
    let _old = world.open(1);
    let prepared = world.prepare();
    let id = prepared.run.id.clone();
    let _new = world.open(2);
    world
        .runs
        .commit(vec![prepared], Append::default())
        .await
        .unwrap();
    world.out_in(&id, &ses(2)).await;
    world.shutdown.cancel();
    assert!(world.runs.stopped(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn the_inventory_of_a_superseded_session_proves_nothing() {
    let world = World::new();
    let (_old, _new) = (world.open(1), world.open(2));
    let prepared = world.prepare();
    let id = prepared.run.id.clone();
    world
        .runs
        .commit(vec![prepared], Append::default())
        .await
        .unwrap();
    let token = world.out_in(&id, &ses(2)).await;
    // The older session's task goes on with its reconciliation: its inventory lacks what the newer one was offered.
    let late = Ask::Inventory {
        agent: agent(),
        session: ses(1),
        held: Inventory::default(),
        crashed: false,
    };
    world.runs.ask(&id, late).await.unwrap();
    assert_eq!(world.out_in(&id, &ses(2)).await, token);
    world.shutdown.cancel();
    assert!(world.runs.stopped(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn no_lease_of_a_run_that_ended_stays_in_the_book() {
    let world = World::new();
    let _session = world.open(1);
    let prepared = world.prepare();
    let id = prepared.run.id.clone();
    world
        .runs
        .commit(vec![prepared], Append::default())
        .await
        .unwrap();
    let token = world.out_in(&id, &ses(1)).await;
    assert_eq!(world.agents.leases_at(&agent()).len(), 1);
    let cancel = Ask::Cancel {
        by: "test".to_owned(),
        reason: String::new(),
    };
    world.runs.ask(&id, cancel).await.unwrap();
    let declined = Ask::Report {
        at: at(),
        token,
        from: agent(),
        body: ReportBody::Declined,
    };
    world.runs.ask(&id, declined).await.unwrap();
    assert!(world.agents.leases_at(&agent()).is_empty());
    let run = load(&world.store, &id).await.unwrap().unwrap();
    assert!(run.ended.is_some());
    world.shutdown.cancel();
    assert!(world.runs.stopped(Duration::from_secs(5)).await);
    assert!(world.runs.progress(&id).is_none(), "its task is gone");
}
