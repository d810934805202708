//! Used keys and raw deliveries.

use super::{
    against_each_store,
    sample::{alert_id, at, claim, evidence, only, run_id, run_stream, to_run},
};
use crate::store::{Append, Claim, SharedStore, StoreError};

against_each_store!(
    a_used_key_answers_what_it_got,
    an_expired_key_is_free,
    scopes_are_apart,
    a_repeat_is_told_before_a_conflict,
    evidence_is_unchanged,
);

fn with(claims: Vec<Claim>, run: u16) -> Append {
    Append {
        claims,
        ..only(to_run(run, 0, 1))
    }
}

async fn a_used_key_answers_what_it_got(store: SharedStore) {
    store.append(with(vec![claim("k", 0, 100)], 1)).await.unwrap();
    let again = Claim {
        answer: "other".to_owned(),
        ..claim("k", 99, 500)
    };
    let error = store
        .append(with(vec![claim("free", 99, 500), again], 2))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::Claimed(held) if **held == claim("k", 0, 100)),
        "{error:?}"
    );
    assert_eq!(
        store.run(&run_id(2)).await.unwrap(),
        None,
        "nothing of it was written"
    );
    assert_eq!(store.claim("start", "free", at(99)).await.unwrap(), None);
    assert_eq!(
        store.claim("start", "k", at(99)).await.unwrap(),
        Some(claim("k", 0, 100))
    );
    let twice = vec![claim("t", 99, 500), claim("t", 99, 500)];
    assert!(matches!(
        store.append(with(twice, 2)).await,
        Err(StoreError::Invalid(_))
    ));
}

async fn an_expired_key_is_free(store: SharedStore) {
    store.append(with(vec![claim("k", 0, 100)], 1)).await.unwrap();
    assert_eq!(store.claim("start", "k", at(100)).await.unwrap(), None);
    store.append(with(vec![claim("k", 100, 200)], 2)).await.unwrap();
    assert_eq!(
        store.claim("start", "k", at(150)).await.unwrap(),
        Some(claim("k", 100, 200))
    );
    // Claims alone are an append, too.
    let alone = Append {
        claims: vec![claim("alone", 150, 160)],
        ..Append::default()
    };
    assert_eq!(store.append(alone).await.unwrap(), 0);
    assert_eq!(
        store.claim("start", "alone", at(151)).await.unwrap(),
        Some(claim("alone", 150, 160))
    );
}

async fn scopes_are_apart(store: SharedStore) {
    store.append(with(vec![claim("k", 0, 100)], 1)).await.unwrap();
    let other = Claim {
        scope: "webhook:datadog".to_owned(),
        ..claim("k", 1, 100)
    };
    store.append(with(vec![other.clone()], 2)).await.unwrap();
    assert_eq!(
        store.claim("webhook:datadog", "k", at(5)).await.unwrap(),
        Some(other)
    );
}

async fn a_repeat_is_told_before_a_conflict(store: SharedStore) {
    let request = with(vec![claim("k", 0, 100)], 1);
    store.append(request.clone()).await.unwrap();
    assert!(matches!(store.append(request).await, Err(StoreError::Claimed(_))));
    assert_eq!(store.events(&run_stream(1), 0, 9).await.unwrap().len(), 1);
}

async fn evidence_is_unchanged(store: SharedStore) {
    let body: Vec<u8> = (0..=255).collect();
    let append = |bytes: &[u8]| Append {
        evidence: vec![evidence(1, bytes)],
        ..Append::default()
    };
    assert_eq!(store.append(append(&body)).await.unwrap(), 0);
    store.append(append(b"other")).await.unwrap();
    assert_eq!(
        store.evidence(&alert_id(1)).await.unwrap(),
        Some(evidence(1, &body))
    );
    assert_eq!(store.evidence(&alert_id(2)).await.unwrap(), None);
}
