//! Slack: the token as the agent reads it, whose it is, and its scopes against what the bound workflows need.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ::actions::{ActionContext, Clock, Connections, LogSink, Mask, Registry};
use tokio_util::sync::CancellationToken;
use types::{Catalogue, Entropy, LeaseToken, Object, RunId, Secret};
use workflow::{Body, Plan};

use super::finding::Report;

/// How long Slack may take.
const PATIENCE: Duration = Duration::from_secs(15);
const WHERE: &str =
    "run this with the agent's environment: (set -a; . /etc/firehall/agent.env; firehall doctor)";

/// What workflows need: scopes of which each is required, or only better to have. `a|b` means one of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    required: BTreeSet<String>,
    better: BTreeSet<String>,
    used: bool,
}

pub(super) async fn look(
    report: &mut Report,
    secrets: &BTreeMap<String, Secret>,
    url: Option<String>,
    bound: Option<&[Plan]>,
) {
    let get = |name: &str| match (name, &url) {
        ("SLACK_API_URL", Some(url)) => Some(url.clone()),
        _ => match secrets.get(name) {
            Some(secret) => Some(secret.expose().to_owned()),
            None => std::env::var(name).ok(),
        },
    };
    let connections = match Registry::connections_from_env(&get) {
        Ok(connections) => connections,
        Err(error) => {
            return report.error(
                "connections",
                format!("the agent would not start: {error}"),
                "correct that variable where the agent gets its environment",
            );
        }
    };
    super::connections::look(report, &connections, bound);
    let needs = bound.map(|plans| needs(plans, &Registry::builtin().catalogue()));
    if connections.slack.is_none() {
        return absent(report, needs.as_ref());
    }
    match identify(connections).await {
        Ok((whose, scopes)) => {
            report.ok("slack.token", whose);
            granted(report, scopes.as_ref(), needs.as_ref());
        }
        Err(reason) => {
            report.error(
                "slack.token",
                reason,
                "give the agent a bot token of an app that is installed: docs/slack.md has the manifest",
            );
            report.unknown(
                "slack.scopes",
                "without a valid token Slack tells no scopes",
                "see slack.token",
            );
        }
    }
}

fn absent(report: &mut Report, needs: Option<&Needs>) {
    match needs {
        Some(needs) if !needs.used => {
            report.ok(
                "slack.token",
                "no bound workflow uses Slack, and no token is set here",
            );
        }
        _ => {
            report.unknown(
                "slack.token",
                "SLACK_BOT_TOKEN is not set in this environment",
                WHERE,
            );
            report.unknown("slack.scopes", "without the token Slack tells no scopes", WHERE);
        }
    }
}

/// Whose token it is, and its scopes when Slack says them: by the action that workflows use, so that what works here
/// works there.
async fn identify(connections: Connections) -> Result<(String, Option<BTreeSet<String>>), String> {
    let entropy = || {
        let mut bytes = [0; 10];
        getrandom::fill(&mut bytes)
            .map(|()| Entropy::from(bytes))
            .map_err(|error| format!("no randomness: {error}"))
    };
    let now = node::clock::wall();
    let context = ActionContext {
        run: RunId::new(now, entropy()?),
        step: "doctor".to_owned(),
        index: None,
        attempt: 1,
        token: LeaseToken::new(now, entropy()?),
        clock: Clock::new(node::clock::wall),
        connections,
        mask: Mask::none(),
        cancel: CancellationToken::new(),
        log: LogSink::none(),
        deadline: tokio::time::Instant::now() + PATIENCE,
    };
    let output = Registry::builtin()
        .run("slack/connect", &context, Object::new())
        .await
        .map_err(|error| error.message)?;
    let connection = &output.outputs["connection"];
    let text = |key: &str| connection[key].as_str().unwrap_or("?").to_owned();
    let scopes: BTreeSet<String> = connection["scopes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|scope| scope.as_str().map(str::to_owned))
        .collect();
    let whose = format!(
        "valid: {} in {} ({})",
        text("bot_name"),
        text("team"),
        text("url")
    );
    Ok((whose, (!scopes.is_empty()).then_some(scopes)))
}

fn needs(plans: &[Plan], catalogue: &Catalogue) -> Needs {
    let mut needs = Needs::default();
    for step in plans.iter().flat_map(|plan| &plan.steps) {
        let Body::Action {
            action, connection, ..
        } = &step.body
        else {
            continue;
        };
        if connection.as_deref() != Some("slack") {
            continue;
        }
        needs.used = true;
        if let Some(signature) = catalogue.0.get(action) {
            needs.required.extend(signature.scopes.iter().cloned());
            needs.better.extend(signature.optional_scopes.iter().cloned());
        }
    }
    needs.better = &needs.better - &needs.required;
    needs
}

/// Those of the wanted scopes that are not granted, in words.
fn missing(wanted: &BTreeSet<String>, granted: &BTreeSet<String>) -> Vec<String> {
    wanted
        .iter()
        .filter(|one| !one.split('|').any(|scope| granted.contains(scope)))
        .map(|one| one.replace('|', " or "))
        .collect()
}

fn granted(report: &mut Report, granted: Option<&BTreeSet<String>>, needs: Option<&Needs>) {
    let check = "slack.scopes";
    let Some(granted) = granted else {
        return report.unknown(
            check,
            "Slack did not say which scopes the token has",
            "look at the app's page, OAuth & Permissions: https://api.slack.com/apps",
        );
    };
    let add = "add them to the app's bot scopes and install the app again: docs/slack.md has a manifest with all of them";
    let Some(needs) = needs else {
        let list: Vec<&str> = granted.iter().map(String::as_str).collect();
        return report.unknown(
            check,
            format!(
                "granted: {}; what is needed is not known without the bound workflows",
                list.join(" ")
            ),
            "see server.reachable",
        );
    };
    let (required, better) = (missing(&needs.required, granted), missing(&needs.better, granted));
    if !required.is_empty() {
        report.error(
            check,
            format!("the bound workflows need {}", required.join(", ")),
            add,
        );
    }
    if !better.is_empty() {
        report.warning(
            check,
            format!(
                "without {} steps of the bound workflows degrade",
                better.join(", ")
            ),
            add,
        );
    }
    if required.is_empty() && better.is_empty() {
        report.ok(
            check,
            format!(
                "{} are granted, and with them all that the bound workflows use",
                granted.len()
            ),
        );
    }
}
