//! `llm/analyze`: evidence in, findings out.

use async_trait::async_trait;
use incident::from_items;
use serde::Deserialize;
use serde_json::json;
use types::{CheckItem, Effect, Finding, Incident, Object, Signature, Trust, Type};

use super::{LlmConnection, evidence::Evidence, verdict};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, may_give, optional, output, read, signature},
    rest::{Repeat, Rest},
};

const ANSWER_BYTES: usize = 512 * 1024;
const QUESTION: &str =
    "Which of these observations belong together, and what do they show about the cause of the incident?";
const ABSENT: &str = "the agent holds no LLM_API_KEY: no model was asked";

pub(crate) struct Analyze;

#[derive(Deserialize)]
struct Params {
    findings: Vec<Finding>,
    items: Vec<CheckItem>,
    incident: Option<Incident>,
    question: String,
    most: usize,
    max_tokens: u64,
}

fn usage_type() -> Type {
    Type::record("llm_usage", [("tokens_in", Type::Int), ("tokens_out", Type::Int)])
}

#[async_trait]
impl Action for Analyze {
    fn signature(&self) -> Signature {
        let none = || Some(json!([]));
        Signature {
            effect: Effect::Reads,
            timeout_ms: 90_000,
            ..signature(
                "llm/analyze",
                "Asks a model what evidence shows; drops what names no evidence. Without a key it asks nobody and says so.",
                [
                    (
                        "findings",
                        optional(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            none(),
                            "Evidence: what was measured.",
                        ),
                    ),
                    (
                        "items",
                        optional(
                            Type::Json,
                            Trust::Untrusted,
                            none(),
                            "Evidence: items of fan-outs whose output is `checks`.",
                        ),
                    ),
                    (
                        "incident",
                        optional(
                            Incident::ty(),
                            Trust::Untrusted,
                            None,
                            "INCIDENT_DATA, as a background.",
                        ),
                    ),
                    (
                        "question",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            Some(json!(QUESTION)),
                            "What is asked.",
                        ),
                    ),
                    (
                        "most",
                        optional(
                            Type::Int,
                            Trust::Trusted,
                            Some(json!(5)),
                            "Findings at most, 1 to 20.",
                        ),
                    ),
                    (
                        "max_tokens",
                        optional(
                            Type::Int,
                            Trust::Trusted,
                            Some(json!(2_000)),
                            "Of the answer, 100 to 16,000.",
                        ),
                    ),
                ],
                [
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "Each `check` is `model NAME`; level and evidence are those of the worst finding that it rests on.",
                        ),
                    ),
                    (
                        "configured",
                        gives(
                            Type::Bool,
                            Trust::Trusted,
                            "Whether the agent holds a model's key.",
                        ),
                    ),
                    (
                        "note",
                        may_give(Type::String, Trust::Trusted, "Why no model was asked."),
                    ),
                    (
                        "model",
                        may_give(Type::String, Trust::Trusted, "The model that was asked."),
                    ),
                    (
                        "usage",
                        may_give(
                            usage_type(),
                            Trust::Untrusted,
                            "Tokens, as the provider counts them.",
                        ),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        if !(1..=20).contains(&params.most) || !(100..=16_000).contains(&params.max_tokens) {
            return Err(ActionError::action(
                "most is from 1 to 20, max_tokens from 100 to 16000",
            ));
        }
        let Some(connection) = &context.connections.llm else {
            return Ok(unasked(false, ABSENT));
        };
        let mut all = from_items(&context.run, &params.items);
        all.extend(params.findings.iter().cloned());
        let evidence = Evidence::of(all, &context.mask);
        if evidence.findings.is_empty() {
            return Ok(unasked(true, "there is no evidence: no model was asked"));
        }
        ask(context, connection, &params, &evidence).await
    }
}

/// Nobody was asked, and why.
fn unasked(configured: bool, note: &str) -> ActionOutput {
    let outputs = [
        ("findings", json!([])),
        ("configured", json!(configured)),
        ("note", json!(note)),
    ];
    output(outputs, Vec::new())
}

async fn ask(
    context: &ActionContext,
    connection: &LlmConnection,
    params: &Params,
    evidence: &Evidence,
) -> Result<ActionOutput, ActionError> {
    let rest = Rest {
        vendor: "llm",
        context,
        answer_bytes: ANSWER_BYTES,
    };
    let message = evidence.message(
        &params.question,
        params.incident.as_ref(),
        params.most,
        &context.mask,
    );
    let request = || connection.request(&message, params.max_tokens);
    let answer = rest
        .call(&connection.model, Repeat::Safe, request)
        .await
        .map_err(|error| error.failure(&format!("the model {}", connection.model)))?;
    let reply = connection.read(&answer)?;
    let verdict = verdict::judge(reply.said, evidence, &connection.model, params.most);
    let mut degraded = Vec::new();
    let sent = evidence.findings.len();
    if sent < evidence.total {
        degraded.push(format!(
            "the model was given {sent} of {} findings, the worst first: more are too much for one question",
            evidence.total
        ));
    }
    if verdict.baseless > 0 {
        degraded.push(format!(
            "{} of {} findings of the model were dropped: no evidence",
            verdict.baseless, verdict.claims
        ));
    }
    if verdict.beyond > 0 {
        degraded.push(format!(
            "{} of {} findings of the model were dropped: {} were asked for",
            verdict.beyond, verdict.claims, params.most
        ));
    }
    let kept = verdict.findings.len();
    context
        .log
        .line(&format!(
            "{}: {kept} of {} findings rest on evidence",
            connection.model, verdict.claims
        ))
        .await;
    let outputs = [
        ("findings", args::json(&verdict.findings)?),
        ("configured", json!(true)),
        ("model", json!(connection.model)),
        (
            "usage",
            json!({"tokens_in": reply.tokens_in, "tokens_out": reply.tokens_out}),
        ),
    ];
    Ok(output(outputs, degraded))
}
