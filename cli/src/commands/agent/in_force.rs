//! An agent's file as it is in force, for people and programs. Never a secret's value: none is known here.

use std::fmt::Display;

use ::agent::{AgentFile, Source};
use serde::Serialize;
use types::{HostView, Network, Pattern, units};

/// One rule.
#[derive(Debug, Serialize)]
pub(crate) struct Rule {
    /// `policy.images`.
    pub(crate) name: String,
    /// What it allows.
    pub(crate) value: String,
    /// `FILE:LINE:COLUMN`; none for a default.
    pub(crate) place: Option<String>,
}

/// One secret.
#[derive(Debug, Serialize)]
pub(crate) struct Secret {
    name: String,
    source: String,
    takers: String,
}

impl Secret {
    pub(super) fn row(&self) -> Vec<String> {
        vec![self.name.clone(), self.source.clone(), self.takers.clone()]
    }
}

/// Every rule of the policy.
pub(crate) fn rules(file: &AgentFile) -> Vec<Rule> {
    let policy = &file.policy;
    let any = |value: Option<String>| value.unwrap_or_else(|| "any".to_owned());
    let limits = &policy.limits;
    let rows = [
        ("images", list(&policy.images)),
        ("digest-only", policy.digest_only.to_string()),
        ("registries", any(policy.registries.as_ref().map(list))),
        (
            "networks",
            list(policy.networks.iter().map(|one| Network::as_str(*one))),
        ),
        (
            "host-views",
            list(policy.host_views.iter().map(|one| HostView::as_str(*one))),
        ),
        ("users", list(&policy.users)),
        ("actions", list(&policy.actions)),
        ("deny-actions", list(&policy.deny_actions)),
        ("limits.memory", any(limits.memory_bytes.map(bytes))),
        ("limits.pids", limits.pids.to_string()),
        (
            "limits.cpu",
            any(limits.cpu_millis.map(|millis| format!("{millis}m"))),
        ),
        ("limits.timeout", units::duration_text(limits.timeout_ms)),
        ("limits.tmp", bytes(file.tmp_bytes)),
    ];
    rows.into_iter()
        .map(|(key, value)| {
            let name = format!("policy.{key}");
            let place = file.places.get(&name).map(ToString::to_string);
            Rule { name, value, place }
        })
        .collect()
}

/// Every secret of the file.
pub(crate) fn secrets(file: &AgentFile) -> Vec<Secret> {
    let of = |(name, sourced): (&String, &::agent::Sourced)| Secret {
        name: name.clone(),
        source: match &sourced.source {
            Source::Env(variable) => format!("variable {variable}"),
            Source::File(path) => format!("file {}", path.display()),
            Source::Command(argv) => format!("command {}", argv.first().map_or("", String::as_str)),
            Source::Credential(id) => format!("credential {id}"),
            Source::Vault { path, key } => format!("vault {path} {key}"),
        },
        takers: takers(file, name),
    };
    file.secrets.iter().map(of).collect()
}

fn takers(file: &AgentFile, name: &str) -> String {
    let Some(rule) = file.policy.secrets.get(name) else {
        return "any step".to_owned();
    };
    let parts = [
        ("workflows", &rule.workflows),
        ("steps", &rule.steps),
        ("images", &rule.images),
    ];
    if parts
        .iter()
        .any(|(_, patterns)| patterns.as_ref().is_some_and(Vec::is_empty))
    {
        return "no step: the agent's own".to_owned();
    }
    let said = parts
        .iter()
        .filter_map(|(what, patterns)| Some(format!("{what} {}", list::<&Pattern>(patterns.as_ref()?))));
    said.collect::<Vec<_>>().join("; ")
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

fn bytes(count: u64) -> String {
    match count {
        _ if count.is_multiple_of(1 << 30) => format!("{}GiB", count >> 30),
        _ if count.is_multiple_of(1 << 20) => format!("{}MiB", count >> 20),
        _ => format!("{count}B"),
    }
}
