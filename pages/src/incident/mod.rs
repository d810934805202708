//! One incident: what it is, who was called, the room, what was found, and everything that happened, in order.

mod alerts;
mod findings;
mod moments;
mod people;

use askama::Template;
use incident::IncidentEvent;
use proto::v1;
use unicode_width::UnicodeWidthStr;

use crate::{Shell, parts};

pub use alerts::Delivery;
pub use findings::{Findings, Seen};
pub use moments::Moment;
pub use people::{Responder, Room};

/// An incident with its runs.
#[derive(Debug, Template)]
#[template(path = "incident.html")]
pub struct Incident {
    shell: Shell,
    incident: v1::IncidentInfo,
    /// The newest alert that fired.
    alert: Option<types::Alert>,
    deliveries: Vec<Delivery>,
    moments: Vec<Moment>,
    people: Vec<Responder>,
    rooms: Vec<Room>,
    findings: Option<Findings>,
    degraded: Vec<Lack>,
    runs: Vec<v1::Run>,
}

/// What a run could not do, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    run: String,
    step: String,
    state: String,
    reasons: Vec<String>,
}

impl Incident {
    /// From the API's answers: the incident with its history, and its runs, oldest first; those with steps say who was called and
    /// what was found.
    ///
    /// # Errors
    /// When the history is not of the form that the API documents.
    pub fn new(
        shell: Shell,
        incident: v1::IncidentInfo,
        runs: Vec<v1::Run>,
    ) -> Result<Self, serde_json::Error> {
        let history: Vec<IncidentEvent> = serde_json::from_str(&incident.history_json)?;
        let deliveries = alerts::deliveries(&history);
        let (people, rooms) = people::staff(&runs);
        Ok(Self {
            alert: alerts::newest(&history),
            deliveries,
            moments: moments::moments(&history, &runs),
            people,
            rooms,
            findings: findings::newest(&runs),
            degraded: runs.last().map(lacks).unwrap_or_default(),
            shell,
            incident,
            runs,
        })
    }

    fn newest_first(&self) -> impl Iterator<Item = &v1::Run> {
        self.runs.iter().rev()
    }

    fn live(&self) -> bool {
        self.runs
            .iter()
            .any(|run| run.outcome() == v1::Outcome::Unspecified)
    }

    /// The class of a title that would fill a phone (`long`) or a desk (`longer`): it is shortened until a person wants all of it.
    fn long_title(&self) -> Option<&'static str> {
        match self.incident.title.width() {
            0..=90 => None,
            91..=300 => Some("long"),
            _ => Some("longer"),
        }
    }

    fn absent(&self) -> usize {
        self.people.iter().filter(|one| !one.is_in()).count()
    }
}

/// What is not whole of a run, in the steps' order.
fn lacks(run: &v1::Run) -> Vec<Lack> {
    let lacking = |step: &&v1::Step| {
        matches!(
            step.state.as_str(),
            "degraded" | "failed" | "in_doubt" | "cancelled"
        )
    };
    let lack = |step: &v1::Step| Lack {
        run: run.id.clone(),
        step: step.key.clone(),
        state: step.state.clone(),
        reasons: step.reasons.clone(),
    };
    run.steps.iter().filter(lacking).map(lack).collect()
}

/// A step's output of a name, where the step is this action.
fn output<T: serde::de::DeserializeOwned>(step: &v1::Step, action: &str, name: &str) -> Option<T> {
    if step.what != action || step.outputs_json.is_empty() {
        return None;
    }
    let mut outputs: types::Object = serde_json::from_str(&step.outputs_json).ok()?;
    serde_json::from_value(outputs.remove(name)?).ok()
}

#[cfg(test)]
mod tests;
