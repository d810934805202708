//! Everything that happened, in order: alerts, runs, and those of their steps that changed something for people.

use incident::{IncidentEvent, What};
use proto::v1;

use crate::parts::Shape;

/// Moments that are shown of one incident; beyond them the newest and the oldest.
const MOST: usize = 400;

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When, Unix milliseconds; 0 for the line that counts what is left out.
    pub at_ms: i64,
    /// What it is like.
    pub shape: Shape,
    /// What happened, in our words.
    pub text: String,
    /// In an outsider's words.
    pub quote: String,
    /// Why, a line each.
    pub why: Vec<String>,
    /// Where more of it is; empty for nowhere.
    pub href: String,
}

impl Moment {
    fn new(at_ms: i64, shape: Shape, text: impl Into<String>) -> Self {
        Self {
            at_ms,
            shape,
            text: text.into(),
            quote: String::new(),
            why: Vec::new(),
            href: String::new(),
        }
    }
}

/// Oldest first.
pub(super) fn moments(history: &[IncidentEvent], runs: &[v1::Run]) -> Vec<Moment> {
    let mut moments = alerts(history);
    for run in runs {
        moments.extend(of_run(run));
    }
    // Stable: what an alert starts stands behind it, also within a millisecond.
    moments.sort_by_key(|moment| moment.at_ms);
    bounded(moments)
}

fn bounded(mut moments: Vec<Moment>) -> Vec<Moment> {
    if moments.len() > MOST {
        let left_out = moments.len() - MOST;
        let text = format!("{left_out} moments between are left out here: `firehall incident show` has them");
        moments.splice(MOST / 2..MOST / 2 + left_out, [Moment::new(0, Shape::Left, text)]);
    }
    moments
}

fn alerts(history: &[IncidentEvent]) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    let mut repeats = 0;
    for event in history {
        let at = event.at.unix_ms();
        if !matches!(event.what, What::AlertRepeated { .. }) {
            repeats = 0;
        }
        let moment = match &event.what {
            What::Opened { alert, .. } => Moment {
                quote: alert.title.clone(),
                why: alert.notes.clone(),
                ..Moment::new(
                    at,
                    Shape::Bad,
                    format!("Opened by {}, {}", alert.source, alert.severity),
                )
            },
            What::AlertJoined { alert, .. } => Moment {
                quote: alert.title.clone(),
                why: alert.notes.clone(),
                ..Moment::new(
                    at,
                    Shape::Bad,
                    format!("An alert joined, {}", alert.state.as_str().replace('_', " ")),
                )
            },
            What::Reopened { alert, .. } => Moment {
                quote: alert.title.clone(),
                why: alert.notes.clone(),
                ..Moment::new(at, Shape::Bad, "It fires again")
            },
            What::Recovered { .. } => Moment::new(at, Shape::Good, "The source says that it is over"),
            What::AlertRepeated { .. } => {
                repeats += 1;
                if repeats > 1 {
                    moments.pop();
                }
                let text = if repeats == 1 {
                    "The same alert was delivered again".to_owned()
                } else {
                    format!("The same alert was delivered again, {repeats} times; this is the last")
                };
                Moment::new(at, Shape::Left, text)
            }
            // The run itself says it, with more.
            What::RunStarted { .. } => continue,
            What::RunRefused { refused, .. } => Moment {
                why: vec![refused.why.clone()],
                ..Moment::new(at, Shape::Bad, format!("{} was not started", refused.workflow))
            },
        };
        moments.push(moment);
    }
    moments
}

fn of_run(run: &v1::Run) -> Vec<Moment> {
    let href = format!("/runs/{}", run.id);
    let begun = if run.rerun_of.is_empty() {
        "started"
    } else {
        "was run again"
    };
    let mut moments = vec![Moment {
        href: href.clone(),
        ..Moment::new(
            run.started_at_ms,
            Shape::Live,
            format!("{} {begun}", run.workflow),
        )
    }];
    moments.extend(run.steps.iter().filter_map(|step| of_step(run, step)));
    let ended = match run.outcome() {
        v1::Outcome::Unspecified => None,
        v1::Outcome::Succeeded => Some((Shape::Good, "succeeded")),
        v1::Outcome::Degraded => Some((Shape::Degraded, "ended degraded")),
        v1::Outcome::Failed => Some((Shape::Bad, "failed")),
        v1::Outcome::Cancelled => Some((Shape::Stopped, "was cancelled")),
    };
    if let Some((shape, word)) = ended {
        moments.push(Moment {
            href,
            // Where its steps are not known here, they do not say it themselves.
            why: if run.steps.is_empty() {
                run.reasons.clone()
            } else {
                Vec::new()
            },
            ..Moment::new(run.finished_at_ms, shape, format!("{} {word}", run.workflow))
        });
    }
    moments
}

/// What of a step people want to know: that it did not go well, or what it did for them.
fn of_step(run: &v1::Run, step: &v1::Step) -> Option<Moment> {
    if !step.reused_from.is_empty() {
        return None;
    }
    let (shape, word) = match step.state.as_str() {
        "degraded" => (Shape::Degraded, "degraded"),
        "failed" => (Shape::Bad, "failed"),
        "in_doubt" => (Shape::Doubt, "is in doubt"),
        "cancelled" if step.started_at_ms > 0 => (Shape::Stopped, "was cancelled"),
        "succeeded" if step.what.starts_with("slack/") || step.what == "incident/findings" => {
            (Shape::Good, "succeeded")
        }
        _ => return None,
    };
    let at_ms = [step.finished_at_ms, step.started_at_ms]
        .into_iter()
        .find(|at| *at > 0)?;
    Some(Moment {
        why: step.reasons.clone(),
        href: format!("/runs/{}/steps/{}", run.id, step.key),
        ..Moment::new(at_ms, shape, format!("{} {word}", step.key))
    })
}
