//! The graph as JSON: a workflow's steps by name, each with those that it depends on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use types::{ArtifactDecl, IfLost, Millis, OutputDecl, OutputFrom, Ready, Resources, Retry, RuntimeName};

use super::{Index, depends, summary::script, text::written};
use crate::{Body, FanOut, LocalUse, Plan, PlanFile, PlanFileFrom, PlanService, PlanStep, Template};

/// A workflow as a graph. Its JSON is `{name, steps: [{name, depends: […], executor: {type, config}, …}]}`, in the
/// definition's order; the fields are described in docs/language.md and stay. What is null in the plan is left out;
/// `depends` never is. Times are in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Dag<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<On<'a>>,
    inputs: BTreeMap<&'a str, Input<'a>>,
    steps: Vec<Step<'a>>,
}

#[derive(Debug, Clone, Serialize)]
struct On<'a> {
    alert: Alert<'a>,
}

#[derive(Debug, Clone, Serialize)]
struct Alert<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'a str>,
}

#[derive(Debug, Clone, Serialize)]
struct Input<'a> {
    #[serde(rename = "type")]
    ty: String,
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'a Value>,
    #[serde(rename = "enum", skip_serializing_if = "<[Value]>::is_empty")]
    one_of: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

#[derive(Debug, Clone, Serialize)]
struct Step<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    depends: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    follows: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'a str>,
    /// Whether the step starts only when what it depends on has succeeded.
    default_edge: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    foreach: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_parallel: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gather_ms: Option<Millis>,
    executor: Executor<'a>,
    runs_on: BTreeMap<&'a str, Value>,
    outputs: BTreeMap<&'a str, Output>,
    allow_failure: bool,
    if_lost: IfLost,
    retry: &'a Retry,
    pickup_ms: Millis,
    timeout_ms: Millis,
    grace_ms: Millis,
    disconnect_ms: Millis,
}

#[derive(Debug, Clone, Serialize)]
struct Output {
    #[serde(rename = "type")]
    ty: String,
    optional: bool,
}

#[expect(clippy::large_enum_variant, reason = "one for each step, and written at once")]
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", content = "config", rename_all = "snake_case")]
enum Executor<'a> {
    Action(Action<'a>),
    Container(Container<'a>),
}

#[derive(Debug, Clone, Serialize)]
struct Action<'a> {
    action: &'a str,
    major: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<&'a str>,
    with: BTreeMap<&'a str, Value>,
}

#[derive(Debug, Clone, Serialize)]
struct Container<'a> {
    /// The action of the team's own that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a LocalUse>,
    image: Value,
    pull: &'static str,
    /// The script of `run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    command: Vec<Value>,
    env: BTreeMap<&'a str, Value>,
    secrets: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    secret_files: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<&'a str, File>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    artifacts: &'a BTreeMap<String, ArtifactDecl>,
    resources: Resources,
    network: &'static str,
    host_view: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workdir: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<u32>,
    output_from: OutputFrom,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<RuntimeName>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    services: BTreeMap<&'a str, Service<'a>>,
}

#[derive(Debug, Clone, Serialize)]
struct Service<'a> {
    image: Value,
    pull: &'static str,
    /// The script of `run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    command: Vec<Value>,
    env: BTreeMap<&'a str, Value>,
    secrets: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    secret_files: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<&'a str, File>,
    resources: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    workdir: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<&'a Ready>,
}

#[derive(Debug, Clone, Serialize)]
struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Value>,
    /// `STEP.NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact: Option<String>,
    /// As `chmod` takes it.
    mode: String,
}

/// The graph of a plan.
#[must_use]
pub fn dag(plan: &Plan) -> Dag<'_> {
    let index = Index::new(plan);
    let inputs = plan.inputs.iter().map(|(name, input)| {
        let input = Input {
            ty: input.ty.to_string(),
            required: input.default.is_none(),
            default: input.default.as_ref(),
            one_of: &input.one_of,
            description: input.description.as_deref(),
        };
        (name.as_str(), input)
    });
    let on = plan.on_alert.as_ref().map(|alert| On {
        alert: Alert {
            when: alert.when.as_ref().map(|when| when.0.as_str()),
        },
    });
    Dag {
        name: &plan.name,
        description: plan.description.as_deref(),
        digest: &plan.source_digest,
        on,
        inputs: inputs.collect(),
        steps: plan.steps.iter().map(|one| step(&index, one)).collect(),
    }
}

fn step<'a>(index: &Index<'a>, step: &'a PlanStep) -> Step<'a> {
    let edges = depends(index, step);
    let follows = edges.iter().filter(|(_, follows)| *follows);
    let (foreach, max_parallel, gather_ms) = match &step.fan_out {
        Some(FanOut::Each { items, max_parallel }) => (Some(written(items)), *max_parallel, None),
        Some(FanOut::Follow { gather_ms, .. }) => (None, None, Some(*gather_ms)),
        None => (None, None, None),
    };
    Step {
        name: &step.key,
        description: step.name.as_deref(),
        depends: edges.iter().map(|(key, _)| *key).collect(),
        follows: follows.map(|(key, _)| *key).collect(),
        when: step.when.as_ref().map(|when| when.0.as_str()),
        default_edge: !step.when_replaces_edge,
        foreach,
        max_parallel,
        gather_ms,
        executor: executor(&step.body),
        runs_on: values(&step.runs_on),
        outputs: step
            .outputs
            .iter()
            .map(|(name, output)| (name.as_str(), declared(output)))
            .collect(),
        allow_failure: step.allow_failure,
        if_lost: step.if_lost,
        retry: &step.retry,
        pickup_ms: step.pickup_ms,
        timeout_ms: step.timeout_ms,
        grace_ms: step.grace_ms,
        disconnect_ms: step.disconnect_ms,
    }
}

fn executor(body: &Body) -> Executor<'_> {
    match body {
        Body::Action {
            action,
            major,
            digest: _,
            connection,
            with,
        } => Executor::Action(Action {
            action,
            major: *major,
            connection: connection.as_deref(),
            with: values(with),
        }),
        Body::Container {
            action,
            image,
            pull,
            argv,
            env,
            secrets,
            secret_files,
            files,
            artifacts,
            resources,
            network,
            host_view,
            workdir,
            user,
            output_from,
            runtime,
            services,
        } => Executor::Container(Container {
            action: action.as_ref(),
            image: written(image),
            pull: pull.as_str(),
            content: script(argv),
            command: argv.iter().map(written).collect(),
            env: values(env),
            secrets,
            secret_files,
            files: files
                .iter()
                .map(|(path, one)| (path.as_str(), file(one)))
                .collect(),
            artifacts,
            resources: *resources,
            network: network.as_str(),
            host_view: host_view.iter().map(|view| view.as_str()).collect(),
            workdir: workdir.as_deref(),
            user: *user,
            output_from: *output_from,
            runtime: *runtime,
            services: services
                .iter()
                .map(|(name, one)| (name.as_str(), service(one)))
                .collect(),
        }),
    }
}

fn file(file: &PlanFile) -> File {
    let (content, artifact) = match &file.from {
        PlanFileFrom::Content(content) => (Some(written(content)), None),
        PlanFileFrom::Artifact { step, name } => (None, Some(format!("{step}.{name}"))),
    };
    File {
        content,
        artifact,
        mode: format!("{:04o}", file.mode),
    }
}

fn service(service: &PlanService) -> Service<'_> {
    Service {
        image: written(&service.image),
        pull: service.pull.as_str(),
        content: script(&service.argv),
        command: service.argv.iter().map(written).collect(),
        env: values(&service.env),
        secrets: &service.secrets,
        secret_files: &service.secret_files,
        files: service
            .files
            .iter()
            .map(|(path, one)| (path.as_str(), file(one)))
            .collect(),
        resources: service.resources,
        workdir: service.workdir.as_deref(),
        user: service.user,
        ready: service.ready.as_ref(),
    }
}

fn values(templates: &BTreeMap<String, Template>) -> BTreeMap<&str, Value> {
    templates
        .iter()
        .map(|(key, value)| (key.as_str(), written(value)))
        .collect()
}

fn declared(output: &OutputDecl) -> Output {
    Output {
        ty: output.ty.to_string(),
        optional: output.optional,
    }
}
