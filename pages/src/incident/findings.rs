//! What was found, each with where it can be seen.

use askama::filters::Safe;
use incident::Investigation;
use proto::v1;
use types::{Evidence, Finding, Level};

use super::output;
use crate::parts::{self, Shape, Status};

/// The newest investigation.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// The run that it is of.
    pub run: String,
    /// What the findings say together.
    pub conclusion: String,
    /// Those that are not normal, worst first.
    pub notable: Vec<Found>,
    /// Those that are.
    pub normal: Vec<Found>,
    /// What could not be measured or asked.
    pub missing: Vec<String>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Found(Finding);

/// Where a finding can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// In a step of a run.
    Step {
        /// Its page.
        href: String,
        /// `host-checks[0], try 1 on demo-east, checks[2]`.
        text: String,
    },
    /// In a vendor's answer.
    Query {
        /// The vendor.
        source: String,
        /// The query, whole.
        query: String,
        /// From when to when, UTC.
        window: String,
        /// Where a person sees the same.
        link: Option<String>,
    },
}

impl Found {
    /// What it says.
    #[must_use]
    pub const fn finding(&self) -> &Finding {
        &self.0
    }

    /// How it stands.
    #[must_use]
    pub const fn status(&self) -> Safe<Status<'static>> {
        match self.0.level {
            Level::Critical => Status::new(Shape::Bad, "critical"),
            Level::Warning => Status::new(Shape::Degraded, "warning"),
            Level::Unknown => Status::new(Shape::Doubt, "not measured"),
            Level::Normal => Status::new(Shape::Good, "normal"),
        }
    }

    /// Where it can be seen.
    #[must_use]
    pub fn seen(&self) -> Seen {
        match &self.0.evidence {
            Evidence::Step {
                run,
                step,
                index,
                attempt,
                agent_name,
                output,
                ..
            } => {
                let item = index.map(|index| format!("[{index}]")).unwrap_or_default();
                Seen::Step {
                    href: format!("/runs/{run}/steps/{step}"),
                    text: format!("{step}{item}, try {attempt} on {agent_name}, {output}"),
                }
            }
            Evidence::Query {
                source,
                query,
                from_ms,
                to_ms,
                link,
            } => Seen::Query {
                source: source.clone(),
                query: query.clone(),
                window: format!("{} to {}", parts::utc(*from_ms), parts::utc(*to_ms)),
                link: link.clone(),
            },
        }
    }
}

/// Of the newest run that has one.
pub(super) fn newest(runs: &[v1::Run]) -> Option<Findings> {
    let mut steps = runs
        .iter()
        .rev()
        .flat_map(|run| run.steps.iter().map(move |step| (run, step)));
    let (run, found) = steps.find_map(|(run, step)| {
        let found: Investigation = output(step, "incident/findings", "investigation")?;
        Some((run.id.clone(), found))
    })?;
    let (normal, notable) = found
        .findings
        .into_iter()
        .map(Found)
        .partition(|found| found.0.level == Level::Normal);
    Some(Findings {
        run,
        conclusion: found.conclusion,
        notable,
        normal,
        missing: found.not_measured.into_iter().chain(found.not_asked).collect(),
    })
}
