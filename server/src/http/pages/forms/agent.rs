//! `/agents/{id}/drain`, and its undoing.

use ::pages::{
    Section,
    form::{Field, Form, FormPage, Kind},
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use proto::v1;
use tonic::Status;

use super::{Ask, Refusal, Submitted, again, answer, done, key, shell};
use crate::{Core, api::errors};

pub(crate) async fn show(
    State(core): State<Core>,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let agent = load(&ask, &id)
        .await
        .map_err(|status| Refusal::new(&core, status))?;
    Ok(answer(&page(&core, &agent)))
}

pub(crate) async fn submit(
    State(core): State<Core>,
    ask: Ask,
    Path(id): Path<String>,
    sent: Submitted,
) -> Result<Response, Refusal> {
    let agent = load(&ask, &id)
        .await
        .map_err(|status| Refusal::new(&core, status))?;
    match drain(&ask, &agent.id, sent.one("reason"), false).await {
        Ok(()) => Ok(done(&format!("/agents#{}", agent.id))),
        Err(status) => again(&core, page(&core, &agent), &sent, status),
    }
}

pub(crate) async fn undo(
    State(core): State<Core>,
    ask: Ask,
    Path(id): Path<String>,
    _: Submitted,
) -> Result<Response, Refusal> {
    let undone = drain(&ask, &id, "", true).await;
    undone.map_err(|status| Refusal::new(&core, status))?;
    Ok(done(&format!("/agents#{id}")))
}

async fn drain(ask: &Ask, agent: &str, reason: &str, undo: bool) -> Result<(), Status> {
    let request = v1::DrainAgentRequest {
        agent: agent.to_owned(),
        undo,
        reason: reason.to_owned(),
    };
    ask.drain(request).await.map(|_| ())
}

async fn load(ask: &Ask, id: &str) -> Result<v1::AgentInfo, Status> {
    let mut page_token = String::new();
    loop {
        let listed = ask.agents(v1::ListAgentsRequest { limit: 0, page_token }).await?;
        if let Some(found) = listed.agents.into_iter().find(|agent| agent.id == id) {
            return Ok(found);
        }
        if listed.next_page_token.is_empty() {
            return Err(errors::not_found(
                "agent",
                id,
                format_args!("there is no agent {id}"),
            ));
        }
        page_token = listed.next_page_token;
    }
}

fn page(core: &Core, agent: &v1::AgentInfo) -> FormPage {
    let path = format!("/agents/{}/drain", agent.id);
    let back = format!("/agents#{}", agent.id);
    FormPage {
        shell: shell(core, Section::Agents, format!("Drain {}", agent.name)),
        crumb: (back.clone(), "Agents".to_owned()),
        heading: format!("Drain {}", agent.name),
        intro: vec![format!(
            "It is offered nothing new until that is undone. What it runs now goes on: {} of {}.",
            agent.running, agent.capacity
        )],
        form: Form {
            action: path,
            key: key(),
            fields: vec![
                Field::new("reason", "Why", Kind::Line)
                    .most(1_000)
                    .help("For the record"),
            ],
            more: Vec::new(),
            more_label: String::new(),
            submit: "Drain it".to_owned(),
            grave: false,
            back,
            error: String::new(),
        },
    }
}
