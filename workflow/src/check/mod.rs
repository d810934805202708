//! Names, types, absence, trust and the graph: from the spec to the plan.

mod calls;
mod edges;
mod files;
mod infer;
mod info;
mod members;
mod sinks;
mod step;
mod world;

use types::Catalogue;

use crate::{Expr, Input, OnAlert, Plan, diagnostic::Sink, graph, spec::Spec};

/// Checks the spec. The plan is worth something only when the sink has no errors.
pub(crate) fn check(spec: &Spec, catalogue: &Catalogue, source_digest: String, sink: &mut Sink) -> Plan {
    let mut world = world::World::new(spec, catalogue);
    let edges = edges::edges(&world, sink);
    if let Some(Some(when)) = &spec.on_alert {
        let mut checker = sinks::Checker {
            world: &world,
            sink,
            place: infer::Place::Alert,
            present: Vec::new(),
        };
        checker.condition(when);
    }
    // What a fan-out's items are is known when the step has been checked, so steps go in the graph's order; those
    // within cycles come last, and what they miss stays an error that says nothing more.
    let mut order = graph::order(&edges.waits);
    let mut seen = vec![false; spec.steps.len()];
    order.iter().for_each(|index| seen[*index] = true);
    order.extend((0..spec.steps.len()).filter(|index| !seen[*index]));
    let mut steps: Vec<(usize, crate::PlanStep)> = Vec::with_capacity(order.len());
    for index in order {
        let (step, item) = step::check(&world, sink, &edges, index);
        world.facts[index].item = item;
        steps.push((index, step));
    }
    steps.sort_by_key(|(index, _)| *index);
    let inputs = spec.inputs.iter().filter_map(|input| {
        let plan = Input {
            ty: input.ty.clone()?,
            default: input.default.clone(),
            one_of: input.one_of.clone(),
            description: input.description.clone(),
        };
        Some((input.name.value.clone(), plan))
    });
    Plan {
        format: Plan::FORMAT,
        name: spec.name.clone(),
        description: spec.description.clone(),
        source_digest,
        on_alert: spec.on_alert.as_ref().map(|when| OnAlert {
            when: when.as_ref().map(|when| Expr(when.source.clone())),
        }),
        inputs: inputs.collect(),
        steps: steps.into_iter().map(|(_, step)| step).collect(),
    }
}
