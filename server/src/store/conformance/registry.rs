//! Definitions and agents.

use super::{
    against_each_store,
    sample::{agent, workflow},
};
use types::{Artifact, LeaseToken, RunId, Timestamp};

use crate::store::{AgentRow, ArtifactRow, Drained, SharedStore, StoreError, StoredObject};

against_each_store!(
    a_definition_is_kept_by_content,
    a_dial_counts_once,
    a_drain_outlives_a_hello,
    bytes_are_counted_once_and_not_when_they_are_removed
);

async fn a_drain_outlives_a_hello(store: SharedStore) {
    let drained = |n, reason: &str| Drained {
        agent: agent(n, "a").id,
        by: "ann".to_owned(),
        reason: reason.to_owned(),
        at: agent(n, "a").seen_at,
    };
    assert_eq!(store.agent_session(agent(1, "a"), 1).await.unwrap(), None);
    store.drain(drained(2, "")).await.unwrap();
    store.drain(drained(1, "kernel")).await.unwrap();
    assert_eq!(store.agent_session(agent(1, "a"), 2).await.unwrap(), None);
    let mut both = vec![drained(1, "kernel"), drained(2, "")];
    assert_eq!(store.drained().await.unwrap(), both);
    both[0].reason = "disk".to_owned();
    store.drain(both[0].clone()).await.unwrap();
    store.undrain(&both[1].agent).await.unwrap();
    store.undrain(&both[1].agent).await.unwrap();
    assert_eq!(store.drained().await.unwrap(), both[..1]);
}

async fn a_definition_is_kept_by_content(store: SharedStore) {
    assert!(store.put_workflow(workflow("disk", "aa", 1)).await.unwrap());
    assert!(!store.put_workflow(workflow("disk", "aa", 2)).await.unwrap());
    assert_eq!(
        store.workflow("disk", None).await.unwrap(),
        Some(workflow("disk", "aa", 1))
    );
    assert!(store.put_workflow(workflow("disk", "bb", 3)).await.unwrap());
    assert!(store.put_workflow(workflow("cpu", "aa", 4)).await.unwrap());
    assert_eq!(
        store.workflow("disk", None).await.unwrap(),
        Some(workflow("disk", "bb", 3))
    );
    assert_eq!(
        store.workflow("disk", Some("aa")).await.unwrap(),
        Some(workflow("disk", "aa", 1))
    );
    assert_eq!(store.workflow("disk", Some("cc")).await.unwrap(), None);
    assert_eq!(store.workflow("net", None).await.unwrap(), None);
    assert_eq!(
        store.workflows().await.unwrap(),
        [workflow("cpu", "aa", 4), workflow("disk", "bb", 3)]
    );
    assert!(
        store.put_workflow(workflow("disk", "aa", 5)).await.unwrap(),
        "an older one may become the newest again"
    );
    assert_eq!(
        store.workflows().await.unwrap(),
        [workflow("cpu", "aa", 4), workflow("disk", "aa", 5)]
    );
}

async fn a_dial_counts_once(store: SharedStore) {
    assert_eq!(store.agent_session(agent(1, "b"), 0).await.unwrap(), Some(0));
    assert_eq!(store.agents().await.unwrap(), []);
    assert_eq!(store.agent_session(agent(1, "b"), 3).await.unwrap(), None);
    let moved = AgentRow {
        facts: "{}".to_owned(),
        ..agent(1, "z")
    };
    for stale in [1, 3] {
        assert_eq!(store.agent_session(moved.clone(), stale).await.unwrap(), Some(3));
    }
    assert_eq!(store.agent_session(agent(2, "a"), 1).await.unwrap(), None);
    assert_eq!(store.agents().await.unwrap(), [agent(2, "a"), agent(1, "b")]);
    assert_eq!(store.agent_session(moved.clone(), 9).await.unwrap(), None);
    assert_eq!(store.agents().await.unwrap(), [agent(2, "a"), moved]);
    let error = store.agent_session(agent(2, "a"), u64::MAX).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid(_)), "{error:?}");
}

fn kept(lease: u8, name: &str, sha256: &str, bytes: u64, at: i64) -> ArtifactRow {
    let at = Timestamp::from_unix_ms(at);
    ArtifactRow {
        run: RunId::new(Timestamp::from_unix_ms(1), [lease % 2; 10]),
        token: LeaseToken::new(Timestamp::from_unix_ms(1), [lease; 10]),
        artifact: Artifact {
            name: name.to_owned(),
            bytes,
            sha256: sha256.to_owned(),
            media_type: types::OCTETS.to_owned(),
        },
        at,
    }
}

async fn bytes_are_counted_once_and_not_when_they_are_removed(store: SharedStore) {
    let object = |sha256: &str, bytes, at| StoredObject {
        at: Timestamp::from_unix_ms(at),
        sha256: sha256.to_owned(),
        bytes,
    };
    let rows = [
        kept(1, "a", "aa", 3, 10),
        kept(2, "a", "bb", 5, 20),
        // The same bytes, later.
        kept(2, "b", "aa", 3, 30),
    ];
    for row in rows.clone() {
        store.keep_artifact(row).await.unwrap();
    }
    let both = [object("bb", 5, 20), object("aa", 3, 30)];
    let [old, new] = &both;
    assert_eq!(store.objects(None, 9).await.unwrap(), both);
    assert_eq!(store.objects(None, 1).await.unwrap(), both[..1]);
    assert_eq!(store.objects(Some(old), 9).await.unwrap(), both[1..]);
    assert_eq!(store.objects(Some(new), 9).await.unwrap(), []);
    assert_eq!(store.object_bytes().await.unwrap(), 8);

    let (at, sums) = (Timestamp::from_unix_ms(40), ["aa", "bb", "cc"].map(str::to_owned));
    assert!(store.removed(&sums).await.unwrap().is_empty());
    store.object_removed("aa", at).await.unwrap();
    store.object_removed("aa", at).await.unwrap();
    assert_eq!(store.objects(None, 9).await.unwrap(), both[..1]);
    assert_eq!(store.object_bytes().await.unwrap(), 5);
    assert_eq!(
        store.removed(&sums).await.unwrap(),
        [("aa".to_owned(), at)].into()
    );
    assert!(store.removed(&sums[1..]).await.unwrap().is_empty());
    assert_eq!(
        store.artifacts(&rows[0].run).await.unwrap(),
        rows[..1],
        "what it was stays"
    );
    // Stored again.
    store.keep_artifact(kept(3, "a", "aa", 3, 50)).await.unwrap();
    assert!(store.removed(&sums).await.unwrap().is_empty());
    assert_eq!(
        store.objects(None, 9).await.unwrap(),
        [old.clone(), object("aa", 3, 50)]
    );
}
