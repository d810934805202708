//! What the findings say together. Each sentence counts findings; none goes beyond them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use types::{Finding, Level, Type, limits};

/// INVESTIGATION: the findings, worst first, and what they amount to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Investigation {
    /// One sentence.
    pub conclusion: String,
    /// Worst first, in their own order within a level.
    pub findings: Vec<Finding>,
    /// What was asked for and could not be measured.
    pub not_measured: Vec<String>,
    /// What could not be asked at all: a source that is not configured, say.
    pub not_asked: Vec<String>,
    /// How many findings rest on a measurement.
    pub evidence_count: u64,
}

impl Investigation {
    /// The language's type of an investigation.
    #[must_use]
    pub fn ty() -> Type {
        Type::record(
            "investigation",
            [
                ("conclusion", Type::String),
                ("findings", Type::list(Finding::ty())),
                ("not_measured", Type::list(Type::String)),
                ("not_asked", Type::list(Type::String)),
                ("evidence_count", Type::Int),
            ],
        )
    }
}

fn rank(level: Level) -> u8 {
    match level {
        Level::Critical => 0,
        Level::Warning => 1,
        Level::Unknown => 2,
        Level::Normal => 3,
    }
}

/// Orders and sums up. The second value says in what way the investigation is incomplete: empty means whole.
/// What was not asked (a source without a key) does not make it incomplete; no evidence at all does.
#[must_use]
pub fn conclude(
    mut findings: Vec<Finding>,
    not_measured: Vec<String>,
    not_asked: Vec<String>,
) -> (Investigation, Vec<String>) {
    findings.sort_by_key(|finding| rank(finding.level));
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let (critical, warning, unknown) = (
        count(Level::Critical),
        count(Level::Warning),
        count(Level::Unknown),
    );
    let measured = findings.len() - unknown;
    let hosts = findings
        .iter()
        .filter(|finding| finding.level != Level::Unknown)
        .filter_map(|finding| finding.host.as_deref())
        .collect::<BTreeSet<_>>()
        .len();
    let place = if hosts == 0 {
        String::new()
    } else {
        format!(" on {}", counted(hosts, "host"))
    };
    let checks = counted(measured, "check");
    let conclusion = if measured == 0 {
        "no evidence: nothing could be measured".to_owned()
    } else if critical + warning == 0 {
        format!("nothing abnormal in {checks}{place}")
    } else {
        format!(
            "{} of {checks}{place} abnormal: {critical} critical, {warning} warning",
            critical + warning
        )
    };
    let mut degraded = Vec::new();
    if measured == 0 {
        degraded.push(conclusion.clone());
    }
    degraded.extend(not_measured.iter().map(|what| format!("not measured: {what}")));
    if unknown > 0 {
        degraded.push(format!("{} gave no reading", counted(unknown, "check")));
    }
    let total = degraded.len();
    if total > limits::REASONS {
        degraded.truncate(limits::REASONS - 1);
        degraded.push(format!("and {} more", total - degraded.len()));
    }
    let evidence_count = u64::try_from(measured).unwrap_or(u64::MAX);
    (
        Investigation {
            conclusion,
            findings,
            not_measured,
            not_asked,
            evidence_count,
        },
        degraded,
    )
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}
