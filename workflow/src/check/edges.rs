//! What each step waits for: `needs`, `follow`, and the steps whose outputs its expressions read.

use std::collections::{BTreeSet, HashMap};

use super::{step::followed, world::World};
use crate::{
    code::Code,
    diagnostic::{Loc, Sink},
    expr::{Kind, Node},
    graph,
    spec::{FanSpec, short},
    template::ExprSpec,
};

pub(crate) struct Edges {
    /// By step: the keys that it needs.
    pub(crate) needs: Vec<BTreeSet<String>>,
    /// By step: those that it needs or follows.
    pub(crate) waits: Vec<Vec<usize>>,
}

pub(crate) fn edges(world: &World<'_>, sink: &mut Sink) -> Edges {
    let steps = &world.spec.steps;
    let mut needs = vec![BTreeSet::new(); steps.len()];
    let mut waits: Vec<Vec<usize>> = Vec::with_capacity(steps.len());
    let mut places: HashMap<(usize, usize), Loc> = HashMap::new();
    for (index, step) in steps.iter().enumerate() {
        let followed = followed(step);
        let mut waited = BTreeSet::new();
        let mut add = |need: usize, at: Loc, named: bool, sink: &mut Sink| {
            if need == index {
                let message = format!("the step `{}` waits for itself", step.key.value);
                sink.error(Code::SelfReference, at, message)
                    .help("remove it; what an earlier try put out is not kept");
                return;
            }
            let key = &steps[need].key.value;
            if followed.contains(key.as_str()) {
                if named {
                    let message = format!("`{key}` is followed already; `needs` would wait for its end");
                    sink.error(Code::Conflict, at, message)
                        .help("remove it from `needs`, or read `steps.….items` instead of `follow`");
                }
            } else {
                needs[index].insert(key.clone());
            }
            waited.insert(need);
            places.entry((index, need)).or_insert(at);
        };
        for need in &step.needs {
            match world.step_key(&need.value) {
                Some(found) => add(found, need.at, true, sink),
                None => unknown(world, sink, &need.value, need.at),
            }
        }
        if let Some(FanSpec::Follow { steps: keys, .. }) = &step.fan {
            for key in keys {
                match world.step_key(&key.value) {
                    Some(found) => {
                        add(found, key.at, false, sink);
                        if found != index && !matches!(steps[found].fan, Some(FanSpec::Each { .. })) {
                            sink.error(
                                Code::NotFanOut,
                                key.at,
                                format!("`{}` has no `foreach`", key.value),
                            )
                            .also(steps[found].key.at, "the step")
                            .help("use `needs` and read its outputs");
                        }
                    }
                    None => unknown(world, sink, &key.value, key.at),
                }
            }
        }
        for step in step.artifacts_read() {
            match world.step_key(&step.value) {
                Some(found) => add(found, step.at, false, sink),
                None => unknown(world, sink, &step.value, step.at),
            }
        }
        let mut read = |expr: &ExprSpec| {
            if let Some(node) = &expr.node {
                references(node, expr, world, &mut |need, at| add(need, at, false, sink));
            }
        };
        if let Some(when) = &step.when {
            read(when);
        }
        step.each_expr(&mut |expr| read(expr));
        waits.push(waited.into_iter().collect());
    }
    for cycle in graph::cycles(&waits) {
        say(world, sink, &cycle, &places);
    }
    Edges { needs, waits }
}

fn unknown(world: &World<'_>, sink: &mut Sink, key: &str, at: Loc) {
    let draft = sink.error(
        Code::UnknownStep,
        at,
        format!("there is no step `{}`", short(key)),
    );
    match world.step(key) {
        // Written as in an expression.
        Some(index) => {
            let meant = world.spec.steps[index].key.value.clone();
            draft.help(format!("did you mean `{meant}`?")).suggest(at, meant)
        }
        None => draft.nearest(
            at,
            key,
            world.spec.steps.iter().map(|step| step.key.value.as_str()),
        ),
    };
}

/// Each `steps.key` of an expression.
fn references(node: &Node, expr: &ExprSpec, world: &World<'_>, found: &mut dyn FnMut(usize, Loc)) {
    if let Kind::Field { of, name, name_span } = &node.kind
        && matches!(&of.kind, Kind::Name(root) if root == "steps")
        && let Some(index) = world.by_name.get(name)
    {
        found(*index, expr.loc(*name_span));
    }
    for child in node.children() {
        references(child, expr, world, found);
    }
}

fn say(world: &World<'_>, sink: &mut Sink, cycle: &[usize], places: &HashMap<(usize, usize), Loc>) {
    let key = |index: usize| world.spec.steps[index].key.value.as_str();
    let mut keys: Vec<&str> = cycle.iter().take(12).map(|index| key(*index)).collect();
    if cycle.len() > keys.len() {
        keys.push("…");
    }
    keys.push(key(cycle[0]));
    let message = format!("steps wait for each other: {}", keys.join(" -> "));
    let place = |from: usize, to: usize| places.get(&(from, to)).copied();
    let next = |position: usize| cycle[(position + 1) % cycle.len()];
    let at = place(cycle[0], next(0)).unwrap_or(world.spec.steps[cycle[0]].key.at);
    let draft = sink.error(Code::Cycle, at, message);
    draft.label(format!("`{}` waits for `{}`", key(cycle[0]), key(next(0))));
    for (position, step) in cycle.iter().enumerate().skip(1).take(11) {
        if let Some(at) = place(*step, next(position)) {
            draft.also(
                at,
                format!("`{}` waits for `{}`", key(*step), key(next(position))),
            );
        }
    }
    draft.help("remove one of these edges");
}
