//! `incident/findings`: what the checks and queries measured → INVESTIGATION. It has no opinion of its own.

use async_trait::async_trait;
use incident::{Investigation, conclude, from_items, not_measured};
use serde::Deserialize;
use serde_json::json;
use types::{CheckItem, Finding, Object, Signature, Trust, Type};

use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, optional, output, read, signature},
};

pub(crate) struct Findings;

#[derive(Deserialize)]
struct Params {
    items: Vec<CheckItem>,
    findings: Vec<Finding>,
    not_asked: Vec<String>,
}

#[async_trait]
impl Action for Findings {
    fn signature(&self) -> Signature {
        let none = || Some(json!([]));
        signature(
            "incident/findings",
            "Collects what was measured, worst first, with its evidence; degraded when something is lacking.",
            [
                (
                    "items",
                    optional(
                        Type::Json,
                        Trust::Untrusted,
                        none(),
                        "Items of fan-outs whose output is `checks`.",
                    ),
                ),
                (
                    "findings",
                    optional(
                        Type::list(Finding::ty()),
                        Trust::Untrusted,
                        none(),
                        "Findings of queries.",
                    ),
                ),
                (
                    "not_asked",
                    optional(
                        Type::list(Type::String),
                        Trust::Untrusted,
                        none(),
                        "Sources that are not configured.",
                    ),
                ),
            ],
            [(
                "investigation",
                gives(Investigation::ty(), Trust::Untrusted, "INVESTIGATION."),
            )],
        )
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let Params {
            items,
            findings,
            not_asked,
        } = read(params)?;
        let mut all = from_items(&context.run, &items);
        all.extend(findings);
        let (investigation, degraded) = conclude(all, not_measured(&items), not_asked);
        context.log.line(&investigation.conclusion).await;
        Ok(output([("investigation", args::json(&investigation)?)], degraded))
    }
}
