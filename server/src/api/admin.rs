//! `AdminService`.

use incident::Source;
use proto::v1;
use tonic::{Request, Response, Status};
use types::AgentId;

use super::{
    convert, diagnose,
    errors::{self, invalid},
    paging, store_status,
};
use crate::{
    Core,
    access::{Permission, authorize},
    agents::Listed,
    store::{Drained, StoreError},
};

/// Why an agent is drained, in bytes.
const REASON_BYTES: usize = 1_000;

pub(super) struct Service(pub(super) Core);

fn info(agent: Listed) -> v1::AgentInfo {
    let drained = agent.is_drained();
    v1::AgentInfo {
        id: agent.id.to_string(),
        name: agent.name,
        version: agent.facts.version,
        state: if agent.connected {
            "connected"
        } else {
            "disconnected"
        }
        .to_owned(),
        labels: agent.labels.0.iter().map(ToString::to_string).collect(),
        capacity: agent.facts.capacity,
        running: agent.running,
        runtimes: agent.facts.runtimes,
        runtime_offers: agent
            .facts
            .offers
            .into_iter()
            .map(|(runtime, words)| v1::RuntimeOffers {
                runtime,
                words: words.into_iter().collect(),
            })
            .collect(),
        grants: agent.facts.grants,
        limits: agent.facts.limits,
        connections: agent.facts.connections,
        last_seen_ms: agent.last_seen.unix_ms(),
        draining: agent.draining,
        drained,
    }
}

impl Service {
    /// The agent of an id or a name; two may have the same name.
    fn agent(&self, word: &str) -> Result<AgentId, Status> {
        let agents = self.0.agents.list();
        if word.is_empty() {
            return Err(invalid("agent", "required: an agent's id or name"));
        }
        if let Some(agent) = agents.iter().find(|agent| agent.id.as_str() == word) {
            return Ok(agent.id.clone());
        }
        let mut named = agents.iter().filter(|agent| agent.name == word);
        match (named.next(), named.next()) {
            (Some(agent), None) => Ok(agent.id.clone()),
            (Some(_), Some(_)) => Err(invalid(
                "agent",
                format!("several agents are called {word:?}: give the id"),
            )),
            (None, _) => {
                let near = workflow::nearest(word, agents.iter().map(|agent| agent.name.as_str()));
                let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
                let why = format!("there is no agent {:?}{near}", super::brief(word));
                Err(errors::not_found("agent", word, why))
            }
        }
    }
}

#[tonic::async_trait]
impl v1::admin_service_server::AdminService for Service {
    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.get_ref();
        let mut listed = self.0.agents.list();
        if !request.page_token.is_empty() {
            let last: AgentId = convert::id(&request.page_token, "page_token")?;
            let last = listed.iter().position(|agent| agent.id == last);
            let last = last.ok_or_else(|| invalid("page_token", "not a token of this list"))?;
            listed.drain(..=last);
        }
        let mut agents: Vec<v1::AgentInfo> = listed.into_iter().map(info).collect();
        let more = paging::cut(&mut agents, paging::limit(request.limit, paging::MOST));
        let last = agents.last().filter(|_| more).map(|agent| agent.id.clone());
        Ok(Response::new(v1::ListAgentsResponse {
            agents,
            next_page_token: last.unwrap_or_default(),
        }))
    }

    async fn drain_agent(
        &self,
        request: Request<v1::DrainAgentRequest>,
    ) -> Result<Response<v1::DrainAgentResponse>, Status> {
        let caller = authorize(&request, Permission::Respond)?;
        let request = request.into_inner();
        if request.reason.len() > REASON_BYTES {
            return Err(invalid("reason", format!("at most {REASON_BYTES} bytes")));
        }
        let id = self.agent(&request.agent)?;
        let core = self.0.clone();
        // In a task of its own: a caller that hangs up must not leave the store and the placement apart.
        let change = tokio::spawn(async move {
            if request.undo {
                core.store.undrain(&id).await?;
            } else {
                let drained = Drained {
                    agent: id.clone(),
                    by: caller.name,
                    reason: request.reason,
                    at: core.clock.now(),
                };
                core.store.drain(drained).await?;
            }
            core.agents.drain(&id, !request.undo);
            Ok(core.agents.list().into_iter().find(|agent| agent.id == id))
        });
        let changed: Result<Option<Listed>, StoreError> = change
            .await
            .map_err(|error| errors::defect("draining ended by a defect", error))?;
        let agent = changed.map_err(|error| store_status(&error))?.map(info);
        Ok(Response::new(v1::DrainAgentResponse { agent }))
    }

    async fn list_sources(
        &self,
        request: Request<v1::ListSourcesRequest>,
    ) -> Result<Response<v1::ListSourcesResponse>, Status> {
        authorize(&request, Permission::View)?;
        let plans = crate::workflows::with_on_alert(&self.0)
            .await
            .map_err(|error| store_status(&error))?;
        let source = |source: Source| {
            let count = self.0.intake.counts.of(source.as_str());
            v1::SourceInfo {
                name: source.as_str().to_owned(),
                path: source.path().to_owned(),
                secret_required: self.0.config.webhook_secret.is_some(),
                // Which of them an alert starts is said by its `on.alert.when`, not by its way in.
                bound_workflows: plans.iter().map(|plan| plan.name.clone()).collect(),
                accepted: count.accepted,
                refused: count.refused,
                last_accepted_ms: convert::ms(count.last_accepted),
                last_refusal: count.last_refusal,
            }
        };
        let sources = Source::ALL.into_iter().map(source).collect();
        Ok(Response::new(v1::ListSourcesResponse { sources }))
    }

    async fn diagnose(
        &self,
        request: Request<v1::DiagnoseRequest>,
    ) -> Result<Response<v1::DiagnoseResponse>, Status> {
        authorize(&request, Permission::View)?;
        Ok(Response::new(diagnose::look(&self.0).await))
    }
}
