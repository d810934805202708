//! What an expression of a step may read, built from the state.

use protocol::server::State;
use serde_json::json;
use types::{CheckItem, Object, StepOutcome, Value};
use workflow::{FanOut, NeedsStatus, PlanStep, Scope};

use crate::{Item, Phase, Run, Step};

impl Run {
    /// The scope of a step's own expressions, `each` aside.
    pub(crate) fn scope(&self, plan: &PlanStep, now: types::Timestamp) -> Scope {
        let mut roots = Object::new();
        roots.insert("inputs".to_owned(), Value::Object(self.inputs.clone()));
        if let Some(alert) = &self.trigger.alert {
            let mut trigger = Object::new();
            trigger.insert("alert".to_owned(), alert.clone());
            if let Some(incident) = &self.trigger.incident {
                trigger.insert("incident_id".to_owned(), Value::String(incident.to_string()));
            }
            roots.insert("trigger".to_owned(), Value::Object(trigger));
        } else {
            roots.insert("trigger".to_owned(), json!({}));
        }
        let mut steps = Object::new();
        for key in plan.before() {
            if let Some((need, state)) = self.step(key) {
                steps.insert(key.replace('-', "_"), self.step_value(need, state));
            }
        }
        roots.insert("steps".to_owned(), Value::Object(steps));
        if plan.reads_run() {
            let record = serde_json::to_value(self.record(now)).expect("a record has only JSON's parts");
            roots.insert("run".to_owned(), record);
        }
        Scope {
            roots,
            needs: self.needs_status(plan),
        }
    }

    /// Puts one item's `each` into the scope.
    pub(crate) fn add_each(&self, plan: &PlanStep, scope: &mut Scope, index: u32) {
        let Some(item) = self.item(&plan.key, Some(index)) else {
            return;
        };
        let value = match &plan.fan_out {
            Some(FanOut::Follow { .. }) => {
                let of = |(key, n): &(String, u32)| self.item_value(key, *n);
                Value::Array(item.batch.iter().filter_map(of).collect())
            }
            _ => item.value.clone().unwrap_or(Value::Null),
        };
        let each = json!({ "value": value, "index": index });
        scope.roots.insert("each".to_owned(), each);
    }

    fn step_value(&self, plan: &PlanStep, step: &Step) -> Value {
        let mut value = Object::new();
        if let Phase::Ended(outcome) = step.phase {
            value.insert("outcome".to_owned(), Value::String(outcome.as_str().to_owned()));
        }
        if plan.fan_out.is_some() {
            if step.started_at.is_some() {
                let items =
                    (0..step.items.len()).filter_map(|n| self.item_value(&plan.key, u32::try_from(n).ok()?));
                value.insert("items".to_owned(), Value::Array(items.collect()));
            }
        } else if let Some(outputs) = step.outputs() {
            value.insert("outputs".to_owned(), Value::Object(outputs.clone()));
        }
        Value::Object(value)
    }

    /// One item as `steps.s.items` shows it.
    pub(crate) fn item_value(&self, key: &str, index: u32) -> Option<Value> {
        let (plan, step) = self.step(key)?;
        let item = step.items.get(index as usize)?;
        let left = item.leaves();
        let record = CheckItem {
            step: plan.key.clone(),
            index,
            value: item.value.clone().unwrap_or(Value::Null),
            outcome: item
                .ended
                .as_ref()
                .map_or("running", |end| end.outcome.as_str())
                .to_owned(),
            outputs: left.outputs,
            reason: item.ended.as_ref().and_then(|end| end.reasons.first().cloned()),
            attempt: left.attempts,
            agent: left.agent,
            agent_name: left.agent_name,
        };
        Some(serde_json::to_value(record).expect("an item has only JSON's parts"))
    }

    pub(crate) fn needs_status(&self, plan: &PlanStep) -> NeedsStatus {
        let mut status = NeedsStatus {
            succeeded: true,
            degraded: false,
            failed: false,
            cancelled: self.cancel.is_some(),
        };
        for key in plan.before() {
            let Some((_, need)) = self.step(key) else { continue };
            status.succeeded &= need.holds();
            match need.outcome() {
                Some(StepOutcome::Degraded) => status.degraded = true,
                Some(StepOutcome::Failed) if need.allowed => status.degraded = true,
                Some(StepOutcome::Failed | StepOutcome::Omitted) => status.failed = true,
                _ => {}
            }
        }
        status
    }
}

impl Item {
    /// The word for where it is.
    #[must_use]
    pub fn state_word(&self) -> &'static str {
        if let Some(end) = &self.ended {
            return end.outcome.as_str();
        }
        self.attempts
            .last()
            .map_or("waiting", |attempt| match attempt.life.state() {
                State::Queued => "queued",
                State::Out {
                    known: protocol::server::Known::Started,
                    ..
                } => "running",
                State::Out {
                    known: protocol::server::Known::Accepted,
                    ..
                } => "accepted",
                State::Out { .. } => "offered",
                State::Lost { .. } => "in_doubt",
                State::Finished { .. } | State::Settled { .. } | State::Withdrawn => {
                    if self.retry_at.is_some() {
                        "retry_wait"
                    } else {
                        "ending"
                    }
                }
            })
    }
}
