//! `GET /workflows`, `GET /workflows/{name}` and where a step stands in its source.

use std::collections::HashMap;

use ::pages::{
    Section, Workflow, Workflows, graph,
    workflow::{Bound, Facts},
};
use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use proto::v1;
use serde::Deserialize;
use tonic::Status;
use workflow::Plan;

use super::{Ask, answer, refusal::Refusal, shell};
use crate::{
    Core,
    api::{errors, runs_view},
    workflows as kept,
};

/// Workflows on a page: each is read whole, for what it is bound to.
const PAGE: u32 = 50;
/// Runs of a workflow on its page.
const RUNS: u32 = 10;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Where {
    page_token: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    version: String,
}

pub(super) async fn list(
    State(core): State<Core>,
    ask: Ask,
    Query(at): Query<Where>,
) -> Result<Response, Refusal> {
    let shell = shell(&core, Section::Workflows, "Workflows");
    let listed = async {
        let request = v1::ListWorkflowsRequest {
            limit: PAGE,
            page_token: at.page_token,
        };
        let mut listed = ask.workflows(request).await?;
        let mut rows = Vec::new();
        for workflow in std::mem::take(&mut listed.workflows) {
            let (workflow, plan) = load(&ask, workflow.name, workflow.version).await?;
            rows.push(facts(workflow, &plan));
        }
        Ok((rows, listed.next_page_token))
    };
    let listed = listed.await;
    let (workflows, next_page_token) = listed.map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&Workflows {
        shell,
        workflows,
        next_page_token,
    }))
}

pub(super) async fn show(
    State(core): State<Core>,
    ask: Ask,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Refusal> {
    let shell = shell(&core, Section::Workflows, name.clone());
    let page = async {
        let (found, plan) = load(&ask, name.clone(), which.version.clone()).await?;
        let newest = which.version.is_empty() || {
            let version = String::new();
            let newest = ask.workflow(v1::GetWorkflowRequest { name, version }).await?;
            newest.version == found.version
        };
        let request = v1::ListRunsRequest {
            limit: RUNS,
            workflow: found.name.clone(),
            ..v1::ListRunsRequest::default()
        };
        let runs = ask.runs(request).await?.runs;
        Ok(Workflow {
            shell,
            newest,
            source: found.source.clone(),
            graph: picture(&found, &plan),
            inputs: inputs(&plan),
            facts: facts(found, &plan),
            runs,
        })
    };
    let page = page.await.map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&page))
}

/// `GET /workflows/{name}/steps/{key}`: on to the line of the source where the step begins.
pub(super) async fn step(
    State(core): State<Core>,
    ask: Ask,
    Path((name, key)): Path<(String, String)>,
    Query(which): Query<Which>,
) -> Result<Response, Refusal> {
    let found = load(&ask, name, which.version.clone()).await;
    let (found, plan) = found.map_err(|status| Refusal::new(&core, status))?;
    if !plan.steps.iter().any(|step| step.key == key) {
        let why = format!("{} has no step {key:?}", found.name);
        return Err(Refusal::new(&core, errors::not_found("step", &key, why)));
    }
    let version = if which.version.is_empty() {
        String::new()
    } else {
        format!("?version={}", ::pages::encode(&which.version))
    };
    let line = line_of(&found.source, &key).map_or_else(|| "#source".to_owned(), |line| format!("#L{line}"));
    let path = format!("/workflows/{}{version}{line}", ::pages::encode(&found.name));
    Ok(Redirect::to(&path).into_response())
}

/// The first line, from 1, that has the step's key as a key of YAML or JSON, behind `steps`.
fn line_of(source: &str, key: &str) -> Option<usize> {
    let is = |line: &str, key: &str| {
        let line = line.trim_start().trim_start_matches(['{', ',', ' ']);
        let quoted = line.strip_prefix(['"', '\'']);
        let rest = quoted.unwrap_or(line).strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start_matches(['"', '\'', ' ']).starts_with(':'))
    };
    let steps = source.lines().position(|line| is(line, "steps"))?;
    let behind = source.lines().enumerate().skip(steps + 1);
    behind
        .into_iter()
        .find(|(_, line)| is(line, key))
        .map(|(n, _)| n + 1)
}

/// A kept workflow, of which an empty version is the newest, with its plan.
pub(super) async fn load(ask: &Ask, name: String, version: String) -> Result<(v1::Workflow, Plan), Status> {
    let found = ask.workflow(v1::GetWorkflowRequest { name, version }).await?;
    let plan = kept::read(&found.name, &found.plan_json).map_err(|error| errors::store_status(&error))?;
    Ok((found, plan))
}

fn facts(found: v1::Workflow, plan: &Plan) -> Facts {
    Facts {
        name: found.name,
        version: found.version,
        stored_at_ms: found.stored_at_ms,
        description: plan.description.clone().unwrap_or_default(),
        bound: match plan.on_alert.as_ref().map(|on| &on.when) {
            None => Bound::No,
            Some(None) => Bound::Always,
            Some(Some(when)) => Bound::When(when.0.clone()),
        },
        steps: plan.steps.len(),
    }
}

fn inputs(plan: &Plan) -> Vec<::pages::workflow::Input> {
    let input = |(name, input): (&String, &workflow::Input)| ::pages::workflow::Input {
        name: name.clone(),
        ty: input.ty.to_string(),
        description: input.description.clone().unwrap_or_default(),
        default: input.default.as_ref().map(ToString::to_string),
        one_of: input.one_of.iter().map(ToString::to_string).collect(),
    };
    plan.inputs.iter().map(input).collect()
}

/// The plan as a picture whose cards lead to the source.
fn picture(found: &v1::Workflow, plan: &Plan) -> graph::Graph {
    let whats: Vec<String> = plan.steps.iter().map(runs_view::what).collect();
    let keys = plan.steps.iter().map(|step| step.key.as_str());
    let places: HashMap<&str, usize> = keys.zip(0..).collect();
    let position = |key: &String| places.get(key.as_str()).copied();
    let steps: Vec<graph::Step<'_>> = (plan.steps.iter().zip(&whats))
        .map(|(step, what)| graph::Step {
            key: &step.key,
            what,
            state: if step.fan_out.is_some() {
                "fans out"
            } else {
                "step"
            },
            needs: step.before().filter_map(position).collect(),
            ..graph::Step::default()
        })
        .collect();
    let base = format!("/workflows/{}", ::pages::encode(&found.name));
    graph::Graph::new(&base, &steps, |_| format!("{base}#source"))
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn a_step_is_found_where_it_stands_in_yaml_and_json() {
        let yaml = "name: x\ninputs:\n  build: { type: string }\nsteps:\n  first: { uses: a }\n  build:\n    run: x\n";
        assert_eq!(line_of(yaml, "build"), Some(6));
        assert_eq!(line_of(yaml, "buil"), None);
        let json = "{\n \"steps\": {\n  \"build\": {}\n }\n}";
        assert_eq!(line_of(json, "build"), Some(3));
        assert_eq!(line_of("name: build", "build"), None);
    }
}
