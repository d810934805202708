//! Outside effects in the order in which they can happen, and what agents must hold for them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Question,
    view::{Does, EffectKind, EffectOutlook, FanOutlook, Foreseen, Needed, Scopes, StepOutlook, Unknown},
};

/// The effects by level: none of a level can happen before one of those that its step waits for.
pub(super) fn effects(steps: &[StepOutlook]) -> Vec<EffectOutlook> {
    let mut effects: Vec<EffectOutlook> = steps
        .iter()
        .filter(|step| !step.skipped && step.effect != EffectKind::None)
        .map(effect)
        .collect();
    // Stable: those of one level stay in the definition's order.
    effects.sort_by_key(|effect| effect.level);
    effects
}

fn effect(step: &StepOutlook) -> EffectOutlook {
    let (by, vendor, doc, reach) = match &step.does {
        Does::Action { action, doc, .. } => (action.clone(), vendor(action), doc.clone(), None),
        Does::Container { image, reach, .. } => {
            let image = match image {
                Foreseen::Value(value) => value.as_str().unwrap_or_default().to_owned(),
                Foreseen::Later { expression, .. } => expression.clone(),
                Foreseen::Large(_) | Foreseen::Wrong(_) => String::new(),
            };
            (image, None, None, Some(reach.clone()))
        }
    };
    let (times, times_known) = match &step.fan_out {
        None => (Some(1), step.when.is_none()),
        Some(FanOutlook::Each { count, most, .. }) => (Some(*most), count.is_some() && step.when.is_none()),
        Some(FanOutlook::Follow { .. }) => (None, false),
    };
    EffectOutlook {
        step: step.name.clone(),
        level: step.level,
        effect: step.effect,
        by,
        vendor,
        doc,
        reach,
        times,
        times_known,
        only_if: step.when.as_ref().map(|when| when.expression.clone()),
    }
}

/// `slack/post` → `slack`.
fn vendor(action: &str) -> Option<String> {
    action.split_once('/').map(|(vendor, _)| vendor.to_owned())
}

/// What the steps need together.
#[derive(Default)]
pub(super) struct NeededAll {
    pub(super) scopes: BTreeMap<String, Scopes>,
    pub(super) secrets: Vec<Needed>,
    pub(super) connections: Vec<Needed>,
    pub(super) grants: Vec<Needed>,
    /// Actions of which this build knows no signature, or another one than the plan was made for.
    pub(super) strangers: Vec<Unknown>,
}

pub(super) fn needed(question: &Question<'_>, steps: &[StepOutlook]) -> NeededAll {
    let mut all = NeededAll::default();
    let (mut secrets, mut connections, mut grants, mut strangers) = (
        Named::default(),
        Named::default(),
        Named::default(),
        Named::default(),
    );
    for (plan, step) in question
        .plan
        .steps
        .iter()
        .zip(steps)
        .filter(|(_, step)| !step.skipped)
    {
        step.place
            .secrets
            .iter()
            .for_each(|name| secrets.add(name, &step.name));
        step.place
            .connection
            .iter()
            .for_each(|name| connections.add(name, &step.name));
        step.place
            .grants
            .iter()
            .for_each(|name| grants.add(name, &step.name));
        let workflow::Body::Action { action, digest, .. } = &plan.body else {
            continue;
        };
        match question.catalogue.get(action) {
            None => strangers.add(&format!("action {action}: not known here"), &step.name),
            Some(signature) => {
                if signature.digest() != *digest {
                    let what = format!("action {action}: known here in another version than the plan's");
                    strangers.add(&what, &step.name);
                }
                if !signature.scopes.is_empty() || !signature.optional_scopes.is_empty() {
                    let scopes = all.scopes.entry(vendor(action).unwrap_or_default()).or_default();
                    scopes.required.extend(signature.scopes.iter().cloned());
                    scopes.optional.extend(signature.optional_scopes.iter().cloned());
                }
            }
        }
    }
    for scopes in all.scopes.values_mut() {
        let required: BTreeSet<&str> = scopes
            .required
            .iter()
            .flat_map(|scope| scope.split('|'))
            .collect();
        let optional = scopes
            .optional
            .iter()
            .filter(|scope| !required.contains(scope.as_str()));
        let optional = optional.cloned().collect();
        scopes.optional = optional;
    }
    (all.secrets, all.connections, all.grants) = (secrets.list(), connections.list(), grants.list());
    let strangers = strangers.list().into_iter();
    all.strangers = strangers
        .map(|one| Unknown {
            what: one.name,
            read_by: one.steps,
        })
        .collect();
    all
}

#[derive(Default)]
struct Named(BTreeMap<String, Vec<String>>);

impl Named {
    fn add(&mut self, name: &str, step: &str) {
        self.0.entry(name.to_owned()).or_default().push(step.to_owned());
    }

    fn list(self) -> Vec<Needed> {
        self.0
            .into_iter()
            .map(|(name, steps)| Needed { name, steps })
            .collect()
    }
}
