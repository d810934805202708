//! A step's work, evaluated: plain values, once, and bounded.

use std::collections::BTreeMap;

use types::{
    ActionWork, Artifact, ArtifactRef, ContainerWork, FileFrom, Object, ServiceWork, Value, Work, WorkBody,
    WorkFile, limits,
};
use workflow::{Body, EvalError, PlanFile, PlanFileFrom, PlanService, PlanStep, Scope, Template};

use crate::outputs::{VALUE_DEPTH, is_shallow};

/// All that one attempt's work may be in its JSON form: it must fit into one message to an agent, framing included.
const WORK_BYTES: usize = limits::MESSAGE_BYTES / 2;

/// What cannot be stored or sent fails its item, never the run's history.
pub(crate) fn storable(evaluated: Evaluated) -> Result<Evaluated, String> {
    let work = &evaluated.0;
    if let WorkBody::Action(action) = &work.body
        && let Some((name, _)) = action.params.iter().find(|(_, value)| !is_shallow(value))
    {
        return Err(format!("parameter {name:?} is nested deeper than {VALUE_DEPTH}"));
    }
    if let WorkBody::Container(container) = &work.body {
        fits(container)?;
    }
    match serde_json::to_string(work) {
        Ok(json) if json.len() > WORK_BYTES => Err(format!(
            "the step's work has {} bytes, at most {WORK_BYTES}",
            json.len()
        )),
        Ok(_) => Ok(evaluated),
        Err(error) => Err(format!("the step's work has no JSON form: {error}")),
    }
}

/// What the files hold travels with the work.
fn fits(container: &ContainerWork) -> Result<(), String> {
    let bytes = |file: &WorkFile| match &file.from {
        FileFrom::Content(content) => Value::from(content.as_str()).to_string().len(),
        FileFrom::Artifact(_) => 0,
    };
    let all: usize = container.all_files().map(|(_, file)| bytes(file)).sum();
    match container.all_files().max_by_key(|(_, file)| bytes(file)) {
        Some((path, largest)) if all > limits::FILES_BYTES => Err(format!(
            "its files hold {all} bytes in their JSON form, at most {}; the largest is {path:?} with {}",
            limits::FILES_BYTES,
            bytes(largest)
        )),
        _ => Ok(()),
    }
}

/// The work, the labels and the connection that it needs.
type Evaluated = (Work, BTreeMap<String, String>, Option<String>);

/// What a step has kept under a name.
pub(crate) type Kept<'a> = &'a dyn Fn(&str, &str) -> Option<Artifact>;

pub(crate) fn evaluate(plan: &PlanStep, scope: &Scope, kept: Kept<'_>) -> Result<Evaluated, EvalError> {
    let (body, connection) = match &plan.body {
        Body::Action {
            action,
            major,
            digest,
            connection,
            with,
        } => {
            let params: Object = with
                .iter()
                .map(|(key, t)| Ok((key.clone(), t.eval(scope)?)))
                .collect::<Result<_, EvalError>>()?;
            let work = ActionWork {
                action: action.clone(),
                major: *major,
                digest: digest.clone(),
                params,
            };
            (WorkBody::Action(work), connection.clone())
        }
        Body::Container {
            action: _,
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
        } => {
            let work = ContainerWork {
                image: text(image, scope)?,
                pull: *pull,
                argv: argv
                    .iter()
                    .map(|part| text(part, scope))
                    .collect::<Result<_, _>>()?,
                env: texts(env, scope)?,
                secrets: secrets.clone(),
                secret_files: secret_files.clone(),
                files: self::files(files, scope, kept)?,
                artifacts: artifacts.clone(),
                resources: *resources,
                network: *network,
                host_view: host_view.clone(),
                workdir: workdir.clone(),
                user: *user,
                output_from: *output_from,
                runtime: *runtime,
                services: services
                    .iter()
                    .map(|(name, service)| Ok((name.clone(), beside(service, scope, kept)?)))
                    .collect::<Result<_, EvalError>>()?,
            };
            (WorkBody::Container(work), None)
        }
    };
    let work = Work {
        body,
        outputs: plan.outputs.clone(),
        timeout_ms: plan.timeout_ms,
        grace_ms: plan.grace_ms,
        disconnect_ms: plan.disconnect_ms,
    };
    Ok((work, texts(&plan.runs_on, scope)?, connection))
}

/// A service.
fn beside(service: &PlanService, scope: &Scope, kept: Kept<'_>) -> Result<ServiceWork, EvalError> {
    Ok(ServiceWork {
        image: text(&service.image, scope)?,
        pull: service.pull,
        argv: service
            .argv
            .iter()
            .map(|part| text(part, scope))
            .collect::<Result<_, _>>()?,
        env: texts(&service.env, scope)?,
        secrets: service.secrets.clone(),
        secret_files: service.secret_files.clone(),
        files: files(&service.files, scope, kept)?,
        resources: service.resources,
        workdir: service.workdir.clone(),
        user: service.user,
        ready: service.ready.clone(),
    })
}

fn texts(map: &BTreeMap<String, Template>, scope: &Scope) -> Result<BTreeMap<String, String>, EvalError> {
    map.iter()
        .map(|(key, template)| Ok((key.clone(), text(template, scope)?)))
        .collect()
}

fn files(
    files: &BTreeMap<String, PlanFile>,
    scope: &Scope,
    kept: Kept<'_>,
) -> Result<BTreeMap<String, WorkFile>, EvalError> {
    files
        .iter()
        .map(|(path, file)| Ok((path.clone(), evaluated(file, scope, kept)?)))
        .collect()
}

/// A file with its bytes.
fn evaluated(file: &PlanFile, scope: &Scope, kept: Kept<'_>) -> Result<WorkFile, EvalError> {
    let from = match &file.from {
        PlanFileFrom::Content(content) => FileFrom::Content(text(content, scope)?),
        PlanFileFrom::Artifact { step, name } => match kept(step, name) {
            Some(artifact) => FileFrom::Artifact(ArtifactRef {
                step: step.clone(),
                name: artifact.name,
                bytes: artifact.bytes,
                sha256: artifact.sha256,
            }),
            None => {
                return Err(EvalError::absent(format!(
                    "the step {step} left no artifact {name}"
                )));
            }
        },
    };
    Ok(WorkFile {
        from,
        mode: file.mode,
    })
}

/// A template as text: a scalar as it is written, a list or an object as JSON.
fn text(template: &Template, scope: &Scope) -> Result<String, EvalError> {
    Ok(match template.eval(scope)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}
