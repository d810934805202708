//! Which agent takes an attempt: `runs-on` ∧ `requires` ∧ the agent's policy ∧ a free slot, over a snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use types::{
    AgentId, ContainerWork, HostView, Labels, Network, Policy, RuntimeName, SessionId, Whose, Work, WorkBody,
};

use crate::Crashes;

/// The agents as of now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// All that are known, connected or not.
    pub agents: Vec<Candidate>,
}

/// An agent as placement sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// Its session; none means that nothing is offered to it.
    pub session: Option<SessionId>,
    /// Its labels.
    pub labels: Labels,
    /// Action names with the digest of the signature that it has.
    pub actions: BTreeMap<String, String>,
    /// Names of its secrets.
    pub secrets: BTreeSet<String>,
    /// Names of its connections.
    pub connections: BTreeSet<String>,
    /// What its operator grants: `host-view:proc`, `network:host`.
    pub grants: BTreeSet<String>,
    /// What its operator lets steps ask for; none when it does not say.
    pub policy: Option<Arc<Policy>>,
    /// Its usable runtimes, each with what it offers beyond what all do; none when the agent does not say.
    pub runtimes: BTreeMap<String, Option<BTreeSet<String>>>,
    /// Whether its operator wants it to be offered nothing new.
    pub draining: bool,
    /// Slots that are free for offers.
    pub free: u32,
}

/// What an attempt wants.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The work.
    pub work: &'a Work,
    /// Labels.
    pub runs_on: &'a BTreeMap<String, String>,
    /// A connection.
    pub connection: Option<&'a str>,
    /// Of which workflow and step, as far as it is known: some agents give secrets to some only.
    pub whose: Whose<'a>,
    /// Agents that ended over it before.
    pub crashes: Option<&'a Crashes>,
}

/// Chooses the matching connected agent with the most free slots; the first by name among equals.
///
/// # Errors
/// In words, why none: what was wanted that no agent has, or that those who have it are busy or away.
pub fn place<'a>(snapshot: &'a Snapshot, wanted: &Wanted<'_>) -> Result<&'a Candidate, String> {
    let mut lacks: BTreeMap<String, usize> = BTreeMap::new();
    let mut fitting = Vec::new();
    for agent in &snapshot.agents {
        match missing(agent, wanted) {
            Some(lack) => *lacks.entry(lack).or_default() += 1,
            None => fitting.push(agent),
        }
    }
    if fitting.is_empty() {
        if snapshot.agents.is_empty() {
            return Err(
                "no agent has ever connected: start one with `firehall agent --server URL`".to_owned(),
            );
        }
        let lacks: Vec<String> = lacks
            .into_iter()
            .map(|(lack, n)| format!("{lack} ({n} of {})", snapshot.agents.len()))
            .collect();
        return Err(format!("no agent fits: {}", lacks.join("; ")));
    }
    fitting
        .iter()
        .filter(|agent| agent.session.is_some() && agent.free > 0 && !agent.draining)
        .min_by(|a, b| {
            b.free
                .cmp(&a.free)
                .then_with(|| a.name.cmp(&b.name))
                .then_with(|| a.id.cmp(&b.id))
        })
        .copied()
        .ok_or_else(|| {
            let names: Vec<String> = fitting
                .iter()
                .take(8)
                .map(|a| {
                    format!(
                        "{} is {}",
                        a.name,
                        if a.draining {
                            "draining"
                        } else if a.session.is_some() {
                            "busy"
                        } else {
                            "disconnected"
                        }
                    )
                })
                .collect();
            names.join(", ")
        })
}

/// Whether the agent has all that is wanted, be it free and connected or not.
#[must_use]
pub fn fits(agent: &Candidate, wanted: &Wanted<'_>) -> bool {
    missing(agent, wanted).is_none()
}

/// The first thing that the agent lacks, for ever as it is now; not whether it is free.
fn missing(agent: &Candidate, wanted: &Wanted<'_>) -> Option<String> {
    if let Some(times) = wanted.crashes.and_then(|crashes| crashes.too_often(&agent.id)) {
        return Some(format!(
            "agent_crash: {} ended {times} times as it was about to start it; its log says why",
            agent.name
        ));
    }
    if let Some(names) = wanted.crashes.and_then(|crashes| crashes.closed_to(&agent.id)) {
        return Some(format!(
            "agent_crash: {names} ended as they were about to start it, and no further agent is given it"
        ));
    }
    if let Some((key, value)) = wanted
        .runs_on
        .iter()
        .find(|(key, value)| !agent.labels.has(key, value))
    {
        return Some(format!("no label {key}={value}"));
    }
    if let Some(connection) = wanted.connection.filter(|c| !agent.connections.contains(*c)) {
        return Some(format!("no connection {connection}"));
    }
    match &wanted.work.body {
        WorkBody::Action(action) => match agent.actions.get(&action.action) {
            None => Some(match refused(agent, wanted) {
                Some(refused) => refused,
                None => format!("no action {}", action.action),
            }),
            Some(digest) if *digest != action.digest => Some(format!(
                "another version of action {} (update the agent, or store the workflow again)",
                action.action
            )),
            Some(_) => refused(agent, wanted),
        },
        WorkBody::Container(container) => {
            if agent.runtimes.is_empty() {
                return Some("no usable container runtime".to_owned());
            }
            if let Some(lack) = no_runtime(agent, container) {
                return Some(lack);
            }
            let beside = container
                .services
                .values()
                .flat_map(|service| service.secrets.values());
            let mut secrets = container.secrets.values().chain(beside);
            if let Some(secret) = secrets.find(|s| !agent.secrets.contains(*s)) {
                return Some(format!(
                    "no secret {secret} (`[secrets.{secret}]` or `--secret-env {secret}`)"
                ));
            }
            let views = container
                .host_view
                .iter()
                .map(|v| format!("host-view:{}", HostView::as_str(*v)));
            // Egress is nobody's to grant: a runtime offers it, or its host cannot.
            let network = (container.network == Network::Host)
                .then(|| format!("network:{}", container.network.as_str()));
            views
                .chain(network)
                .find(|grant| !agent.grants.contains(grant))
                .map(|grant| format!("not granted by its operator: {grant} (`--allow {grant}`)"))
                .or_else(|| refused(agent, wanted))
        }
    }
}

/// Which runtime is asked for and not there, or what none of those that could take it offers on that host.
fn no_runtime(agent: &Candidate, container: &ContainerWork) -> Option<String> {
    let asked = container.runtime.map(RuntimeName::as_str);
    let mut could = agent
        .runtimes
        .iter()
        .filter(|(name, _)| asked.is_none_or(|asked| *name == asked))
        .peekable();
    if could.peek().is_none() {
        let asked = asked.unwrap_or_default();
        return Some(format!("no runtime {asked} (`--runtime {asked}`, or `both`)"));
    }
    let lacks = |offers: &Option<BTreeSet<String>>| {
        let offers = offers.as_ref()?;
        container.wants_offered().find(|word| !offers.contains(*word))
    };
    let lacking: Vec<Option<&str>> = could.map(|(_, offers)| lacks(offers)).collect();
    let first = lacking.first().copied().flatten()?;
    lacking.iter().all(Option::is_some).then(|| match asked {
        Some(asked) => {
            format!("its runtime {asked} does not offer {first} (`firehall doctor` there says why)")
        }
        None => format!("no runtime of its offers {first} (`firehall doctor` there says why)"),
    })
}

/// What the agent's own policy would refuse.
fn refused(agent: &Candidate, wanted: &Wanted<'_>) -> Option<String> {
    let refusal = agent.policy.as_ref()?.check(wanted.work, wanted.whose).err()?;
    Some(format!("refused by its operator: {refusal}"))
}
