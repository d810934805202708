//! Which agents fit a step as of now: the same rule as a run's placement.

use std::collections::{BTreeMap, BTreeSet};

use types::{ActionWork, ContainerWork, HostView, Network, Object, ServiceWork, Whose, Work, WorkBody};
use workflow::{Body, PlanService, PlanStep, Template};

use super::view::{Agents, Foreseen, Where};
use crate::placement::{self, Snapshot, Wanted};

/// Names of one answer.
const NAMES: usize = 50;

/// What a step wants of an agent, whatever its values are.
pub(super) fn wants(plan: &PlanStep, runs_on: BTreeMap<String, Foreseen>) -> Where {
    let mut wants = Where {
        runs_on,
        action: None,
        runtime: false,
        runtime_named: None,
        connection: None,
        secrets: BTreeSet::new(),
        grants: BTreeSet::new(),
        agents: None,
    };
    match &plan.body {
        Body::Action {
            action, connection, ..
        } => {
            wants.action = Some(action.clone());
            wants.connection.clone_from(connection);
        }
        Body::Container {
            secrets,
            network,
            host_view,
            runtime,
            services,
            ..
        } => {
            wants.runtime = true;
            wants.runtime_named = *runtime;
            let beside = services.values().flat_map(|service| service.secrets.values());
            wants.secrets = secrets.values().chain(beside).cloned().collect();
            let views = host_view
                .iter()
                .map(|view| format!("host-view:{}", HostView::as_str(*view)));
            let host = (*network == Network::Host).then(|| format!("network:{}", network.as_str()));
            wants.grants = views.chain(host).collect();
        }
    }
    wants
}

/// The agents that fit, as far as the labels are known.
pub(super) fn agents(snapshot: &Snapshot, plan: &PlanStep, labels: &BTreeMap<String, Foreseen>) -> Agents {
    let mut runs_on = BTreeMap::new();
    let mut open_labels = Vec::new();
    for (key, value) in labels {
        match value {
            Foreseen::Value(value) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                runs_on.insert(key.clone(), text);
            }
            Foreseen::Large(_) | Foreseen::Wrong(_) | Foreseen::Later { .. } => open_labels.push(key.clone()),
        }
    }
    let work = work(plan);
    let wanted = Wanted {
        work: &work,
        runs_on: &runs_on,
        connection: match &plan.body {
            Body::Action { connection, .. } => connection.as_deref(),
            Body::Container { .. } => None,
        },
        whose: Whose {
            workflow: None,
            step: Some(&plan.key),
            image_is_open: image(plan).is_none(),
        },
        crashes: None,
    };
    let fit = snapshot
        .agents
        .iter()
        .filter(|agent| placement::fits(agent, &wanted));
    let fit = fit.take(NAMES).map(|agent| agent.name.clone()).collect();
    let placed = placement::place(snapshot, &wanted);
    Agents {
        fit,
        takes: placed.as_ref().ok().map(|agent| agent.name.clone()),
        why_none: placed.err(),
        open_labels,
    }
}

/// The image, where it is written as it is.
fn image(plan: &PlanStep) -> Option<&str> {
    match &plan.body {
        Body::Container {
            image: Template::Literal(image),
            ..
        } => image.as_str(),
        Body::Container { .. } | Body::Action { .. } => None,
    }
}

/// A service as placement reads it.
fn beside(service: &PlanService) -> ServiceWork {
    let image = match &service.image {
        Template::Literal(image) => image.as_str().unwrap_or_default(),
        _ => "",
    };
    ServiceWork {
        image: image.to_owned(),
        pull: service.pull,
        argv: Vec::new(),
        env: BTreeMap::new(),
        secrets: service.secrets.clone(),
        secret_files: service.secret_files.clone(),
        files: BTreeMap::new(),
        resources: service.resources,
        workdir: service.workdir.clone(),
        user: service.user,
        ready: None,
    }
}

/// The work as placement reads it: no values but the image.
fn work(plan: &PlanStep) -> Work {
    let body = match &plan.body {
        Body::Action {
            action,
            major,
            digest,
            ..
        } => WorkBody::Action(ActionWork {
            action: action.clone(),
            major: *major,
            digest: digest.clone(),
            params: Object::new(),
        }),
        Body::Container {
            secrets,
            secret_files,
            resources,
            network,
            host_view,
            workdir,
            user,
            output_from,
            runtime,
            services,
            ..
        } => WorkBody::Container(ContainerWork {
            image: image(plan).unwrap_or_default().to_owned(),
            pull: types::Pull::default(),
            argv: Vec::new(),
            env: BTreeMap::new(),
            secrets: secrets.clone(),
            secret_files: secret_files.clone(),
            files: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            resources: *resources,
            network: *network,
            host_view: host_view.clone(),
            workdir: workdir.clone(),
            user: *user,
            output_from: *output_from,
            runtime: *runtime,
            services: services
                .iter()
                .map(|(name, service)| (name.clone(), beside(service)))
                .collect(),
        }),
    };
    Work {
        body,
        outputs: BTreeMap::new(),
        timeout_ms: plan.timeout_ms,
        grace_ms: plan.grace_ms,
        disconnect_ms: plan.disconnect_ms,
    }
}
