//! A folded run as its pages need it.

use std::collections::BTreeMap;

use engine::{Run, Step, placement::Snapshot};
use proto::v1;
use types::Timestamp;
use workflow::PlanStep;

use crate::api::{convert, runs_view};
use ::pages::{
    graph,
    run::{Cancel, Head, Reason, Row, Steps},
};

/// Steps that are named in one sentence.
const NAMED: usize = 4;
/// Reasons that are shown above a run.
const REASONS: usize = 20;
/// Queued steps whose cards say what they wait for; the list says it of each.
const QUEUED: usize = 300;

pub(super) fn head(run: &Run) -> Head {
    let ended = run.ended.as_ref();
    let mut reasons: Vec<Reason> = ended
        .iter()
        .flat_map(|ended| &ended.reasons)
        .take(REASONS)
        .map(|reason| Reason {
            step: reason.step.clone(),
            message: reason.message.clone(),
        })
        .collect();
    let more = ended.map_or(0, |ended| ended.reasons.len().saturating_sub(REASONS));
    if more > 0 {
        reasons.push(Reason {
            step: None,
            message: format!("and {more} more reasons: see the steps that failed"),
        });
    }
    let named = |words: &[&str]| {
        let steps = run.plan.steps.iter().zip(&run.steps);
        let wanted = steps.filter(|(_, step)| words.contains(&step.word()));
        wanted.take(NAMED).map(|(plan, _)| plan.key.clone()).collect()
    };
    Head {
        run: v1::Run {
            id: run.id.to_string(),
            workflow: run.plan.name.clone(),
            outcome: convert::outcome(ended.map(|ended| ended.outcome)).into(),
            started_at_ms: run.started_at.unix_ms(),
            finished_at_ms: convert::ms(ended.map(|ended| ended.at)),
            incident_id: run
                .trigger
                .incident
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            seq: run.seq,
            cancel_requested: run.cancel.is_some(),
            rerun_of: run.rerun_of.as_ref().map(ToString::to_string).unwrap_or_default(),
            ..v1::Run::default()
        },
        description: run.plan.description.clone().unwrap_or_default(),
        version: run.plan.source_digest.clone(),
        kept: false,
        by: run.trigger.by.clone(),
        reasons,
        cancel: run.cancel.as_ref().map(|cancel| Cancel {
            by: cancel.by.clone(),
            reason: cancel.reason.clone(),
            at_ms: cancel.at.unix_ms(),
        }),
        steps: run.steps.len(),
        ended: run.steps.iter().filter(|step| step.outcome().is_some()).count(),
        now: named(&["running"]),
        wrong: named(&["failed", "in_doubt"]),
    }
}

/// One step for a list.
pub(super) fn row(run: &Run, i: usize, agents: &Snapshot) -> Row {
    let (plan, step) = (&run.plan.steps[i], &run.steps[i]);
    Row {
        key: plan.key.clone(),
        name: plan.name.clone().unwrap_or_default(),
        what: runs_view::what(plan),
        state: step.word().to_owned(),
        reasons: runs_view::reasons(run, i),
        waits_for: runs_view::waits_for(run, i, agents),
        started_at_ms: convert::ms(step.started_at),
        finished_at_ms: convert::ms(step.ended_at),
        attempts: attempts(step),
        items: items(plan, step),
        allowed: plan.allow_failure,
        reused_from: step
            .reused_from
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

fn attempts(step: &Step) -> u32 {
    let tries: usize = step.items.iter().map(|item| item.attempts.len()).sum();
    u32::try_from(tries).unwrap_or(u32::MAX)
}

fn items(plan: &PlanStep, step: &Step) -> Option<(u32, u32)> {
    plan.fan_out.as_ref()?;
    let ended = step.items.iter().filter(|item| item.ended.is_some()).count();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some((number(ended), number(step.items.len())))
}

/// The steps that fit a filter, and how many there are of each state.
pub(super) struct Chosen {
    pub(super) places: Vec<usize>,
    pub(super) counts: Vec<(String, usize)>,
}

pub(super) fn choose(run: &Run, state: &str, q: &str) -> Chosen {
    let wanted = q.to_lowercase();
    let named = |plan: &PlanStep| {
        let name = plan.name.as_deref().unwrap_or_default();
        wanted.is_empty()
            || [plan.key.as_str(), name, &runs_view::what(plan)]
                .iter()
                .any(|text| text.to_lowercase().contains(&wanted))
    };
    let mut counts: Vec<(String, usize)> = Vec::new();
    let mut places = Vec::new();
    for (i, (plan, step)) in run.plan.steps.iter().zip(&run.steps).enumerate() {
        if !named(plan) {
            continue;
        }
        let word = step.word();
        match counts.iter_mut().find(|(counted, _)| counted == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word.to_owned(), 1)),
        }
        if state.is_empty() || state == word {
            places.push(i);
        }
    }
    Chosen { places, counts }
}

/// A page of the list.
pub(super) fn list(run: &Run, agents: &Snapshot, state: &str, q: &str, page: usize) -> Steps {
    let chosen = choose(run, state, q);
    let pages = chosen.places.len().div_ceil(Steps::PAGE).max(1);
    let page = page.min(pages);
    let shown = chosen
        .places
        .chunks(Steps::PAGE)
        .nth(page - 1)
        .unwrap_or_default();
    Steps {
        base: format!("/runs/{}", run.id),
        rows: shown.iter().map(|i| row(run, *i, agents)).collect(),
        counts: chosen.counts,
        state: state.to_owned(),
        q: q.to_owned(),
        page,
        pages,
        matching: chosen.places.len(),
        total: run.steps.len(),
    }
}

/// All steps as a picture.
pub(super) fn picture(run: &Run, agents: &Snapshot, now: Timestamp) -> graph::Graph {
    let whats: Vec<String> = run.plan.steps.iter().map(runs_view::what).collect();
    let queued = (0..run.steps.len()).filter(|i| run.steps[*i].word() == "queued");
    let mut waits: BTreeMap<usize, String> = queued
        .take(QUEUED)
        .map(|i| (i, runs_view::waits_for(run, i, agents)))
        .collect();
    let steps: Vec<graph::Step<'_>> = (run.plan.steps.iter().zip(&run.steps).zip(&whats).enumerate())
        .map(|(i, ((plan, step), what))| graph::Step {
            key: &plan.key,
            what,
            state: step.word(),
            waits_for: waits.remove(&i).unwrap_or_default(),
            lasted: ::pages::parts::lasted(
                convert::ms(step.started_at),
                convert::ms(step.ended_at),
                now.unix_ms(),
            ),
            attempts: attempts(step),
            items: items(plan, step),
            needs: plan.before().filter_map(|key| run.position(key)).collect(),
        })
        .collect();
    let base = format!("/runs/{}", run.id);
    graph::Graph::new(&base, &steps, |i| {
        format!("{base}?page={}#step-{}", i / Steps::PAGE + 1, steps[i].key)
    })
}
