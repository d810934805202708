//! What a run of a plan would do, said before it does anything: the graph, who does what where, each outside effect in
//! the order in which it can happen, what the agents must hold, the longest it can take and where it could wait.
//!
//! Pure, and nothing is made up: an expression is evaluated by the same evaluator as a run's, and only when all that it
//! reads is known; of any other it is said what it waits for.

mod effects;
mod foresee;
mod place;
mod step;
mod time;
mod trigger;
mod view;
mod waits;

use std::collections::{BTreeMap, BTreeSet};

use types::{Catalogue, Object, Value};
use workflow::{InputError, Plan};

use crate::placement::Snapshot;

pub use trigger::triggers;
pub use view::{
    Agents, AlertBrief, Beside, Condition, Does, EffectKind, EffectOutlook, FanOutlook, Foreseen, InputFrom,
    InputOutlook, Item, Needed, Outlook, Reach, Scopes, StepOutlook, Triggers, Unknown, Wait, WaitKind,
    Where,
};

/// What is known before a run.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The signatures of the actions; one that is not there is said to be unknown.
    pub catalogue: &'a Catalogue,
    /// Inputs by name; the others have their defaults.
    pub inputs: &'a Object,
    /// The alert in its JSON form, when there is one.
    pub alert: Option<&'a Value>,
    /// The agents as of now, when they are known.
    pub agents: Option<&'a Snapshot>,
}

/// The outlook. A required input that is not given is no error here: it is shown as not known.
///
/// # Errors
/// Every input that is unknown, mistyped or not allowed.
pub fn outlook(question: &Question<'_>) -> Result<Outlook, Vec<InputError>> {
    let plan = question.plan;
    let inputs = bind(plan, question.inputs)?;
    let known = foresee::Known::new(plan, &inputs, question.alert);
    let levels = levels(plan);
    let mut budget = step::ITEMS_TOLD;
    let steps: Vec<StepOutlook> = plan
        .steps
        .iter()
        .map(|step| {
            let level = levels.get(step.key.as_str()).copied().unwrap_or(0);
            step::step(question, &known, step, level, &mut budget)
        })
        .collect();
    let time = time::time(plan, &steps);
    let effects = effects::effects(&steps);
    let needed = effects::needed(question, &steps);
    Ok(Outlook {
        name: plan.name.clone(),
        description: plan.description.clone(),
        version: plan.source_digest.clone(),
        inputs: described(plan, question.inputs, &inputs),
        triggers: triggers(plan, question.alert),
        effects,
        scopes: needed.scopes,
        secrets: needed.secrets,
        connections: needed.connections,
        grants: needed.grants,
        worst_case_ms: time.worst_ms,
        worst_case_path: time.path,
        worst_case_lost_ms: time.lost_ms,
        could_wait: waits::waits(plan, question.catalogue, &steps),
        unknown: unknown(&steps, needed.strangers),
        steps,
    })
}

/// Given inputs and defaults; what is required and not given is left out.
fn bind(plan: &Plan, given: &Object) -> Result<Object, Vec<InputError>> {
    let absent = |name: &str| {
        let input = plan.inputs.get(name);
        input.is_some_and(|input| input.default.is_none()) && !given.contains_key(name)
    };
    let mut errors = plan.bind_inputs(given).err().unwrap_or_default();
    errors.retain(|error| !absent(&error.name));
    if !errors.is_empty() {
        return Err(errors);
    }
    let value = |name: &String, input: &workflow::Input| {
        let value = given.get(name).or(input.default.as_ref())?;
        Some((name.clone(), value.clone()))
    };
    Ok(plan
        .inputs
        .iter()
        .filter_map(|(name, input)| value(name, input))
        .collect())
}

fn described(plan: &Plan, given: &Object, bound: &Object) -> Vec<InputOutlook> {
    let of = |(name, input): (&String, &workflow::Input)| InputOutlook {
        name: name.clone(),
        ty: input.ty.to_string(),
        description: input.description.clone(),
        value: bound.get(name).cloned(),
        from: match (given.contains_key(name), &input.default) {
            (true, _) => InputFrom::Given,
            (false, Some(_)) => InputFrom::Default,
            (false, None) => InputFrom::Missing,
        },
    };
    plan.inputs.iter().map(of).collect()
}

fn levels(plan: &Plan) -> BTreeMap<String, usize> {
    let levels = plan.levels().into_iter().enumerate();
    levels
        .flat_map(|(level, keys)| keys.into_iter().map(move |key| (key.to_owned(), level)))
        .collect()
}

/// What only a run finds out, and who reads it.
fn unknown(steps: &[StepOutlook], strangers: Vec<Unknown>) -> Vec<Unknown> {
    let mut read: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for step in steps {
        for path in &step.waits_for {
            read.entry(path).or_default().insert(&step.name);
        }
    }
    let by_run = read.into_iter().map(|(what, by)| Unknown {
        what: what.to_owned(),
        read_by: by.into_iter().map(str::to_owned).collect(),
    });
    by_run.chain(strangers).collect()
}
