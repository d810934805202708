//! The end of a run with which a server cannot go on, for a defect of ours.

use protocol::{
    Resolution,
    server::{Lost, Send, State},
};
use types::{RunOutcome, StepOutcome};

use crate::{Context, Decision, Event, Phase, Reason, Run, RunStarted, ToAgent};

/// Ends it as failed, for this reason. What is out may have run: it is asked to end, and its report will be late; what did
/// not begin never will. The events are folded
/// in, as after [`crate::decide`].
#[must_use]
pub fn give_up(run: &mut Run, why: &str, context: Context) -> Decision {
    let mut out = Decision::default();
    if run.ended.is_some() {
        return out;
    }
    let live: Vec<_> = run
        .live()
        .map(|(at, attempt)| (at, attempt.life.state().clone()))
        .collect();
    for (at, state) in live {
        let (lease, known) = match state {
            State::Queued => {
                emit(run, &mut out, Event::AttemptWithdrawn { at }, context);
                continue;
            }
            State::Out { lease, known } => (lease, Some(known)),
            State::Lost { lease, .. } => (lease, None),
            State::Finished { .. } | State::Settled { .. } | State::Withdrawn => continue,
        };
        let (token, because) = (lease.token.clone(), Lost::GivenUp);
        if let Some(known) = known {
            let lost = Event::AttemptLost {
                at: at.clone(),
                token: token.clone(),
                known,
                because,
            };
            emit(run, &mut out, lost, context);
        }
        let settled = Event::AttemptSettled {
            at: at.clone(),
            token: token.clone(),
            resolution: Resolution::Fail,
            by: "server".to_owned(),
        };
        emit(run, &mut out, settled, context);
        out.sends.push(ToAgent {
            agent: lease.agent,
            at,
            send: Send::Stop(token),
        });
    }
    let plan = std::sync::Arc::clone(&run.plan);
    for (step, state) in plan.steps.iter().zip(run.steps.clone()) {
        let step = step.key.clone();
        let event = match state.phase {
            Phase::Waiting => Event::StepNotRun { step },
            Phase::Active => Event::StepEnded {
                step,
                outcome: StepOutcome::Failed,
                allowed: false,
                reasons: vec!["the run was given up while this step went on: it may have run".to_owned()],
            },
            Phase::Ended(_) => continue,
        };
        emit(run, &mut out, event, context);
    }
    emit(run, &mut out, given_up(why), context);
    out
}

fn emit(run: &mut Run, out: &mut Decision, event: Event, context: Context) {
    run.evolve(&event, context.now);
    out.events.push(event);
}

/// A run that cannot even be begun: it exists, and says why it failed.
#[must_use]
pub fn stillborn(first: RunStarted, why: &str, context: Context) -> (Run, Decision) {
    let mut run = Run::new(&first, context.now);
    let mut decision = give_up(&mut run, why, context);
    decision.events.insert(0, Event::RunStarted(Box::new(first)));
    (run, decision)
}

/// The last event alone, for a history that cannot be folded.
#[must_use]
pub fn given_up(why: &str) -> Event {
    Event::RunEnded {
        outcome: RunOutcome::Failed,
        reasons: vec![Reason {
            step: None,
            message: why.to_owned(),
        }],
    }
}
