//! A run for the wire, folded from its history.

use engine::{
    Attempt, Phase, Run,
    placement::{self, Snapshot, Wanted},
};
use prost::Message;
use proto::v1;
use protocol::{Resolution, server::State};
use types::{ServiceReport, Verdict, Whose, limits};
use workflow::{Body, PlanStep};

use super::convert;

/// What a message holds of a run beside framing.
const MOST: usize = limits::ANSWER_BYTES - 64 * 1024;
/// A sentence of a run that is too large even without its values, characters.
const SENTENCE: usize = 100;
/// Needs of each of its steps.
const NEEDS: usize = 8;

/// The run in one message. Where its values are too large for that, they are left out and the step says so: its events
/// have them all.
pub(super) fn message(run: &Run, agents: &Snapshot) -> v1::Run {
    let mut view = view(run, agents);
    let parts: [fn(&mut v1::Step) -> &mut String; 2] = [|s| &mut s.items_json, |s| &mut s.outputs_json];
    for part in parts {
        if view.encoded_len() <= MOST {
            break;
        }
        for step in &mut view.steps {
            let bytes = std::mem::take(part(step)).len();
            if bytes > 0 {
                step.reasons.push(format!(
                    "{bytes} bytes of values left out here: the run is too large for one message"
                ));
            }
        }
    }
    if view.encoded_len() > MOST {
        shorten(&mut view);
    }
    view
}

/// A run of ten thousand steps, each with its sentences: they are cut, and of each step's tries the newest stays.
fn shorten(view: &mut v1::Run) {
    let cut = |text: &mut String| {
        if let Some((at, _)) = text.char_indices().nth(SENTENCE) {
            text.truncate(at);
            text.push('…');
        }
    };
    for step in &mut view.steps {
        let left = [
            (step.attempts.len().saturating_sub(1), "earlier attempts"),
            (step.reasons.len().saturating_sub(1), "reasons"),
            (step.needs.len().saturating_sub(NEEDS), "needs"),
        ];
        step.attempts.drain(..left[0].0);
        step.reasons.truncate(1);
        step.needs.truncate(NEEDS);
        step.reasons.iter_mut().for_each(cut);
        let left = left.iter().filter(|(count, _)| *count > 0);
        let left: Vec<String> = left.map(|(count, what)| format!("{count} {what}")).collect();
        if !left.is_empty() {
            let left = left.join(", ");
            step.reasons
                .insert(0, format!("left out here, the run is too large: {left}"));
        }
        step.attempts
            .iter_mut()
            .for_each(|attempt| cut(&mut attempt.message));
        cut(&mut step.waits_for);
    }
    let more = view.reasons.len().saturating_sub(limits::REASONS);
    view.reasons.truncate(limits::REASONS);
    if more > 0 {
        view.reasons.push(format!("and {more} more"));
    }
}

fn view(run: &Run, agents: &Snapshot) -> v1::Run {
    let ended = run.ended.as_ref();
    v1::Run {
        id: run.id.to_string(),
        workflow: run.plan.name.clone(),
        outcome: convert::outcome(ended.map(|ended| ended.outcome)).into(),
        reasons: ended
            .iter()
            .flat_map(|ended| ended.reasons.iter().map(|reason| reason.message.clone()))
            .collect(),
        started_at_ms: run.started_at.unix_ms(),
        finished_at_ms: convert::ms(ended.map(|ended| ended.at)),
        incident_id: run
            .trigger
            .incident
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        steps: (0..run.steps.len()).map(|i| step(run, i, agents)).collect(),
        seq: run.seq,
        cancel_requested: run.cancel.is_some(),
        rerun_of: run.rerun_of.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn step(run: &Run, i: usize, agents: &Snapshot) -> v1::Step {
    let (plan, step) = (&run.plan.steps[i], &run.steps[i]);
    let fans_out = plan.fan_out.is_some();
    let items = 0..u32::try_from(step.items.len()).unwrap_or(u32::MAX);
    v1::Step {
        key: plan.key.clone(),
        state: step.word().to_owned(),
        reasons: reasons(run, i),
        attempts: items.flat_map(|index| attempts_of(run, i, index)).collect(),
        needs: plan.needs.iter().cloned().collect(),
        outputs_json: step.outputs().map(json).unwrap_or_default(),
        what: what(plan),
        started_at_ms: convert::ms(step.started_at),
        finished_at_ms: convert::ms(step.ended_at),
        items_json: if fans_out && step.started_at.is_some() {
            json(&run.items(i))
        } else {
            String::new()
        },
        reused_from: step
            .reused_from
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        waits_for: waits_for(run, i, agents),
    }
}

/// What a step does, for people.
pub(crate) fn what(plan: &PlanStep) -> String {
    match &plan.body {
        Body::Action { action, .. } => action.clone(),
        Body::Container {
            action: Some(action), ..
        } => action.uses.clone(),
        Body::Container { image, .. } => match image {
            workflow::Template::Literal(types::Value::String(image)) => format!("container {image}"),
            _ => "container".to_owned(),
        },
    }
}

/// Why a step is not succeeded, or stands still.
pub(crate) fn reasons(run: &Run, i: usize) -> Vec<String> {
    let step = &run.steps[i];
    let mut reasons = step.reasons.clone();
    if let Some(because) = &step.omitted_because {
        reasons.push(format!("its need {because} did not hold"));
    }
    if step.outcome().is_none() {
        reasons.extend(doubts(run, i));
    }
    reasons
}

/// The tries of one item; of a step without a fan-out, those of item 0.
pub(crate) fn attempts_of(run: &Run, i: usize, index: u32) -> Vec<v1::Attempt> {
    let (plan, step) = (&run.plan.steps[i], &run.steps[i]);
    let Some(item) = step.items.get(index as usize) else {
        return Vec::new();
    };
    let index = plan.fan_out.is_some().then_some(index);
    let attempts = item.attempts.iter().zip(1..);
    attempts
        .map(|(a, n)| attempt(index, n, a, || decide(run, &plan.key, index)))
        .collect()
}

/// The word for where an item is.
pub(crate) fn item_word(item: &engine::Item) -> &'static str {
    match (&item.ended, item.retry_at, item.attempts.last()) {
        (Some(end), _, _) => end.outcome.as_str(),
        (None, Some(_), _) => "retry_wait",
        (None, None, Some(attempt)) => attempt.word(),
        (None, None, None) => "waiting",
    }
}

/// What a step waits for now, for people; empty when it does not wait. Of a fan-out, the first item that waits.
pub(crate) fn waits_for(run: &Run, i: usize, agents: &Snapshot) -> String {
    let (plan, step) = (&run.plan.steps[i], &run.steps[i]);
    match step.phase {
        Phase::Ended(_) => String::new(),
        Phase::Waiting => {
            let open = |key: &&String| run.step(key).is_some_and(|(_, need)| need.outcome().is_none());
            let needs: Vec<&str> = plan.needs.iter().filter(open).map(String::as_str).collect();
            if needs.is_empty() {
                "the first item of a step that it follows".to_owned()
            } else {
                format!("the end of {}", needs.join(", "))
            }
        }
        Phase::Active => {
            let waits = |item: &engine::Item| {
                if item.retry_at.is_some() {
                    return Some("a retry's delay".to_owned());
                }
                let attempt = item.attempts.last()?;
                if !matches!(attempt.life.state(), State::Queued) {
                    return None;
                }
                let wanted = Wanted {
                    work: &attempt.work,
                    runs_on: &attempt.runs_on,
                    connection: attempt.connection.as_deref(),
                    whose: Whose {
                        workflow: Some(&run.plan.name),
                        step: Some(&plan.key),
                        image_is_open: false,
                    },
                    crashes: Some(&attempt.crashes),
                };
                Some(match placement::place(agents, &wanted) {
                    Ok(_) => "an agent's answer".to_owned(),
                    Err(why) => format!("an agent: {why}"),
                })
            };
            step.items.iter().find_map(waits).unwrap_or_default()
        }
    }
}

/// Why a step stands still: one reason for each item in doubt, at most as many as a step may have.
fn doubts(run: &Run, i: usize) -> Vec<String> {
    let plan = &run.plan.steps[i];
    let in_doubt = |item: &engine::Item| {
        let last = item.attempts.last();
        last.is_some_and(|attempt| matches!(attempt.life.state(), State::Lost { .. }))
    };
    let indices: Vec<usize> = run.steps[i]
        .items
        .iter()
        .enumerate()
        .filter(|(_, item)| in_doubt(item))
        .map(|(index, _)| index)
        .collect();
    let told = if indices.len() > limits::REASONS {
        limits::REASONS - 1
    } else {
        indices.len()
    };
    let mut reasons: Vec<String> = indices[..told]
        .iter()
        .map(|index| {
            let index = plan
                .fan_out
                .is_some()
                .then(|| u32::try_from(*index).unwrap_or(u32::MAX));
            let item = index.map(|index| format!("[{index}] ")).unwrap_or_default();
            format!("{item}{}", decide(run, &plan.key, index))
        })
        .collect();
    if told < indices.len() {
        reasons.push(format!("and {} more in doubt", indices.len() - told));
    }
    reasons
}

/// What is known of an attempt in doubt, and what a person can do about it.
fn decide(run: &Run, step: &str, index: Option<u32>) -> String {
    let index = index.map(|index| format!(" --index {index}")).unwrap_or_default();
    format!(
        "may have run, and nobody knows how it ended; decide with `firehall resolve {} {step}{index} --as \
         rerun|succeeded|failed`",
        run.id
    )
}

/// Why an attempt is not simply succeeded; `doubt` where it is in doubt.
fn why(attempt: &Attempt, doubt: impl FnOnce() -> String) -> String {
    let decided = |how: &str| format!("lost: may have run; decided: {how}");
    match attempt.life.state() {
        State::Lost { .. } => return doubt(),
        State::Settled { resolution, .. } => {
            return decided(match resolution {
                Resolution::Fail => "failed",
                Resolution::Rerun => "rerun",
                Resolution::Succeeded => "succeeded",
            });
        }
        State::Queued | State::Out { .. } | State::Finished { .. } | State::Withdrawn => {}
    }
    match attempt.report.as_ref().map(|report| &report.verdict) {
        Some(Verdict::Failed { failure }) => failure.message.clone(),
        Some(Verdict::Degraded { reasons }) => reasons.join("; "),
        _ => attempt.not_placed.clone().unwrap_or_default(),
    }
}

fn attempt(index: Option<u32>, n: u32, attempt: &Attempt, doubt: impl FnOnce() -> String) -> v1::Attempt {
    let report = attempt.report.as_ref();
    let message = why(attempt, doubt);
    let lease = attempt.life.lease();
    v1::Attempt {
        index,
        attempt: n,
        state: attempt.word().to_owned(),
        agent_id: lease.map(|lease| lease.agent.to_string()).unwrap_or_default(),
        agent_name: attempt.agent_name.clone().unwrap_or_default(),
        queued_at_ms: attempt.queued_at.unix_ms(),
        started_at_ms: convert::ms(attempt.started_at),
        finished_at_ms: convert::ms(attempt.ended_at),
        duration_ms: report.map_or(0, |report| report.usage.duration_ms),
        message,
        exit_code: report
            .and_then(|report| report.exit.as_ref())
            .and_then(|exit| exit.code),
        runtime: report
            .and_then(|report| report.runtime.clone())
            .unwrap_or_default(),
        image_digest: report
            .and_then(|report| report.image_digest.clone())
            .unwrap_or_default(),
        services: report.map_or_else(Vec::new, |report| report.services.iter().map(service).collect()),
    }
}

fn service(report: &ServiceReport) -> v1::ServiceInfo {
    let ended = report.ended.as_ref();
    v1::ServiceInfo {
        name: report.name.clone(),
        ready_ms: report.ready_ms,
        ended: ended.map(|end| end.message.clone()).unwrap_or_default(),
        exit_code: ended.and_then(|end| end.exit.as_ref()?.code),
        image_digest: report.image_digest.clone().unwrap_or_default(),
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_of_a_step_is_said() {
        let texts = |count: usize| (0..count).map(|n| format!("r{n}")).collect();
        let mut view = v1::Run {
            steps: vec![
                v1::Step {
                    attempts: vec![v1::Attempt::default(); 3],
                    reasons: texts(4),
                    needs: texts(NEEDS + 5),
                    ..v1::Step::default()
                },
                v1::Step {
                    reasons: texts(1),
                    needs: texts(NEEDS),
                    ..v1::Step::default()
                },
            ],
            ..v1::Run::default()
        };
        shorten(&mut view);
        let [cut, whole] = &view.steps[..] else {
            panic!("{view:?}")
        };
        let left = "left out here, the run is too large: 2 earlier attempts, 3 reasons, 5 needs";
        assert_eq!(cut.reasons, [left, "r0"]);
        assert_eq!((cut.attempts.len(), cut.needs.len()), (1, NEEDS));
        assert_eq!((&whole.reasons, whole.needs.len()), (&texts(1), NEEDS));
    }
}
