//! What the model said → findings of ours, or nothing. Each must name evidence that it was given, and only such; how bad
//! it is, the evidence says and not the model.

use serde::Deserialize;
use types::{Finding, Level};

use super::evidence::Evidence;

/// Characters of what it says.
const SUMMARY: usize = 500;
/// Pieces of evidence of one finding.
const CITED: usize = 10;

/// The only form that is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    findings: Vec<Claim>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    summary: String,
    evidence: Vec<String>,
}

/// What is left of it.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) findings: Vec<Finding>,
    pub(super) claims: usize,
    /// Without evidence that it was given.
    pub(super) baseless: usize,
    /// Beyond the number that was asked for.
    pub(super) beyond: usize,
}

/// How bad a level is, for an order.
pub(super) fn weight(level: Level) -> u8 {
    match level {
        Level::Critical => 3,
        Level::Warning => 2,
        Level::Unknown => 1,
        Level::Normal => 0,
    }
}

pub(super) fn judge(said: Said, evidence: &Evidence, model: &str, most: usize) -> Verdict {
    let mut verdict = Verdict {
        claims: said.findings.len(),
        ..Verdict::default()
    };
    for claim in said.findings {
        match finding(&claim, evidence, model) {
            None => verdict.baseless += 1,
            Some(_) if verdict.findings.len() >= most => verdict.beyond += 1,
            Some(finding) => verdict.findings.push(finding),
        }
    }
    verdict
}

fn finding(claim: &Claim, evidence: &Evidence, model: &str) -> Option<Finding> {
    let cited: Vec<&Finding> = claim
        .evidence
        .iter()
        .map(|id| evidence.get(id))
        .collect::<Option<_>>()?;
    let worst = cited.iter().max_by_key(|finding| weight(finding.level))?;
    let summary: String = claim
        .summary
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SUMMARY)
        .collect();
    if summary.trim().is_empty() || cited.len() > CITED {
        return None;
    }
    let mut named: Vec<String> = Vec::new();
    for finding in &cited {
        let host = finding.host.as_ref().map(|host| format!(" on {host}"));
        let name = format!("{}{}", finding.check, host.unwrap_or_default());
        if !named.contains(&name) {
            named.push(name);
        }
    }
    let host = worst
        .host
        .clone()
        .filter(|host| cited.iter().all(|finding| finding.host.as_ref() == Some(host)));
    Some(Finding {
        host,
        check: format!("model {model}"),
        level: worst.level,
        summary: format!("{} (from {})", summary.trim(), named.join(", ")),
        evidence: worst.evidence.clone(),
    })
}
