//! The server as a client sees it: version, clock, ways in for alerts, agents, bound workflows.

use node::egress::{self, Egress};
use sdk::{AgentState, Client, Error, SourceView};
use workflow::Plan;

use super::{finding::Report, said};

/// How far two clocks may be apart before people are misled, in milliseconds.
const SKEW_MS: u64 = 2_000;

/// No server: that is an error only for one who asked for it.
pub(super) fn unreachable(report: &mut Report, error: &Error, asked: bool) {
    let help = "start one with `firehall server --data-dir DIR` or `firehall dev --data-dir DIR`, or name it by --server or \
                FIREHALL_SERVER";
    if asked {
        report.error("server.reachable", said(error), help);
    } else {
        report.warning("server.reachable", said(error), help);
    }
    for check in ["webhooks", "agents", "workflows.bound"] {
        report.unknown(check, "no server was reached", "see server.reachable");
    }
}

/// Looks at it; gives the workflows that alerts start, when they are known.
pub(super) async fn look(report: &mut Report, client: &Client) -> Option<Vec<Plan>> {
    match client.diagnose().await {
        Ok(answer) => {
            report.ok(
                "server.reachable",
                format!("a server answers at {}", client.url()),
            );
            version(report, &answer.version);
            if let Some(theirs) = answer.now {
                let ours = node::clock::wall();
                let apart = ours.since(theirs).max(theirs.since(ours));
                let message = format!("the server's clock and this one are {apart} ms apart");
                if apart > SKEW_MS {
                    report.warning(
                        "server.clock",
                        message,
                        "synchronise both: timedatectl set-ntp true",
                    );
                } else {
                    report.ok("server.clock", message);
                }
            }
        }
        Err(error) => report.error("server.reachable", said(&error), "see the server's log"),
    }
    webhooks(report, client).await;
    agents(report, client).await;
    bound(report, client).await
}

fn version(report: &mut Report, theirs: &str) {
    let ours = env!("CARGO_PKG_VERSION");
    if theirs == ours {
        report.ok(
            "server.version",
            format!("the server is firehall {theirs}, as this one"),
        );
    } else {
        report.warning(
            "server.version",
            format!("the server is firehall {theirs}, this is {ours}"),
            "neighbouring versions work together; bring both to the newer one when you can",
        );
    }
}

async fn webhooks(report: &mut Report, client: &Client) {
    let sources = match client.sources().await {
        Ok(sources) => sources,
        Err(error) => return report.error("webhooks", said(&error), "see the server's log"),
    };
    for source in sources {
        let check = format!("webhook.{}", source.name);
        match route(client.url(), &source).await {
            Ok(()) => {
                let secret = if source.secret_required {
                    "senders need the bearer secret"
                } else {
                    "no secret is needed"
                };
                report.ok(
                    &check,
                    format!(
                        "POST {}{}: the route answers, {secret}",
                        client.url(),
                        source.path
                    ),
                );
            }
            Err(reason) => report.error(
                &check,
                format!("{}{}: {reason}", client.url(), source.path),
                "senders need the same way to the server as you: look at proxies and firewalls in between",
            ),
        }
        if let Some(refusal) = &source.last_refusal {
            report.warning(
                &check,
                format!(
                    "{} deliveries were refused, the last one: {refusal}",
                    source.refused
                ),
                format!(
                    "look at the sender; `firehall sources {} --template` prints the payload's form",
                    source.name
                ),
            );
        }
    }
    report.unknown(
        "webhook.from-outside",
        "whether your monitoring system reaches the server cannot be seen from here",
        "send a test alert from there, then look at `firehall incident list`",
    );
}

/// A GET, which a webhook's route refuses by its method: it is there, and no alert was made.
async fn route(server: &str, source: &SourceView) -> Result<(), String> {
    let url = format!("{}{}", server.trim_end_matches('/'), source.path);
    let http = Egress::to(&url).client().map_err(|error| said(&error))?;
    let answer = http
        .get(&url)
        .send()
        .await
        .map_err(|error| egress::chain(&error))?;
    match answer.status().as_u16() {
        405 => Ok(()),
        404 => Err("the server has no such route".to_owned()),
        other => Err(format!("unexpected answer {other}")),
    }
}

async fn agents(report: &mut Report, client: &Client) {
    match client.agents().await {
        Ok(agents) => {
            let here: Vec<&str> = agents
                .iter()
                .filter(|agent| agent.state == AgentState::Connected)
                .map(|agent| agent.name.as_str())
                .collect();
            if here.is_empty() {
                report.error(
                    "agents",
                    format!("none of {} known agents is connected: nothing runs", agents.len()),
                    "start one on a host: `firehall agent --server URL --data-dir DIR`",
                );
            } else {
                report.ok(
                    "agents",
                    format!(
                        "{} of {} connected: {}",
                        here.len(),
                        agents.len(),
                        here.join(", ")
                    ),
                );
            }
        }
        Err(error) => report.error("agents", said(&error), "see the server's log"),
    }
}

async fn bound(report: &mut Report, client: &Client) -> Option<Vec<Plan>> {
    let check = "workflows.bound";
    match plans(client).await {
        Ok(plans) if plans.is_empty() => {
            report.warning(
                check,
                "no workflow is bound to alerts: alerts open incidents and start nothing",
                "`firehall put incident-response` binds the shipped one",
            );
            Some(plans)
        }
        Ok(plans) => {
            let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
            report.ok(check, format!("alerts may start {}", names.join(", ")));
            Some(plans)
        }
        Err(reason) => {
            report.error(check, reason, "see the server's log");
            None
        }
    }
}

/// The newest definitions that alerts start.
async fn plans(client: &Client) -> Result<Vec<Plan>, String> {
    let mut plans = Vec::new();
    for kept in client.list_workflows().await.map_err(|error| said(&error))? {
        let whole = client
            .workflow(&kept.name, "")
            .await
            .map_err(|error| said(&error))?;
        let plan: Plan = serde_json::from_value(whole.plan.unwrap_or_default())
            .map_err(|error| format!("the plan of {} cannot be read: {error}", kept.name))?;
        if plan.on_alert.is_some() {
            plans.push(plan);
        }
    }
    Ok(plans)
}
