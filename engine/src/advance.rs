//! What becomes ready: edges, conditions, fan-outs, followers.

use types::{Failure, FailureKind, StepOutcome, Value, limits};
use workflow::{FanOut, PlanStep, Scope};

use crate::{
    At, AttemptQueued, Event, Phase,
    decide::Decider,
    outputs::{VALUE_DEPTH, is_shallow},
    state::at_of,
    work::{evaluate, storable},
};

impl Decider<'_> {
    /// Carries on until nothing more follows without the world.
    pub(crate) fn settle(&mut self) {
        while let Some(i) = self.dirty.pop_first() {
            match self.run.steps[i].phase {
                Phase::Waiting => self.consider(i),
                Phase::Active => self.carry_on(i),
                Phase::Ended(_) => {}
            }
        }
        self.end_run();
    }

    fn consider(&mut self, i: usize) {
        let plan = std::sync::Arc::clone(&self.run.plan);
        let plan = &plan.steps[i];
        if self.run.cancel.is_some() && !self.run.graph.tidies[i] {
            self.emit(Event::StepNotRun {
                step: plan.key.clone(),
            });
            self.wake_dependents(&plan.key);
            return;
        }
        let mut broken = None;
        for key in &plan.needs {
            let Some((_, need)) = self.run.step(key) else {
                continue;
            };
            match need.phase {
                Phase::Ended(ended) if !need.holds() && broken.is_none() => {
                    broken = Some((key.clone(), ended))
                }
                Phase::Ended(_) => {}
                Phase::Waiting | Phase::Active => return,
            }
        }
        if !self.followed_have_begun(plan) {
            return;
        }
        match broken {
            Some((because, ended)) if !plan.when_replaces_edge => {
                self.emit(Event::StepOmitted {
                    step: plan.key.clone(),
                    because,
                    ended,
                });
                self.wake_dependents(&plan.key);
            }
            _ => self.condition(i, plan),
        }
    }

    /// A follower begins once one of those it follows has, or all are over.
    fn followed_have_begun(&self, plan: &PlanStep) -> bool {
        let mut all_over = true;
        for key in plan.followed() {
            let Some((_, step)) = self.run.step(key) else {
                continue;
            };
            if step.started_at.is_some() {
                return true;
            }
            all_over &= step.outcome().is_some();
        }
        all_over
    }

    fn condition(&mut self, i: usize, plan: &PlanStep) {
        let scope = self.run.scope(plan, self.now());
        if let Some(when) = &plan.when {
            match when.eval(&scope) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => {
                    self.emit(Event::StepSkipped {
                        step: plan.key.clone(),
                    });
                    self.wake_dependents(&plan.key);
                    return;
                }
                Ok(_) => return self.unready(plan, "`when` is neither true nor false".to_owned()),
                Err(error) => return self.unready(plan, error.to_string()),
            }
        }
        match &plan.fan_out {
            None => self.queue(plan, None, &scope),
            Some(FanOut::Follow { .. }) => {
                self.emit(Event::StepFollowing {
                    step: plan.key.clone(),
                });
                self.wake_dependents(&plan.key);
                self.dirty.insert(i);
            }
            Some(FanOut::Each { items, .. }) => match items.eval(&scope) {
                Ok(Value::Array(items)) if items.len() > limits::ITEMS => {
                    self.unready(
                        plan,
                        format!("`foreach` has {} items, at most {}", items.len(), limits::ITEMS),
                    );
                }
                Ok(Value::Array(items)) if !items.iter().all(is_shallow) => {
                    self.unready(
                        plan,
                        format!("an item of `foreach` is nested deeper than {VALUE_DEPTH}"),
                    );
                }
                Ok(Value::Array(items)) => {
                    self.emit(Event::StepFannedOut {
                        step: plan.key.clone(),
                        items,
                    });
                    self.wake_dependents(&plan.key);
                    self.dirty.insert(i);
                }
                Ok(_) => self.unready(plan, "`foreach` is not a list".to_owned()),
                Err(error) => self.unready(plan, error.to_string()),
            },
        }
    }

    /// The step's own expressions have no value: it fails before it begins.
    fn unready(&mut self, plan: &PlanStep, message: String) {
        self.end_step(&plan.key, StepOutcome::Failed, vec![message]);
    }

    fn carry_on(&mut self, i: usize) {
        let plan = std::sync::Arc::clone(&self.run.plan);
        let plan = &plan.steps[i];
        let stopping = self.run.steps[i].stopping;
        if stopping {
            self.stop_items(i, plan);
        }
        match &plan.fan_out {
            None => {}
            Some(FanOut::Each { max_parallel, .. }) => {
                if !stopping {
                    self.fill(i, plan, *max_parallel);
                }
                if self.run.all_items_over(i) {
                    self.join(i, false);
                }
            }
            Some(FanOut::Follow { gather_ms, .. }) => self.follow(i, plan, *gather_ms, stopping),
        }
    }

    /// After a cancel: what has no live attempt ends here.
    fn stop_items(&mut self, i: usize, plan: &PlanStep) {
        for n in 0..self.run.steps[i].items.len() {
            let item = &self.run.steps[i].items[n];
            let live = item
                .attempts
                .last()
                .is_some_and(|attempt| !attempt.life.is_over());
            if item.ended.is_some() || live || matches!(self.run.steps[i].phase, Phase::Ended(_)) {
                continue;
            }
            let at = at_of(plan, n, item.attempts.len());
            self.end_item(&at, StepOutcome::Cancelled, Vec::new());
        }
    }

    /// Begins as many items as may run at once.
    fn fill(&mut self, i: usize, plan: &PlanStep, max_parallel: Option<u32>) {
        let most = max_parallel.map_or(usize::MAX, |n| n.max(1) as usize);
        let mut live = self.run.items_live(i);
        if live >= most || self.run.steps[i].items.iter().all(crate::Item::begun) {
            return;
        }
        let mut scope = self.run.scope(plan, self.now());
        for n in 0..self.run.steps[i].items.len() {
            if live >= most {
                break;
            }
            if self.run.steps[i].items[n].begun() {
                continue;
            }
            let index = u32::try_from(n).unwrap_or(u32::MAX);
            self.run.add_each(plan, &mut scope, index);
            self.queue(plan, Some(index), &scope);
            live += usize::from(self.run.steps[i].items[n].ended.is_none());
        }
    }

    fn follow(&mut self, i: usize, plan: &PlanStep, gather_ms: u64, stopping: bool) {
        if !self.run.all_items_over(i) {
            return;
        }
        let (landed, first, all_over) = self.run.landed(i);
        let done = landed.is_empty() && all_over;
        if done || stopping {
            // What lands from now on is not taken any more: that is no success.
            self.join(i, !done);
            return;
        }
        let due = first.is_some_and(|first| self.now() >= first.plus(gather_ms));
        if landed.is_empty() || !(all_over || due) {
            return;
        }
        let index = u32::try_from(self.run.steps[i].items.len()).unwrap_or(u32::MAX);
        self.emit(Event::StepBatch {
            step: plan.key.clone(),
            index,
            of: landed,
        });
        let mut scope = self.run.scope(plan, self.now());
        self.run.add_each(plan, &mut scope, index);
        self.queue(plan, Some(index), &scope);
    }

    /// The next try of an item, after a retry's delay or a lost agent: the same work, for an item is evaluated once.
    pub(crate) fn queue_again(&mut self, at: &At) {
        let pickup_ms = self.run.step(&at.step).map_or(0, |(plan, _)| plan.pickup_ms);
        let Some(last) = self.run.attempt(at) else { return };
        let queued = AttemptQueued {
            at: At {
                attempt: at.attempt + 1,
                ..at.clone()
            },
            work: last.work.as_ref().clone(),
            runs_on: last.runs_on.clone(),
            connection: last.connection.clone(),
            pickup_by: self.now().plus(pickup_ms),
        };
        self.emit(Event::AttemptQueued(Box::new(queued)));
    }

    /// Evaluates an item's work and puts its first attempt into the queue, or refuses the item.
    fn queue(&mut self, plan: &PlanStep, index: Option<u32>, scope: &Scope) {
        let at = at_of(plan, index.unwrap_or(0) as usize, 1);
        let kept = |step: &str, name: &str| self.run.artifact(step, name).cloned();
        match evaluate(plan, scope, &kept)
            .map_err(|e| e.to_string())
            .and_then(storable)
        {
            Ok((work, runs_on, connection)) => {
                let pickup_by = self.now().plus(plan.pickup_ms);
                let queued = AttemptQueued {
                    at,
                    work,
                    runs_on,
                    connection,
                    pickup_by,
                };
                self.emit(Event::AttemptQueued(Box::new(queued)));
            }
            Err(message) => {
                let failure = Failure::new(FailureKind::Expression, message);
                let reasons = vec![failure.message.clone()];
                self.emit(Event::ItemRefused {
                    step: plan.key.clone(),
                    index,
                    failure,
                });
                self.end_item(&at, StepOutcome::Failed, reasons);
            }
        }
    }
}
