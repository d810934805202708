//! `AdminService.Diagnose`: how the server is set up and whether its parts work. What cannot be known from here is said to
//! be unknown, and where to ask.

use std::{collections::BTreeSet, time::Instant};

use proto::v1;
use workflow::{Body, Plan};

use crate::{
    Core,
    agents::Listed,
    clock::entropy,
    store::{Append, Claim},
    workflows,
};

/// Free bytes below which histories and logs soon cannot be written, and below which that is near.
const DISK_ERROR: u64 = 256 * 1024 * 1024;
const DISK_WARNING: u64 = 2 * 1024 * 1024 * 1024;

fn finding(check: &str, level: &str, message: impl Into<String>, help: impl Into<String>) -> v1::Finding {
    v1::Finding {
        check: check.to_owned(),
        level: level.to_owned(),
        message: message.into(),
        help: help.into(),
    }
}

pub(super) async fn look(core: &Core) -> v1::DiagnoseResponse {
    let agents = core.agents.list();
    let mut findings = vec![store(core).await];
    findings.push(disk(core));
    findings.extend(listening(core));
    findings.extend(present(&agents));
    match workflows::with_on_alert(core).await {
        Ok(plans) => {
            findings.push(bindings(&plans));
            findings.extend(connections(&plans, &agents));
        }
        Err(error) => findings.push(finding(
            "workflows.bound",
            "error",
            format!("the kept workflows cannot be read: {error}"),
            "see the server's log",
        )),
    }
    v1::DiagnoseResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now_ms: core.clock.now().unix_ms(),
        findings,
    }
}

/// A write that is flushed to the disk like every other: a key that nobody uses and that is free again at once.
async fn store(core: &Core) -> v1::Finding {
    let now = core.clock.now();
    let probe = Claim {
        scope: "diagnose".to_owned(),
        key: types::AlertId::new(now, entropy()).to_string(),
        request_hash: String::new(),
        answer: String::new(),
        at: now,
        expires_at: now,
    };
    let began = Instant::now();
    let append = Append {
        claims: vec![probe],
        ..Append::default()
    };
    match core.store.append(append).await {
        Ok(_) => finding(
            "store.write",
            "ok",
            format!("a write was on disk after {} ms", began.elapsed().as_millis()),
            "",
        ),
        Err(error) => finding(
            "store.write",
            "error",
            format!("a write failed: {error}"),
            "look at the disk of the data directory: is it full, read-only or broken?",
        ),
    }
}

fn disk(core: &Core) -> v1::Finding {
    let Some(dir) = core.store.directory() else {
        return finding(
            "disk.free",
            "unknown",
            "this server keeps its histories in memory and loses them with its end",
            "give --data-dir",
        );
    };
    let place = dir.display();
    match nix::sys::statvfs::statvfs(&dir) {
        Ok(stat) => {
            let free = stat.blocks_available().saturating_mul(stat.fragment_size());
            let said = format!("{} MiB are free in {place}", free / (1024 * 1024));
            if free < DISK_ERROR {
                finding("disk.free", "error", said, "free some space before writes fail")
            } else if free < DISK_WARNING {
                finding("disk.free", "warning", said, "free some space")
            } else {
                finding("disk.free", "ok", said, "")
            }
        }
        Err(error) => finding(
            "disk.free",
            "unknown",
            format!("{place} cannot be asked: {error}"),
            "ask on the server's host: df",
        ),
    }
}

fn listening(core: &Core) -> Vec<v1::Finding> {
    let config = &core.config;
    let loopback = config.listen.ip().is_loopback();
    let secret = match (&config.webhook_secret, loopback) {
        (Some(_), _) => finding("webhook.secret", "ok", "webhooks must carry a bearer secret", ""),
        (None, loopback) => finding(
            "webhook.secret",
            if loopback { "warning" } else { "error" },
            "no secret is set: whoever reaches this port can send alerts and start their workflows",
            "start the server with --webhook-secret-env NAME and give that secret to the monitoring system",
        ),
    };
    let listen = if loopback {
        let said = format!("listening on {}, for this host only", config.listen);
        finding("server.listen", "ok", said, "")
    } else {
        finding(
            "server.listen",
            "warning",
            format!("listening on {} without TLS (--insecure)", config.listen),
            "listen on a loopback address behind a proxy with TLS, or on a network that is trusted",
        )
    };
    vec![secret, listen]
}

fn present(agents: &[Listed]) -> Vec<v1::Finding> {
    let names = |pick: &dyn Fn(&&Listed) -> bool| -> Vec<String> {
        agents
            .iter()
            .filter(pick)
            .map(|agent| agent.name.clone())
            .collect()
    };
    let here = names(&|agent| agent.connected);
    let away = names(&|agent| !agent.connected);
    let draining = names(&|agent| agent.connected && agent.draining);
    let mut findings = vec![if here.is_empty() {
        finding(
            "agents.connected",
            "error",
            "no agent is connected: nothing runs",
            "start one on a host: `firehall agent --server URL`",
        )
    } else if here.len() == draining.len() {
        finding(
            "agents.connected",
            "error",
            format!("all connected agents are draining: {}", draining.join(", ")),
            "`firehall drain AGENT --undo` undoes it for one; or start another agent",
        )
    } else {
        let said = format!("{} connected: {}", here.len(), here.join(", "));
        finding("agents.connected", "ok", said, "")
    }];
    findings.push(if away.is_empty() {
        finding("agents.disconnected", "ok", "none is away", "")
    } else {
        finding(
            "agents.disconnected",
            "warning",
            format!("{} away: {}", away.len(), away.join(", ")),
            "look at them on their hosts: `firehall doctor`, and the agent's log",
        )
    });
    if !draining.is_empty() {
        let said = format!("offered nothing new: {}", draining.join(", "));
        findings.push(finding(
            "agents.draining",
            "warning",
            said,
            "`firehall drain AGENT --undo` when the work is done",
        ));
    }
    findings
}

fn bindings(plans: &[Plan]) -> v1::Finding {
    if plans.is_empty() {
        return finding(
            "workflows.bound",
            "warning",
            "no workflow is bound to alerts: alerts open incidents and start nothing",
            "keep a workflow with `on: {alert: {}}`: `firehall new --from incident-response`, then put it on the server",
        );
    }
    let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    finding(
        "workflows.bound",
        "ok",
        format!("alerts may start {}", names.join(", ")),
        "",
    )
}

/// The connections that a plan's actions need of an agent.
fn needed(plan: &Plan) -> BTreeSet<String> {
    let of_step = |step: &workflow::PlanStep| match &step.body {
        Body::Action { connection, .. } => connection.clone(),
        Body::Container { .. } => None,
    };
    plan.steps.iter().filter_map(of_step).collect()
}

fn connections(plans: &[Plan], agents: &[Listed]) -> Vec<v1::Finding> {
    let mut findings = Vec::new();
    let mut slack = false;
    for plan in plans {
        for name in needed(plan) {
            slack |= name.contains("slack");
            let holders: Vec<&str> = agents
                .iter()
                .filter(|agent| agent.connected && agent.facts.connections.contains(&name))
                .map(|agent| agent.name.as_str())
                .collect();
            findings.push(if holders.is_empty() {
                finding(
                    "workflows.connections",
                    "error",
                    format!(
                        "{} needs the connection {name}, and no connected agent holds it",
                        plan.name
                    ),
                    format!("give an agent the credentials of {name} and start it again"),
                )
            } else {
                let said = format!(
                    "{} needs the connection {name}: held by {}",
                    plan.name,
                    holders.join(", ")
                );
                finding("workflows.connections", "ok", said, "")
            });
        }
    }
    if slack {
        findings.push(finding(
            "slack.scopes",
            "unknown",
            "the server has no credentials, and agents do not report the scopes of theirs",
            "ask on the agent's host with `firehall doctor`",
        ));
    }
    findings
}
