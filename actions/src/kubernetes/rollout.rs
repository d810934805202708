//! How a rollout stands, decided as `kubectl rollout status` decides it
//! (kubernetes/kubectl, pkg/polymorphichelpers/rollout_status.go). Pure.

use serde_json::Value;

/// What is rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Complete,
    Progressing,
    /// It will not come to its end by itself.
    Failed,
    /// Nobody can say: it is updated by hand.
    Unknown,
}

impl Kind {
    /// As people write it.
    pub(super) fn named(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "deployment" | "deployments" | "deploy" => Some(Self::Deployment),
            "statefulset" | "statefulsets" | "sts" => Some(Self::StatefulSet),
            "daemonset" | "daemonsets" | "ds" => Some(Self::DaemonSet),
            _ => None,
        }
    }

    /// As it stands in a path.
    pub(super) fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Progressing => "progressing",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// Numbers of an object; an absent one is 0, as Kubernetes leaves out zeroes.
struct Numbers<'a>(&'a Value);

impl Numbers<'_> {
    fn at(&self, path: &str) -> i64 {
        self.given(path).unwrap_or(0)
    }

    fn given(&self, path: &str) -> Option<i64> {
        self.0.pointer(path).and_then(Value::as_i64)
    }

    fn observed(&self) -> bool {
        self.at("/metadata/generation") <= self.at("/status/observedGeneration")
    }

    fn strategy(&self) -> &str {
        let given = self
            .0
            .pointer("/spec/updateStrategy/type")
            .and_then(Value::as_str);
        given.unwrap_or("RollingUpdate")
    }
}

const NOT_OBSERVED: &str = "its new spec has not been observed yet";
const BY_HAND: &str = "its pods are updated by hand (its update strategy is not RollingUpdate)";

/// How the object's rollout stands, with the reason in words.
pub(super) fn judge(kind: Kind, object: &Value) -> (State, String) {
    let numbers = Numbers(object);
    match kind {
        Kind::Deployment => deployment(&numbers),
        Kind::StatefulSet => stateful_set(&numbers),
        Kind::DaemonSet => daemon_set(&numbers),
    }
}

fn waits(words: String) -> (State, String) {
    (State::Progressing, words)
}

fn deployment(n: &Numbers<'_>) -> (State, String) {
    if !n.observed() {
        return waits(NOT_OBSERVED.to_owned());
    }
    let conditions = n.0.pointer("/status/conditions").and_then(Value::as_array);
    let late = conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "Progressing" && condition["reason"] == "ProgressDeadlineExceeded"
    });
    if late {
        return (State::Failed, "it exceeded its progress deadline".to_owned());
    }
    let (updated, all) = (n.at("/status/updatedReplicas"), n.at("/status/replicas"));
    if let Some(wanted) = n.given("/spec/replicas").filter(|wanted| updated < *wanted) {
        return waits(format!(
            "{updated} out of {wanted} new replicas have been updated"
        ));
    }
    if all > updated {
        return waits(format!("{} old replicas are pending termination", all - updated));
    }
    let available = n.at("/status/availableReplicas");
    if available < updated {
        return waits(format!("{available} of {updated} updated replicas are available"));
    }
    (State::Complete, format!("rolled out: {updated} replicas"))
}

fn daemon_set(n: &Numbers<'_>) -> (State, String) {
    if n.strategy() != "RollingUpdate" {
        return (State::Unknown, BY_HAND.to_owned());
    }
    if !n.observed() {
        return waits(NOT_OBSERVED.to_owned());
    }
    let wanted = n.at("/status/desiredNumberScheduled");
    let updated = n.at("/status/updatedNumberScheduled");
    if updated < wanted {
        return waits(format!("{updated} out of {wanted} new pods have been updated"));
    }
    let available = n.at("/status/numberAvailable");
    if available < wanted {
        return waits(format!("{available} of {wanted} updated pods are available"));
    }
    (State::Complete, format!("rolled out: {wanted} pods"))
}

fn stateful_set(n: &Numbers<'_>) -> (State, String) {
    if n.strategy() != "RollingUpdate" {
        return (State::Unknown, BY_HAND.to_owned());
    }
    if n.at("/status/observedGeneration") == 0 || !n.observed() {
        return waits(NOT_OBSERVED.to_owned());
    }
    let wanted = n.given("/spec/replicas");
    let ready = n.at("/status/readyReplicas");
    if let Some(wanted) = wanted.filter(|wanted| ready < *wanted) {
        return waits(format!("{} pods are not ready yet", wanted - ready));
    }
    let updated = n.at("/status/updatedReplicas");
    let rolling = n.0.pointer("/spec/updateStrategy/rollingUpdate");
    if rolling.is_some_and(Value::is_object) {
        let partition = n.given("/spec/updateStrategy/rollingUpdate/partition");
        if let (Some(wanted), Some(partition)) = (wanted, partition)
            && updated < wanted - partition
        {
            let new = wanted - partition;
            return waits(format!("{updated} out of {new} new pods have been updated"));
        }
        return (State::Complete, format!("rolled out: {updated} new pods"));
    }
    let revision = |path: &str| n.0.pointer(path).and_then(Value::as_str).unwrap_or_default();
    if revision("/status/updateRevision") != revision("/status/currentRevision") {
        return waits(format!("{updated} pods have the new revision"));
    }
    (
        State::Complete,
        format!("rolled out: {} pods", n.at("/status/currentReplicas")),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The cases of kubectl's own rollout_status_test.go, as their numbers stand there.
    #[test]
    fn deployments_are_judged_as_kubectl_does() {
        let of = |generation: i64, replicas: i64, status: Value| {
            let object = json!({"metadata": {"generation": generation}, "spec": {"replicas": replicas}, "status": status});
            judge(Kind::Deployment, &object)
        };
        let status = |observed: i64, all: i64, updated: i64, available: i64| json!({"observedGeneration": observed, "replicas": all, "updatedReplicas": updated, "availableReplicas": available});
        for (generation, replicas, given, state, words) in [
            (
                0,
                1,
                status(1, 1, 0, 1),
                State::Progressing,
                "0 out of 1 new replicas have been updated",
            ),
            (
                1,
                1,
                status(1, 2, 1, 2),
                State::Progressing,
                "1 old replicas are pending termination",
            ),
            (
                1,
                2,
                status(1, 2, 2, 1),
                State::Progressing,
                "1 of 2 updated replicas are available",
            ),
            (
                1,
                2,
                status(1, 2, 2, 2),
                State::Complete,
                "rolled out: 2 replicas",
            ),
            (2, 2, status(1, 2, 2, 2), State::Progressing, NOT_OBSERVED),
        ] {
            assert_eq!(of(generation, replicas, given), (state, words.to_owned()));
        }
        let mut late = status(1, 2, 1, 1);
        late["conditions"] = json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]);
        assert_eq!(of(1, 2, late).0, State::Failed);
    }

    #[test]
    fn daemon_sets_and_stateful_sets_are_judged_as_kubectl_does() {
        let of = |kind: Kind, strategy: Value, spec: Option<i64>, status: Value| {
            let object = json!({
                "metadata": {"generation": 1}, "spec": {"updateStrategy": strategy, "replicas": spec}, "status": status,
            });
            judge(kind, &object)
        };
        let rolling = || json!({"type": "RollingUpdate"});
        let daemon = |updated: i64, wanted: i64, available: i64| json!({"observedGeneration": 1, "updatedNumberScheduled": updated, "desiredNumberScheduled": wanted, "numberAvailable": available});
        let said = |answer: (State, String)| format!("{} {}", answer.0.as_str(), answer.1);
        let ds = |strategy, status| said(of(Kind::DaemonSet, strategy, None, status));
        assert_eq!(
            ds(rolling(), daemon(0, 1, 0)),
            "progressing 0 out of 1 new pods have been updated"
        );
        assert_eq!(
            ds(rolling(), daemon(2, 2, 1)),
            "progressing 1 of 2 updated pods are available"
        );
        assert_eq!(ds(rolling(), daemon(2, 2, 2)), "complete rolled out: 2 pods");
        assert!(ds(json!({"type": "OnDelete"}), daemon(2, 2, 2)).starts_with("unknown"));
        let set = |ready: i64, updated: i64| json!({"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": updated});
        let sts = |strategy, status| said(of(Kind::StatefulSet, strategy, Some(3), status));
        let partition = |n: i64| json!({"type": "RollingUpdate", "rollingUpdate": {"partition": n}});
        assert_eq!(
            sts(partition(0), set(2, 0)),
            "progressing 1 pods are not ready yet"
        );
        assert_eq!(
            sts(partition(1), set(3, 1)),
            "progressing 1 out of 2 new pods have been updated"
        );
        assert_eq!(sts(partition(1), set(3, 2)), "complete rolled out: 2 new pods");
        assert_eq!(sts(rolling(), json!({})), format!("progressing {NOT_OBSERVED}"));
    }
}
