//! What stands for what in the picture: a small run as it is; of a large one, parallel steps of the same shape and the
//! insides of long chains together; of one that is still too large then, what lies in the same layers.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Step,
    layers::{self, Edges},
};

/// Up to so many steps nothing is folded.
const WHOLE: usize = 80;
/// Nodes and edges that a picture has at most before layers are folded.
const NODES: usize = 200;
const EDGES: usize = 600;
/// Folded layers.
const BANDS: usize = 60;
/// Steps that are shown for themselves because of their state.
const NOTABLE: usize = 60;
/// The same among parallel steps of the same shape.
const ALONE: usize = 6;
/// Parallel steps from which on they are folded, and what is kept of a chain at either end.
const SIBLINGS: usize = 4;
const ENDS: usize = 2;

/// Nodes of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folded {
    /// Each node's steps, in their order.
    pub(super) groups: Vec<Vec<usize>>,
    /// Between nodes, each once.
    pub(super) edges: Edges,
    /// Each node's layer.
    pub(super) layers: Vec<usize>,
}

pub(super) fn fold(steps: &[Step<'_>]) -> Folded {
    let needs: Vec<Vec<usize>> = steps.iter().map(|step| step.needs.clone()).collect();
    let own: Vec<usize> = (0..steps.len()).collect();
    let whole = quotient(&needs, &own);
    if steps.len() <= WHOLE {
        return layered(whole);
    }
    let notable = notable(steps);
    let siblings = siblings(steps);
    let chains = chains(&quotient(&needs, &siblings), &siblings, &notable);
    let folded = quotient(&needs, &chains);
    if folded.groups.len() <= NODES && folded.edges.len() <= EDGES {
        return layered(folded);
    }
    bands(steps, &needs, &whole.edges, &notable)
}

/// What makes a step stand out of those around it.
fn class<'a>(step: &Step<'a>) -> Option<&'a str> {
    match step.state {
        "failed" | "in_doubt" | "running" => Some(step.state),
        _ => None,
    }
}

/// The steps that stand alone because of their state, the worst first when there are too many.
fn notable(steps: &[Step<'_>]) -> BTreeSet<usize> {
    let mut found: Vec<(u8, usize)> = (steps.iter().enumerate())
        .filter_map(|(i, step)| match class(step)? {
            "failed" => Some((0, i)),
            "in_doubt" => Some((1, i)),
            _ => Some((2, i)),
        })
        .collect();
    found.sort_unstable();
    found.truncate(NOTABLE);
    found.into_iter().map(|(_, i)| i).collect()
}

/// For each step the first of those that stand with it: same needs, same dependents, same doing, and the same state where
/// that stands out. Of each such state some stand alone.
fn siblings(steps: &[Step<'_>]) -> Vec<usize> {
    let mut dependents = vec![Vec::new(); steps.len()];
    for (i, step) in steps.iter().enumerate() {
        for need in &step.needs {
            dependents[*need].push(i);
        }
    }
    let mut alike: BTreeMap<(&[usize], &[usize], &str, Option<&str>), Vec<usize>> = BTreeMap::new();
    for (i, step) in steps.iter().enumerate() {
        let shape = (
            step.needs.as_slice(),
            dependents[i].as_slice(),
            step.what,
            class(step),
        );
        alike.entry(shape).or_default().push(i);
    }
    let mut leaders: Vec<usize> = (0..steps.len()).collect();
    for ((.., class), group) in &alike {
        let alone = if class.is_some() { ALONE } else { 0 };
        let rest = group.get(alone..).unwrap_or_default();
        for i in rest.iter().filter(|_| rest.len() >= SIBLINGS) {
            leaders[*i] = rest[0];
        }
    }
    leaders
}

/// The same with the insides of long chains folded.
fn chains(graph: &Folded, leaders: &[usize], notable: &BTreeSet<usize>) -> Vec<usize> {
    let count = graph.groups.len();
    let (mut ins, mut outs) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for (from, to) in &graph.edges {
        outs[*from].push(*to);
        ins[*to].push(*from);
    }
    let alone = |n: usize| graph.groups[n].len() == 1 && !notable.contains(&graph.groups[n][0]);
    let plain = |n: usize| ins[n].len() <= 1 && outs[n].len() <= 1 && alone(n);
    let before = |n: usize| ins[n].first().copied().filter(|m| plain(*m));
    let mut leaders = leaders.to_vec();
    for first in (0..count).filter(|n| plain(*n) && before(*n).is_none()) {
        let mut chain = vec![first];
        while let Some(next) = chain.last().and_then(|n| outs[*n].first()).filter(|n| plain(**n)) {
            chain.push(*next);
        }
        let inside = chain
            .get(ENDS..chain.len().saturating_sub(ENDS))
            .unwrap_or_default();
        if inside.len() > 1 {
            let leader = graph.groups[inside[0]][0];
            for i in inside.iter().flat_map(|n| &graph.groups[*n]) {
                leaders[*i] = leader;
            }
        }
    }
    leaders
}

/// What does not stand alone, by layers and by states that stand out.
fn bands(steps: &[Step<'_>], needs: &[Vec<usize>], edges: &Edges, notable: &BTreeSet<usize>) -> Folded {
    let depth = layers::longest(needs.len(), edges);
    let count = depth.iter().max().map_or(1, |deepest| deepest + 1);
    let bands = count.min(BANDS);
    let band = |i: usize| depth[i] * bands / count;
    let mut first: BTreeMap<(usize, Option<&str>), usize> = BTreeMap::new();
    let leaders: Vec<usize> = (0..needs.len())
        .map(|i| {
            if notable.contains(&i) {
                i
            } else {
                *first.entry((band(i), class(&steps[i]))).or_insert(i)
            }
        })
        .collect();
    let mut folded = quotient(needs, &leaders);
    folded.layers = folded.groups.iter().map(|group| band(group[0])).collect();
    // Within a band there is no order to show.
    let layers = folded.layers.clone();
    folded.edges.retain(|(from, to)| layers[*from] < layers[*to]);
    if folded.edges.len() > EDGES {
        folded.edges.retain(|(from, to)| layers[*from] + 1 == layers[*to]);
        folded.edges = folded.edges.into_iter().take(EDGES).collect();
    }
    folded
}

fn quotient(needs: &[Vec<usize>], leaders: &[usize]) -> Folded {
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (i, leader) in leaders.iter().enumerate() {
        let place = *places.entry(*leader).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(i);
    }
    let place = |i: usize| places[&leaders[i]];
    let pairs = needs
        .iter()
        .enumerate()
        .flat_map(|(i, needs)| needs.iter().map(move |n| (*n, i)));
    let edges = pairs
        .map(|(from, to)| (place(from), place(to)))
        .filter(|(from, to)| from != to)
        .collect();
    Folded {
        groups,
        edges,
        layers: Vec::new(),
    }
}

fn layered(mut folded: Folded) -> Folded {
    folded.layers = layers::longest(folded.groups.len(), &folded.edges);
    folded
}
