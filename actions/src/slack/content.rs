//! What a message says: text, findings, items of checks, an investigation.

use incident::{Investigation, from_items, not_measured};
use serde::Deserialize;
use serde_json::json;
use types::{CheckItem, Finding, Param, RunId, Trust, Type};

use super::{escape, pages::Pages, render};
use crate::args::optional;

/// The parameters of a message.
#[derive(Deserialize)]
pub(crate) struct Content {
    text: Option<String>,
    findings: Vec<Finding>,
    items: Vec<CheckItem>,
    investigation: Option<Investigation>,
}

/// They, for a signature.
pub(crate) fn params() -> [(&'static str, Param); 4] {
    [
        (
            "text",
            optional(
                Type::String,
                Trust::Untrusted,
                None,
                "Shown as it is: no mention and no layout is read in it.",
            ),
        ),
        (
            "findings",
            optional(
                Type::list(Finding::ty()),
                Trust::Untrusted,
                Some(json!([])),
                "Findings, each with its evidence.",
            ),
        ),
        (
            "items",
            optional(
                Type::Json,
                Trust::Untrusted,
                Some(json!([])),
                "Items of a fan-out whose output is `checks`.",
            ),
        ),
        (
            "investigation",
            optional(Investigation::ty(), Trust::Untrusted, None, "INVESTIGATION."),
        ),
    ]
}

/// Where a message stands.
pub(crate) fn message_type() -> Type {
    Type::record(
        "message",
        [
            ("channel", Type::String),
            ("ts", Type::String),
            ("link?", Type::String),
        ],
    )
}

impl Content {
    /// The notification's text and the blocks.
    pub(crate) fn render(self, run: &RunId) -> (String, Pages) {
        let Self {
            text,
            findings: given,
            items,
            investigation,
        } = self;
        let mut pages = Pages::default();
        let mut headlines: Vec<String> = Vec::new();
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            headlines.push(escape::cut(&escape::clean(&text), 1_000));
            pages.plain(&text);
        }
        let mut findings = from_items(run, &items);
        findings.extend(given);
        let mut lacking: Vec<String> = not_measured(&items);
        if let Some(investigation) = investigation {
            headlines.push(investigation.conclusion.clone());
            pages.plain(&format!("Findings: {}", investigation.conclusion));
            let lines = render::digest(&investigation.findings);
            if !lines.is_empty() {
                pages.plain(&lines.join("\n"));
            }
            lacking.extend(investigation.not_measured);
            lacking.extend(
                investigation
                    .not_asked
                    .into_iter()
                    .map(|what| format!("not asked: {what}")),
            );
        }
        if !findings.is_empty() {
            headlines.push(render::headline(&findings));
            pages.plain(&render::grouped(&findings).join("\n"));
        }
        if !lacking.is_empty() {
            headlines.push(format!("{} not measured", lacking.len()));
            let lines: Vec<String> = lacking
                .iter()
                .map(|what| format!("❔ not measured · {}", escape::line(what)))
                .collect();
            pages.plain(&lines.join("\n"));
        }
        (
            escape::escape_within(&escape::line(&headlines.join(" · ")), 3_000),
            pages,
        )
    }
}
