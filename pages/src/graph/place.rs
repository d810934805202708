//! Where everything stands: layers from top to bottom while they are narrow, from left to right when they are wide.

use super::layers::Routed;

/// A card.
pub(super) const WIDTH: i32 = 240;
pub(super) const HEIGHT: i32 = 72;
/// Between layers, between neighbours, and around.
const BETWEEN: i32 = 44;
const BESIDE: i32 = 20;
const AROUND: i32 = 12;
/// What a bend takes of its layer.
const BEND: i32 = 14;
/// Cards beside each other up to which layers go from top to bottom.
const NARROW: usize = 4;
/// Sweeps that move what is connected towards each other.
const SWEEPS: usize = 6;

/// Places of a picture, in pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) width: i32,
    pub(super) height: i32,
    /// The left upper corner of each card.
    pub(super) cards: Vec<(i32, i32)>,
    /// A path (SVG's `d`) for each edge.
    pub(super) paths: Vec<String>,
}

pub(super) fn place(routed: &Routed, nodes: usize) -> Placed {
    let cards = |layer: &Vec<usize>| layer.iter().filter(|n| **n < nodes).count();
    let down = routed.order.iter().map(cards).max().unwrap_or(0) <= NARROW;
    let (across, along) = if down { (WIDTH, HEIGHT) } else { (HEIGHT, WIDTH) };
    let size = |n: usize| if n < nodes { across } else { BEND };
    let centres = centres(routed, size);
    let mut layer_of = vec![0; centres.len()];
    for (layer, order) in routed.order.iter().enumerate() {
        for node in order {
            layer_of[*node] = i32::try_from(layer).unwrap_or(i32::MAX);
        }
    }
    let start = |n: usize| AROUND + layer_of[n] * (along + BETWEEN);
    let corner = |n: usize| {
        let (cross, main) = (centres[n] - across / 2, start(n));
        if down { (cross, main) } else { (main, cross) }
    };
    let far = (0..centres.len())
        .map(|n| centres[n] + size(n) / 2)
        .max()
        .unwrap_or(0)
        + AROUND;
    let last = i32::try_from(routed.order.len()).unwrap_or(i32::MAX);
    let length = 2 * AROUND + last * (along + BETWEEN) - BETWEEN.min(last * BETWEEN);
    let paths = routed.routes.iter().map(|route| {
        let points: Vec<(i32, i32, i32)> = route
            .iter()
            .map(|n| (centres[*n], start(*n), start(*n) + along))
            .collect();
        path(&points, down)
    });
    Placed {
        width: if down { far } else { length },
        height: if down { length } else { far },
        paths: paths.collect(),
        cards: (0..nodes).map(corner).collect(),
    }
}

/// Each node's middle across its layer.
fn centres(routed: &Routed, size: impl Fn(usize) -> i32) -> Vec<i32> {
    let mut centres = vec![0; routed.before.len()];
    for layer in &routed.order {
        let mut at = 0;
        for node in layer {
            centres[*node] = at + size(*node) / 2;
            at += size(*node) + BESIDE;
        }
    }
    for sweep in 0..SWEEPS {
        let forward = sweep % 2 == 0;
        let neighbours = if forward { &routed.before } else { &routed.behind };
        let count = routed.order.len();
        for i in 0..count {
            let layer = &routed.order[if forward { i } else { count - 1 - i }];
            let wanted: Vec<i32> = layer
                .iter()
                .map(|node| {
                    let near = &neighbours[*node];
                    let sum: i32 = near.iter().map(|n| centres[*n]).sum();
                    sum.checked_div(i32::try_from(near.len()).unwrap_or(i32::MAX))
                        .unwrap_or(centres[*node])
                })
                .collect();
            settle(layer, &wanted, &mut centres, &size);
        }
    }
    let least = (0..centres.len())
        .map(|n| centres[n] - size(n) / 2)
        .min()
        .unwrap_or(0);
    centres.iter().map(|centre| centre - least + AROUND).collect()
}

/// As near to what is wanted as the order and the distances allow.
fn settle(layer: &[usize], wanted: &[i32], centres: &mut [i32], size: &impl Fn(usize) -> i32) {
    let mut at = i32::MIN / 2;
    for (node, wanted) in layer.iter().zip(wanted) {
        let centre = (*wanted).max(at + size(*node) / 2);
        centres[*node] = centre;
        at = centre + size(*node) / 2 + BESIDE;
    }
    // What was pushed aside pulls the whole layer back by the mean.
    let off: i32 = layer
        .iter()
        .zip(wanted)
        .map(|(node, wanted)| wanted - centres[*node])
        .sum();
    let shift = off
        .checked_div(i32::try_from(layer.len()).unwrap_or(i32::MAX))
        .unwrap_or(0);
    for node in layer {
        centres[*node] += shift;
    }
}

/// A smooth line from the end of the first to the beginning of the last. Points are: middle, begin and end of the layer.
fn path(points: &[(i32, i32, i32)], down: bool) -> String {
    let at = |cross: i32, main: i32| {
        if down {
            format!("{cross} {main}")
        } else {
            format!("{main} {cross}")
        }
    };
    let mut path = String::new();
    for (i, pair) in points.windows(2).enumerate() {
        let ((c0, _, end), (c1, begin, begin_end)) = (pair[0], pair[1]);
        if i == 0 {
            path.push_str(&format!("M{}", at(c0, end)));
        }
        let half = i32::midpoint(end, begin);
        path.push_str(&format!("C{} {} {}", at(c0, half), at(c1, half), at(c1, begin)));
        if i + 2 < points.len() {
            path.push_str(&format!("L{}", at(c1, begin_end)));
        }
    }
    path
}
