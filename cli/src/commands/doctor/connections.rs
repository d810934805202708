//! Connections beside Slack's: which of those that the bound workflows need this environment gives.

use std::collections::{BTreeMap, BTreeSet};

use ::actions::Connections;
use workflow::{Body, Plan};

use super::finding::Report;

/// Connections by name, each with the workflows that need it.
fn needed(plans: &[Plan]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut needed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for plan in plans {
        for step in &plan.steps {
            if let Body::Action {
                connection: Some(name),
                ..
            } = &step.body
            {
                needed.entry(name).or_default().insert(&plan.name);
            }
        }
    }
    // It has checks of its own.
    needed.remove("slack");
    needed
}

/// What gives an agent a connection.
fn given_by(name: &str) -> String {
    let variables = match name {
        "datadog" => "DD_API_KEY and DD_APP_KEY",
        "prometheus" => "PROMETHEUS_URL",
        "loki" => "LOKI_ADDR",
        "github" => "GITHUB_TOKEN",
        other => {
            return match other.strip_prefix("http:") {
                Some(place) => format!("start an agent with `--http {place}=URL`"),
                None => format!("give an agent the credentials of {other}"),
            };
        }
    };
    format!("set {variables} for an agent: docs/queries.md; `firehall doctor --remote` says who holds it")
}

pub(super) fn look(report: &mut Report, held: &Connections, bound: Option<&[Plan]>) {
    let held = held.names();
    for (name, workflows) in needed(bound.unwrap_or_default()) {
        let workflows: Vec<&str> = workflows.into_iter().collect();
        let workflows = workflows.join(", ");
        if held.iter().any(|one| one == name) {
            report.ok(
                "connections",
                format!("{name}: set here, and needed by {workflows}"),
            );
        } else {
            report.unknown(
                "connections",
                format!("{name}: not set here, and needed by {workflows}"),
                given_by(name),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_connection_that_an_action_needs_has_its_variables_named() {
        let catalogue = ::actions::Registry::builtin().catalogue();
        for (name, variable) in [
            ("datadog", "DD_API_KEY"),
            ("github", "GITHUB_TOKEN"),
            ("loki", "LOKI_ADDR"),
            ("prometheus", "PROMETHEUS_URL"),
        ] {
            let used = |signature: &types::Signature| signature.connection.as_deref() == Some(name);
            assert!(catalogue.0.values().any(used), "{name}");
            assert!(given_by(name).contains(variable), "{name}");
        }
        assert!(given_by("http:jira").contains("--http jira=URL"));
    }
}
