//! What expressions may name: inputs, steps with their outputs, the trigger.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use types::{Alert, Catalogue, CheckItem, Field, RunRecord, Signature, Trust, Type};

use super::info::{Absence, Info, Taint, Ty, holds_json};
use crate::{
    diagnostic::Loc,
    spec::{BodySpec, FanSpec, Spec, StepSpec},
};

/// What the rest of a definition may know of a step.
pub(crate) struct StepFacts {
    pub(crate) outputs: BTreeMap<String, OutputFact>,
    /// None: its action is not known, so its outputs are not either, which has been said.
    pub(crate) known: bool,
    pub(crate) fan: bool,
    /// Why its outputs may be absent behind it.
    pub(crate) absent: Option<(Loc, &'static str)>,
    /// What an item's value is: set when the step has been checked.
    pub(crate) item: Info,
}

pub(crate) struct OutputFact {
    /// None: said.
    pub(crate) ty: Option<Type>,
    pub(crate) optional: bool,
    pub(crate) trust: Trust,
    /// Why it is not trusted.
    pub(crate) why: String,
    pub(crate) at: Loc,
}

pub(crate) struct World<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) catalogue: &'a Catalogue,
    /// By the name in expressions.
    pub(crate) by_name: HashMap<String, usize>,
    pub(crate) facts: Vec<StepFacts>,
    pub(crate) inputs: HashMap<&'a str, usize>,
    pub(crate) alert: Type,
    pub(crate) run: Type,
}

impl<'a> World<'a> {
    pub(crate) fn new(spec: &'a Spec, catalogue: &'a Catalogue) -> Self {
        let by_name = spec
            .steps
            .iter()
            .enumerate()
            .rev()
            .map(|(index, step)| (step.key.value.replace('-', "_"), index))
            .collect();
        let facts = spec.steps.iter().map(|step| facts(step, catalogue)).collect();
        let inputs = spec
            .inputs
            .iter()
            .enumerate()
            .map(|(index, input)| (input.name.value.as_str(), index));
        Self {
            spec,
            catalogue,
            by_name,
            facts,
            inputs: inputs.collect(),
            alert: Alert::ty(),
            run: RunRecord::ty(),
        }
    }

    pub(crate) fn signature(&self, step: &StepSpec) -> Option<&'a Signature> {
        match &step.body {
            BodySpec::Action { uses, .. } => self.catalogue.get(&uses.value),
            _ => None,
        }
    }

    /// By a key or by its spelling in expressions.
    pub(crate) fn step(&self, key: &str) -> Option<usize> {
        let index = *self.by_name.get(key.replace('-', "_").as_str())?;
        Some(index)
    }

    /// Only by its exact key.
    pub(crate) fn step_key(&self, key: &str) -> Option<usize> {
        self.step(key)
            .filter(|index| self.spec.steps[*index].key.value == key)
    }

    pub(crate) fn input(&self, index: usize) -> Info {
        let input = &self.spec.inputs[index];
        let Some(ty) = input.ty.clone() else {
            return Info::ERROR;
        };
        let trust = if holds_json(&ty) {
            Trust::Untrusted
        } else {
            Trust::Trusted
        };
        let name = format!("inputs.{}", input.name.value);
        let taint = Taint::of(trust, input.name.at, name, "json is never trusted");
        Info::new(Ty::Known(ty), taint)
    }

    /// The type of one item of a fan-out as other steps see it.
    pub(crate) fn item(&self, index: usize) -> Info {
        let (facts, step) = (&self.facts[index], &self.spec.steps[index]);
        let value = match &facts.item.ty {
            Ty::Error => return Info::ERROR,
            Ty::Known(ty) => ty.clone(),
            Ty::Null | Ty::EmptyList | Ty::Space(_) => Type::Json,
        };
        let mut taint = facts.item.taint.clone();
        let mut fields = BTreeMap::new();
        for (name, output) in &facts.outputs {
            let Some(ty) = output.ty.clone() else {
                return Info::ERROR;
            };
            let optional = output.optional;
            fields.insert(name.clone(), Field { ty, optional });
            taint = taint.with(Taint::of(
                output.trust,
                output.at,
                format!("steps.{}.items", step.key.value.replace('-', "_")),
                output.why.clone(),
            ));
        }
        let outputs = Type::Record {
            name: format!("outputs of {}", step.key.value),
            fields,
        };
        Info::new(Ty::Known(CheckItem::ty(value, outputs)), taint)
    }

    /// The trigger's alert: there when each run has one.
    pub(crate) fn alert(&self, at: Loc) -> Info {
        let taint = Taint::of(
            Trust::Untrusted,
            at,
            "trigger.alert",
            "an alert is an outsider's text",
        );
        let mut info = Info::new(Ty::Known(self.alert.clone()), taint);
        if self.spec.on_alert.is_none() {
            info.absent = Some(Rc::new(Absence {
                path: "trigger.alert".to_owned(),
                why: "the workflow is not bound to alerts, so a run may have none; with `on: alert` it is always there"
                    .to_owned(),
                at: None,
            }));
        }
        info
    }
}

fn facts(step: &StepSpec, catalogue: &Catalogue) -> StepFacts {
    let mut outputs = BTreeMap::new();
    let mut known = true;
    match &step.body {
        BodySpec::Action { uses, .. } => match catalogue.get(&uses.value) {
            Some(signature) => {
                for (name, output) in &signature.outputs {
                    let trust = if output.ty == Type::Json {
                        Trust::Untrusted
                    } else {
                        output.gives
                    };
                    let fact = OutputFact {
                        ty: Some(output.ty.clone()),
                        optional: output.optional,
                        trust,
                        why: format!("{} gives it from outsiders", uses.value),
                        at: uses.at,
                    };
                    outputs.insert(name.clone(), fact);
                }
            }
            None => known = false,
        },
        BodySpec::Container(_) | BodySpec::Wrong => {
            known = matches!(step.body, BodySpec::Container(_)) || step.outputs_at.is_some();
            for output in &step.outputs {
                let fact = OutputFact {
                    ty: output.ty.clone(),
                    optional: output.optional,
                    trust: Trust::Untrusted,
                    why: "a container's output is what a program printed".to_owned(),
                    at: output.name.at,
                };
                outputs.insert(output.name.value.clone(), fact);
            }
        }
    }
    let fan = step.fan.is_some();
    let absent = match (&step.when, step.allow_failure) {
        (Some(when), _) => Some((when.at, "the step is skipped when this is false")),
        // A fan-out that may fail still tells of each item how it ended.
        (None, Some(at)) if !fan => Some((at, "the step may fail")),
        (None, _) => None,
    };
    let follows = matches!(step.fan, Some(FanSpec::Follow { .. }));
    StepFacts {
        outputs,
        known,
        fan: fan || follows,
        absent,
        item: Info::ERROR,
    }
}
