//! The picture: nodes as cards that lead to their steps.

use std::collections::BTreeMap;

use askama::Template;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{
    Step,
    fold::{Folded, fold},
    layers,
    place::{HEIGHT, Placed, WIDTH, place},
};
use crate::parts::{Shape, of_step};

/// Columns of a card's lines in its fonts.
const KEY_COLUMNS: usize = 25;
const LINE_COLUMNS: usize = 31;

/// A run's picture, to be shown as SVG.
#[derive(Debug, Clone, Template)]
#[template(path = "graph.svg")]
pub struct Graph {
    placed: Placed,
    cards: Vec<Card>,
    /// How many steps do not have a card of their own.
    folded: usize,
    steps: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Card {
    x: i32,
    y: i32,
    shape: Shape,
    /// Of one step its key, cut; of several how many they are.
    title: String,
    state: String,
    what: String,
    href: String,
    /// All of it in one sentence.
    label: String,
    id: String,
    many: bool,
    /// How far a fan-out is, in pixels.
    progress: Option<i32>,
}

impl Graph {
    /// Lays out the steps of the run at `base` (`/runs/run_…`); `list` gives the page of the step list on which a step is.
    #[must_use]
    pub fn new(base: &str, steps: &[Step<'_>], list: impl Fn(usize) -> String) -> Self {
        let Folded {
            groups,
            edges,
            layers,
        } = fold(steps);
        let placed = place(&layers::route(&layers, &edges), groups.len());
        let cards = groups
            .iter()
            .zip(&placed.cards)
            .map(|(group, corner)| match group.as_slice() {
                [one] => single(base, &steps[*one], *corner),
                many => several(steps, many, *corner, list(many[0])),
            });
        Self {
            cards: cards.collect(),
            folded: groups.iter().filter(|group| group.len() > 1).map(Vec::len).sum(),
            steps: steps.len(),
            placed,
        }
    }

    /// How many steps are folded together with others.
    #[must_use]
    pub const fn folded(&self) -> usize {
        self.folded
    }

    /// How many cards it has.
    #[must_use]
    pub fn cards(&self) -> usize {
        self.cards.len()
    }

    /// Whether it is too wide to be shown whole on a usual screen.
    fn wide(&self) -> bool {
        self.placed.width > 1_160
    }
}

fn single(base: &str, step: &Step<'_>, (x, y): (i32, i32)) -> Card {
    let status = of_step(step.state).0;
    let mut parts = vec![status.word().to_owned()];
    if let Some((done, all)) = step.items {
        parts.push(format!("{done}/{all} items"));
    }
    if !step.lasted.is_empty() {
        parts.push(step.lasted.clone());
    }
    if step.items.is_none() && step.attempts > 1 {
        parts.push(format!("try {}", step.attempts));
    }
    let waits = (!step.waits_for.is_empty()).then(|| format!("waits for {}", step.waits_for));
    let mut label = format!("{}: {}; {}", step.key, parts.join(", "), step.what);
    label.extend(waits.iter().flat_map(|waits| ["; ", waits]));
    Card {
        x,
        y,
        shape: status.shape(),
        title: middle(step.key, KEY_COLUMNS),
        state: cut(&parts.join(" · "), LINE_COLUMNS),
        what: cut(waits.as_deref().unwrap_or(step.what), LINE_COLUMNS),
        href: format!("{base}/steps/{}", step.key),
        label,
        id: format!("node-{}", step.key),
        many: false,
        progress: step.items.map(|(done, all)| share(done, all)),
    }
}

fn several(steps: &[Step<'_>], group: &[usize], (x, y): (i32, i32), href: String) -> Card {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for i in group {
        *counts.entry(steps[*i].state).or_default() += 1;
    }
    let mut counts: Vec<(&str, u32)> = counts.into_iter().collect();
    counts.sort_by_key(|(state, _)| weight(state));
    let told: Vec<String> = (counts.iter())
        .map(|(state, n)| format!("{n} {}", of_step(state).0.word()))
        .collect();
    let (first, last) = (steps[group[0]].key, steps[group[group.len() - 1]].key);
    let same = group.iter().all(|i| steps[*i].what == steps[group[0]].what);
    let what = if same {
        steps[group[0]].what.to_owned()
    } else {
        format!("{first} … {last}")
    };
    let ended = group
        .iter()
        .filter(|i| !matches!(steps[**i].state, "waiting" | "queued" | "running" | "in_doubt"))
        .count();
    let of = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Card {
        x,
        y,
        shape: counts
            .first()
            .map_or(Shape::Waiting, |(state, _)| of_step(state).0.shape()),
        title: format!("{} steps", group.len()),
        state: cut(&told.join(" · "), LINE_COLUMNS),
        what: cut(&what, LINE_COLUMNS),
        href,
        label: format!(
            "{} steps from {first} to {last}: {}",
            group.len(),
            told.join(", ")
        ),
        id: format!("nodes-{first}"),
        many: true,
        progress: Some(share(of(ended), of(group.len()))),
    }
}

/// The worse, the earlier.
fn weight(state: &str) -> u8 {
    match state {
        "failed" => 0,
        "in_doubt" => 1,
        "running" => 2,
        "degraded" => 3,
        "cancelled" => 4,
        "queued" => 5,
        "waiting" => 6,
        "succeeded" => 7,
        _ => 8,
    }
}

fn share(done: u32, all: u32) -> i32 {
    let width = u64::try_from(WIDTH - 24).unwrap_or(0);
    i32::try_from(width * u64::from(done.min(all)) / u64::from(all.max(1))).unwrap_or(0)
}

/// At most so many columns; what is left out is marked.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

/// The same from the middle: keys often differ at their end.
fn middle(key: &str, columns: usize) -> String {
    let chars: Vec<char> = key.chars().collect();
    if key.width() <= columns || chars.len() <= columns {
        return cut(key, columns);
    }
    let tail = columns / 3;
    let head: String = chars[..columns - tail - 1].iter().collect();
    let tail: String = chars[chars.len() - tail..].iter().collect();
    format!("{head}…{tail}")
}
