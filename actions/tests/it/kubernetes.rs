//! `kubernetes/…` against a cluster's API server that pages, expires and forbids.

use std::collections::{BTreeMap, BTreeSet};

use actions::{Connections, KubernetesConnection};
use emulators::kubernetes::{Cluster, Emulator, spawn};
use serde_json::{Value, json};
use types::FailureKind;

use crate::vendor::ask;

/// The tests' clock stands at 2025-11-23T18:45:00Z.
const RECENT: &str = "2025-11-23T18:40:00Z";
const OLD: &str = "2025-11-23T10:00:00Z";

fn event(n: usize, kind: &str, reason: &str, at: &str) -> Value {
    json!({
        "metadata": {"name": format!("e{n}"), "creationTimestamp": at}, "type": kind, "reason": reason,
        "message": format!("message {n}"), "count": 2, "lastTimestamp": at, "eventTime": null,
        "involvedObject": {"kind": "Pod", "name": format!("checkout-{}", n % 3)},
    })
}

fn deployment(available: i64) -> Value {
    json!({
        "metadata": {"name": "checkout", "generation": 4, "annotations": {"deployment.kubernetes.io/revision": "7"}},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "a", "image": "shop/checkout:1.4.2"}]}}},
        "status": {"observedGeneration": 4, "replicas": 3, "updatedReplicas": 3, "availableReplicas": available},
    })
}

fn right(resource: &str) -> (String, String) {
    (resource.to_owned(), "payments".to_owned())
}

async fn cluster(cluster: Cluster) -> (Emulator, Connections) {
    let emulator = spawn(Cluster {
        token: "sa-token".to_owned(),
        ..cluster
    })
    .await
    .unwrap();
    let kubernetes = KubernetesConnection::new(&emulator.url(), "sa-token".to_owned(), None).unwrap();
    let connections = Connections {
        kubernetes: Some(kubernetes),
        ..Connections::default()
    };
    (emulator, connections)
}

fn events(list: Vec<Value>) -> Cluster {
    Cluster {
        rights: BTreeSet::from([right("events")]),
        events: BTreeMap::from([("payments".to_owned(), list)]),
        ..Cluster::default()
    }
}

#[tokio::test]
async fn events_of_all_pages_are_one_finding_for_each_object_and_reason() {
    let mut list: Vec<Value> = (0..600).map(|n| event(n, "Warning", "BackOff", RECENT)).collect();
    list.push(event(1, "Normal", "Pulled", RECENT));
    list.push(event(2, "Warning", "OOMKilling", OLD));
    let (emulator, connections) = cluster(events(list)).await;
    emulator.cluster().faults = vec![503];
    let out = ask(
        &connections,
        "kubernetes/events",
        json!({"namespace": "payments"}),
    )
    .await
    .unwrap();
    assert!(out.degraded.is_empty(), "{:?}", out.degraded);
    assert_eq!(
        out.outputs["total"],
        json!(600),
        "what is older than the window is not counted"
    );
    let findings = out.outputs["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 3);
    assert_eq!(findings[0]["level"], json!("warning"));
    let summary = findings[0]["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("BackOff, 400 times, last 5 min ago: message"),
        "{summary}"
    );
    let evidence = &findings[0]["evidence"];
    assert_eq!(
        evidence["query"],
        json!("/api/v1/namespaces/payments/events?fieldSelector=type=Warning")
    );
    let asked = emulator.cluster().asked.len();
    assert_eq!(asked, 4, "a fault and three pages");
}

#[tokio::test]
async fn a_list_that_expires_is_begun_again_and_one_that_always_does_is_told() {
    let list: Vec<Value> = (0..600).map(|n| event(n, "Warning", "BackOff", RECENT)).collect();
    let (emulator, connections) = cluster(events(list)).await;
    emulator.cluster().expires = 2;
    let params = json!({"namespace": "payments", "kind": "Pod"});
    let out = ask(&connections, "kubernetes/events", params.clone())
        .await
        .unwrap();
    assert_eq!((&out.outputs["total"], out.degraded.len()), (&json!(600), 0));
    emulator.cluster().expires = 99;
    let out = ask(&connections, "kubernetes/events", params).await.unwrap();
    assert_eq!(out.outputs["total"], json!(250));
    assert!(
        out.degraded[0].starts_with("the list expired 3 times"),
        "{:?}",
        out.degraded
    );
}

#[tokio::test]
async fn nothing_reported_is_a_fact() {
    let (_emulator, connections) = cluster(events(Vec::new())).await;
    let params = json!({"namespace": "payments", "name": "checkout-1", "minutes": 30});
    let out = ask(&connections, "kubernetes/events", params).await.unwrap();
    let finding = &out.outputs["findings"][0];
    assert_eq!(
        (&finding["level"], &finding["summary"]),
        (
            &json!("normal"),
            &json!("no Warning events of checkout-1 in payments in the last 30 min")
        )
    );
}

#[tokio::test]
async fn a_missing_right_is_named_and_a_wrong_token_too() {
    let (emulator, connections) = cluster(Cluster::default()).await;
    let error = ask(
        &connections,
        "kubernetes/events",
        json!({"namespace": "payments"}),
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind, FailureKind::Action);
    for part in [
        "a right is missing",
        "RoleBinding",
        "cannot list resource \"events\" in API group \"\" in the namespace \"payments\"",
    ] {
        assert!(error.message.contains(part), "{error}");
    }
    emulator.cluster().token = "another".to_owned();
    let error = ask(
        &connections,
        "kubernetes/events",
        json!({"namespace": "payments"}),
    )
    .await
    .unwrap_err();
    assert!(
        error.message.contains("the token is refused") && !error.message.contains("sa-token"),
        "{error}"
    );
}

#[tokio::test]
async fn names_that_would_leave_their_place_are_not_asked_for() {
    let (emulator, connections) = cluster(Cluster::default()).await;
    for params in [
        json!({"namespace": "../kube-system"}),
        json!({"namespace": "payments", "name": "a,type=Normal"}),
        json!({"namespace": "payments", "kind": "Pod,x=y"}),
        json!({"namespace": "payments", "type": "warning"}),
        json!({"namespace": "payments", "minutes": 0}),
    ] {
        let error = ask(&connections, "kubernetes/events", params.clone())
            .await
            .unwrap_err();
        assert_eq!(error.kind, FailureKind::Action, "{params}");
    }
    assert!(emulator.cluster().asked.is_empty());
}

#[tokio::test]
async fn a_rollout_is_judged_and_its_images_are_named() {
    let object = |available: i64| {
        let key = (
            "deployments".to_owned(),
            "payments".to_owned(),
            "checkout".to_owned(),
        );
        BTreeMap::from([(key, deployment(available))])
    };
    let (emulator, connections) = cluster(Cluster {
        rights: BTreeSet::from([right("deployments")]),
        objects: object(3),
        ..Cluster::default()
    })
    .await;
    let params = json!({"namespace": "payments", "name": "checkout"});
    let out = ask(&connections, "kubernetes/rollout-status", params.clone())
        .await
        .unwrap();
    assert_eq!(out.outputs["state"], json!("complete"));
    assert_eq!(out.outputs["images"], json!(["shop/checkout:1.4.2"]));
    assert_eq!(out.outputs["revision"], json!("7"));
    emulator.cluster().objects = object(1);
    let out = ask(&connections, "kubernetes/rollout-status", params)
        .await
        .unwrap();
    let finding = &out.outputs["findings"][0];
    assert_eq!(
        (&finding["level"], &finding["summary"]),
        (
            &json!("warning"),
            &json!("deployments payments/checkout: progressing: 1 of 3 updated replicas are available")
        )
    );
    let absent = json!({"namespace": "payments", "name": "nothing"});
    let error = ask(&connections, "kubernetes/rollout-status", absent)
        .await
        .unwrap_err();
    assert!(
        error.message.contains("there is no such thing") && error.message.contains("\"nothing\" not found"),
        "{error}"
    );
    let wrong = json!({"namespace": "payments", "name": "x", "kind": "cronjob"});
    let error = ask(&connections, "kubernetes/rollout-status", wrong)
        .await
        .unwrap_err();
    assert!(error.message.starts_with("kind: expected deployment"), "{error}");
    let sets = json!({"namespace": "payments", "name": "x", "kind": "sts"});
    let error = ask(&connections, "kubernetes/rollout-status", sets)
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .contains("cannot get resource \"statefulsets\" in API group \"apps\""),
        "{error}"
    );
}

#[tokio::test]
async fn a_service_accounts_token_is_read_anew_each_time() {
    let (emulator, _) = cluster(events(Vec::new())).await;
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "sa-token\n").unwrap();
    let kubernetes = KubernetesConnection::with_file(&emulator.url(), token.clone(), None).unwrap();
    let connections = Connections {
        kubernetes: Some(kubernetes),
        ..Connections::default()
    };
    let params = json!({"namespace": "payments"});
    ask(&connections, "kubernetes/events", params.clone())
        .await
        .unwrap();
    emulator.cluster().token = "renewed".to_owned();
    std::fs::write(&token, "renewed").unwrap();
    ask(&connections, "kubernetes/events", params.clone())
        .await
        .unwrap();
    std::fs::remove_file(&token).unwrap();
    let error = ask(&connections, "kubernetes/events", params).await.unwrap_err();
    assert!(error.message.contains("token cannot be read"), "{error}");
    let absent = KubernetesConnection::with_file(&emulator.url(), token, None).unwrap_err();
    assert!(
        absent.to_string().starts_with("KUBERNETES_TOKEN_FILE: "),
        "{absent}"
    );
}
