//! One step before a run.

use std::collections::{BTreeMap, BTreeSet};

use types::{Effect, Value, limits};
use workflow::{Body, FanOut, PlanFileFrom, PlanService, PlanStep};

use super::{
    Question,
    foresee::{Known, cut, shown, waiting},
    place, time,
    view::{Beside, Condition, Does, EffectKind, FanOutlook, Foreseen, Item, Reach, StepOutlook},
};
use crate::work;

/// Items that one outlook shows, all fan-outs together.
pub(super) const ITEMS_TOLD: usize = 2_000;

pub(super) fn step(
    question: &Question<'_>,
    known: &Known,
    plan: &PlanStep,
    level: usize,
    budget: &mut usize,
) -> StepOutlook {
    let when = plan.when.as_ref().map(|when| Condition {
        expression: when.0.clone(),
        value: known.condition(when),
        replaces_edge: plan.when_replaces_edge,
    });
    let does = does(question, known, plan);
    let mut place = place::wants(plan, known.templates(&plan.runs_on));
    let fan_out = plan.fan_out.as_ref().map(|fan| match fan {
        FanOut::Each { items, max_parallel } => {
            let list = Foreach { known, plan, items };
            list.outlook(question, *max_parallel, budget)
        }
        FanOut::Follow { steps, gather_ms } => FanOutlook::Follow {
            steps: steps.clone(),
            gather_ms: *gather_ms,
        },
    });
    place.agents = question
        .agents
        .map(|snapshot| place::agents(snapshot, plan, &place.runs_on));
    let skipped = matches!(
        &when,
        Some(Condition {
            value: Foreseen::Value(Value::Bool(false)),
            ..
        })
    );
    let mut values: Vec<&Foreseen> = match &does {
        Does::Action { with, .. } => with.values().collect(),
        Does::Container {
            image,
            argv,
            env,
            services,
            ..
        } => {
            let beside = services.values().flat_map(|service| {
                std::iter::once(&service.image)
                    .chain(&service.argv)
                    .chain(service.env.values())
            });
            let image = std::iter::once(image);
            image.chain(argv).chain(env.values()).chain(beside).collect()
        }
    };
    values.extend(place.runs_on.values());
    values.extend(when.iter().map(|when| &when.value));
    if let Some(FanOutlook::Each { from, .. }) = &fan_out {
        values.push(from);
    }
    let mut waits_for = waiting(values);
    // An item's own value is no news: it is what its list holds.
    waits_for.retain(|path| !skipped && !path.starts_with("each"));
    StepOutlook {
        name: plan.key.clone(),
        title: plan.name.clone(),
        level,
        depends: plan.before().cloned().collect(),
        effect: effect(question, plan),
        does,
        place,
        when,
        worst_case_ms: if skipped {
            0
        } else {
            time::of_step(plan, fan_out.as_ref())
        },
        fan_out,
        pickup_ms: plan.pickup_ms,
        timeout_ms: plan.timeout_ms,
        attempts: plan.retry.limit.saturating_add(1),
        may_fail: plan.allow_failure,
        if_lost: plan.if_lost,
        skipped,
        waits_for,
    }
}

fn effect(question: &Question<'_>, plan: &PlanStep) -> EffectKind {
    match &plan.body {
        Body::Container { .. } => EffectKind::Program,
        Body::Action { action, .. } => match question.catalogue.get(action).map(|known| known.effect) {
            Some(Effect::None) => EffectKind::None,
            Some(Effect::Reads) => EffectKind::Reads,
            Some(Effect::Writes) => EffectKind::Writes,
            None => EffectKind::Unknown,
        },
    }
}

fn does(question: &Question<'_>, known: &Known, plan: &PlanStep) -> Does {
    match &plan.body {
        Body::Action { action, with, .. } => Does::Action {
            action: action.clone(),
            doc: question.catalogue.get(action).map(|known| known.doc.clone()),
            with: known.templates(with),
        },
        Body::Container {
            action,
            image,
            argv,
            env,
            resources,
            network,
            host_view,
            services,
            ..
        } => Does::Container {
            action: action.as_ref().map(|own| own.uses.clone()),
            image: known.template(image),
            argv: argv.iter().map(|part| known.template(part)).collect(),
            env: known.templates(env),
            reach: Reach {
                network: *network,
                host_view: host_view.clone(),
            },
            memory_bytes: resources.memory_bytes,
            pids: resources.pids,
            cpu_millis: resources.cpu_millis,
            services: services
                .iter()
                .map(|(name, service)| (name.clone(), beside(known, service)))
                .collect(),
        },
    }
}

fn beside(known: &Known, service: &PlanService) -> Beside {
    Beside {
        image: known.template(&service.image),
        argv: service.argv.iter().map(|part| known.template(part)).collect(),
        env: known.templates(&service.env),
        ready: service.ready.clone(),
        memory_bytes: service.resources.memory_bytes,
        pids: service.resources.pids,
        cpu_millis: service.resources.cpu_millis,
    }
}

/// A `foreach` before a run.
struct Foreach<'a> {
    known: &'a Known,
    plan: &'a PlanStep,
    items: &'a workflow::Template,
}

impl Foreach<'_> {
    fn outlook(&self, question: &Question<'_>, max_parallel: Option<u32>, budget: &mut usize) -> FanOutlook {
        let (from, list) = self.list();
        let told = list.as_ref().map_or(0, Vec::len).min(*budget);
        *budget -= told;
        let first = list.iter().flatten().take(told).enumerate();
        // One copy for all items: inputs and an alert may be large.
        let mut known = self.known.clone();
        let items = first.map(|(n, value)| {
            known.set_item(value, n);
            self.item(question, &known, n, value)
        });
        let items = items.collect();
        let count = list.map(|list| list.len());
        FanOutlook::Each {
            count,
            most: count.unwrap_or(limits::ITEMS),
            max_parallel,
            from,
            items,
        }
    }

    /// The list as it is shown, and itself when it is known and fits.
    fn list(&self) -> (Foreseen, Option<Vec<Value>>) {
        let from = self.known.template(self.items);
        if !matches!(from, Foreseen::Value(_) | Foreseen::Large(_)) {
            return (from, None);
        }
        match self.items.eval(self.known.scope()) {
            Ok(Value::Array(list)) if list.len() > limits::ITEMS => {
                let message = format!("`foreach` has {} items, at most {}", list.len(), limits::ITEMS);
                (Foreseen::Wrong(message), None)
            }
            Ok(Value::Array(list)) => (from, Some(list)),
            Ok(_) => (Foreseen::Wrong("`foreach` is not a list".to_owned()), None),
            Err(error) => (Foreseen::Wrong(error.to_string()), None),
        }
    }

    fn item(&self, question: &Question<'_>, known: &Known, index: usize, value: &Value) -> Item {
        let runs_on = known.templates(&self.plan.runs_on);
        let agents = question
            .agents
            .map(|snapshot| place::agents(snapshot, self.plan, &runs_on));
        Item {
            index,
            value: shown(Ok(value.clone())),
            refused: refused(known, self.plan, &runs_on),
            runs_on,
            agents,
        }
    }
}

/// Why an item's work has no value. Said as soon as it is certain: what is not known yet may still refuse it.
fn refused(known: &Known, plan: &PlanStep, runs_on: &BTreeMap<String, Foreseen>) -> Option<String> {
    let wrong = |value: &Foreseen| match value {
        Foreseen::Wrong(why) => Some(why.clone()),
        Foreseen::Value(_) | Foreseen::Large(_) | Foreseen::Later { .. } => None,
    };
    if let Some(why) = runs_on.values().find_map(wrong) {
        return Some(why);
    }
    let mut lacks = BTreeSet::new();
    let mut add = |template: &workflow::Template| lacks.extend(known.lacks(template.reads()));
    match &plan.body {
        Body::Action { with, .. } => with.values().for_each(&mut add),
        Body::Container {
            image,
            argv,
            env,
            files,
            services,
            ..
        } => {
            let mut contents = Vec::new();
            let beside = services.values().flat_map(|service| service.files.values());
            for file in files.values().chain(beside) {
                match &file.from {
                    PlanFileFrom::Content(content) => contents.push(content),
                    // What a step will have left is not known before it ran.
                    PlanFileFrom::Artifact { .. } => return None,
                }
            }
            std::iter::once(image)
                .chain(argv)
                .chain(env.values())
                .chain(contents)
                .chain(services.values().flat_map(PlanService::templates))
                .for_each(&mut add);
        }
    }
    plan.runs_on.values().for_each(&mut add);
    if !lacks.is_empty() {
        return None;
    }
    let evaluated = work::evaluate(plan, known.scope(), &|_, _| None).map_err(|error| error.to_string());
    evaluated.and_then(work::storable).err().map(|why| cut(&why))
}
