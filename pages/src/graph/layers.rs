//! Layers by the longest way to a node, and the order within them by barycentres (Sugiyama, Tagawa, Toda 1981).

use std::collections::BTreeSet;

/// From and to, each once.
pub(super) type Edges = BTreeSet<(usize, usize)>;

/// Sweeps to and fro over the layers.
const SWEEPS: usize = 6;
/// Bends of long edges in all; beyond them long edges are drawn straight.
const BENDS: usize = 1_500;

/// Each node's layer. What lies on a cycle, which no plan has, stays in the first.
pub(super) fn longest(nodes: usize, edges: &Edges) -> Vec<usize> {
    let mut outs = vec![Vec::new(); nodes];
    let mut open = vec![0_usize; nodes];
    for (from, to) in edges {
        outs[*from].push(*to);
        open[*to] += 1;
    }
    let mut layers = vec![0; nodes];
    let mut ready: Vec<usize> = (0..nodes).filter(|n| open[*n] == 0).collect();
    while let Some(node) = ready.pop() {
        for next in &outs[node] {
            layers[*next] = layers[*next].max(layers[node] + 1);
            open[*next] -= 1;
            if open[*next] == 0 {
                ready.push(*next);
            }
        }
    }
    layers
}

/// Nodes with the bends of edges that cross layers.
#[derive(Debug, Clone)]
pub(super) struct Routed {
    /// Each layer's nodes in their order; those from `nodes` on are bends.
    pub(super) order: Vec<Vec<usize>>,
    /// Of each edge all places that it goes through, ends included.
    pub(super) routes: Vec<Vec<usize>>,
    /// Of each node and bend, its neighbours one layer before.
    pub(super) before: Vec<Vec<usize>>,
    /// The same one layer behind.
    pub(super) behind: Vec<Vec<usize>>,
}

pub(super) fn route(layers: &[usize], edges: &Edges) -> Routed {
    let count = layers.iter().max().map_or(0, |last| last + 1);
    let mut order = vec![Vec::new(); count];
    for (node, layer) in layers.iter().enumerate() {
        order[*layer].push(node);
    }
    let span = |(from, to): &(usize, usize)| layers[*to].saturating_sub(layers[*from] + 1);
    let bends = edges.iter().map(span).sum::<usize>() <= BENDS;
    let mut next = layers.len();
    let mut routes = Vec::new();
    for (from, to) in edges {
        let mut route = vec![*from];
        if bends {
            for layer in order.iter_mut().take(layers[*to]).skip(layers[*from] + 1) {
                layer.push(next);
                route.push(next);
                next += 1;
            }
        }
        route.push(*to);
        routes.push(route);
    }
    let (mut before, mut behind) = (vec![Vec::new(); next], vec![Vec::new(); next]);
    for pair in routes.iter().flat_map(|route| route.windows(2)) {
        behind[pair[0]].push(pair[1]);
        before[pair[1]].push(pair[0]);
    }
    let mut routed = Routed {
        order,
        routes,
        before,
        behind,
    };
    routed.untangle();
    routed
}

impl Routed {
    /// Keeps the order with the fewest crossings of all sweeps.
    fn untangle(&mut self) {
        let mut best = (self.crossings(), self.order.clone());
        for sweep in 0..SWEEPS {
            if best.0 == 0 {
                break;
            }
            let layers: Vec<usize> = if sweep % 2 == 0 {
                (1..self.order.len()).collect()
            } else {
                (0..self.order.len().saturating_sub(1)).rev().collect()
            };
            for layer in layers {
                self.sort(layer, sweep % 2 == 0);
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.order.clone());
            }
        }
        self.order = best.1;
    }

    fn sort(&mut self, layer: usize, forward: bool) {
        let places = self.places();
        let neighbours = if forward { &self.before } else { &self.behind };
        let middle = |node: usize| {
            let near = &neighbours[node];
            let sum: usize = near.iter().map(|n| places[*n] * 1_024).sum();
            // What has no neighbours stays where it is.
            sum.checked_div(near.len()).unwrap_or(places[node] * 1_024)
        };
        let mut order = std::mem::take(&mut self.order[layer]);
        order.sort_by_key(|node| middle(*node));
        self.order[layer] = order;
    }

    /// Each node's place within its layer.
    fn places(&self) -> Vec<usize> {
        let mut places = vec![0; self.before.len()];
        for layer in &self.order {
            for (place, node) in layer.iter().enumerate() {
                places[*node] = place;
            }
        }
        places
    }

    fn crossings(&self) -> usize {
        let places = self.places();
        let mut count = 0;
        for layer in &self.order {
            let mut ends: Vec<(usize, usize)> = Vec::new();
            for node in layer {
                ends.extend(self.behind[*node].iter().map(|to| (places[*node], places[*to])));
            }
            for (i, a) in ends.iter().enumerate() {
                count += ends[i + 1..].iter().filter(|b| a.0 < b.0 && a.1 > b.1).count();
            }
        }
        count
    }
}
