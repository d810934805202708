//! What is shown where not all fits: what happens now, then what went wrong, then what comes next, then what went well;
//! in the plan's order all the same, with what is left out counted in its place.

use std::collections::{BTreeMap, BTreeSet};

use sdk::live::{LiveItem, LiveState, LiveStep};
use types::StepOutcome as O;

use super::{
    rows::{Paint, Row},
    tree::Scene,
};

/// Less is looked at first.
const fn rank(state: LiveState) -> u8 {
    match state {
        LiveState::InDoubt | LiveState::Stopping | LiveState::Running | LiveState::RetryWait => 0,
        LiveState::Ended(O::Failed | O::Degraded | O::Cancelled) => 1,
        LiveState::Queued | LiveState::Offered => 2,
        LiveState::Waiting => 3,
        LiveState::Ended(O::Succeeded) => 4,
        LiveState::Ended(O::Omitted | O::Skipped | O::NotRun) => 5,
    }
}

/// The tree in at most so many rows, one at least.
pub(super) fn tree(scene: &Scene<'_>, height: usize) -> Vec<Row> {
    let mut rows = vec![scene.head()];
    let end = scene.end();
    let room = height.saturating_sub(rows.len() + end.len());
    rows.extend(steps(scene, room));
    rows.extend(end);
    rows.truncate(height.max(1));
    rows
}

fn steps(scene: &Scene<'_>, room: usize) -> Vec<Row> {
    let steps = &scene.run.steps;
    let columns = scene.key_columns();
    // No step has fewer rows than one: with more steps than rows nobody needs to count them.
    if steps.len() <= room {
        let all: Vec<Row> = steps
            .iter()
            .flat_map(|step| scene.step(step, columns, room))
            .collect();
        if all.len() <= room {
            return all;
        }
    }
    // Of a fan-out only a part, so that one step does not hide the others.
    let of_one = (room / 3).max(1);
    let mut order: Vec<usize> = (0..steps.len()).collect();
    // Of what is over the newest comes first, of all else the plan's order holds.
    order.sort_by_key(|place| {
        let step = &steps[*place];
        let newest = step.ended_at.map_or(0, |at| -at.unix_ms());
        (rank(step.state), newest)
    });
    let mut chosen: BTreeMap<usize, Vec<Row>> = BTreeMap::new();
    let mut used = 0;
    for place in order {
        let mut rows = scene.step(&steps[place], columns, of_one);
        let places: BTreeSet<usize> = chosen.keys().copied().chain([place]).collect();
        let left = room.saturating_sub(used + gaps(&places, steps.len()).len());
        if left == 0 {
            // What is less important does not come before what had no room.
            break;
        }
        if rows.len() > left {
            // The step's own row says the most.
            rows.truncate(1);
        }
        used += rows.len();
        chosen.insert(place, rows);
    }
    let places: BTreeSet<usize> = chosen.keys().copied().collect();
    let gaps = gaps(&places, steps.len());
    let mut shown = Vec::new();
    for (from, to) in &gaps {
        let before = chosen.range(..*from).map(|(place, _)| *place).collect::<Vec<_>>();
        before
            .iter()
            .filter_map(|place| chosen.remove(place))
            .for_each(|rows| shown.extend(rows));
        shown.push(counted(&steps[*from..*to], 2, "step", |step: &LiveStep| {
            step.state
        }));
    }
    shown.extend(chosen.into_values().flatten());
    shown
}

/// The runs of places that are not chosen, each from and to, the latter excluded.
fn gaps(chosen: &BTreeSet<usize>, all: usize) -> Vec<(usize, usize)> {
    let ends = chosen.iter().copied().chain([all]);
    let mut next = 0;
    let mut gaps = Vec::new();
    for place in ends {
        if place > next {
            gaps.push((next, place));
        }
        next = place + 1;
    }
    gaps
}

/// A step's items, in about so many rows.
pub(super) fn items(scene: &Scene<'_>, step: &LiveStep, columns: usize, most: usize) -> Vec<Row> {
    let mut order: Vec<&LiveItem> = step.items.iter().collect();
    if order.len() > most {
        order.sort_by_key(|item| rank(item.state));
    }
    let mut rows = Vec::new();
    let mut shown = 0;
    for item in &order {
        let of_item = scene.item(item, columns);
        // The row that counts the others needs room too, unless this is the last item.
        let rest = usize::from(shown + 1 < order.len());
        if rows.len() + of_item.len() + rest > most {
            break;
        }
        rows.extend(of_item);
        shown += 1;
    }
    let wait = scene.wait(step);
    if shown < order.len() {
        rows.push(counted(&order[shown..], 4, "item", |item: &&LiveItem| item.state));
    }
    rows.extend(wait);
    rows
}

/// `… 230 steps: 200 succeeded, 30 waiting`.
fn counted<T>(left_out: &[T], indent: usize, what: &str, state: impl Fn(&T) -> LiveState) -> Row {
    let mut words: BTreeMap<(u8, &str), usize> = BTreeMap::new();
    for one in left_out {
        let state = state(one);
        *words.entry((rank(state), state.word())).or_default() += 1;
    }
    let words: Vec<String> = words
        .iter()
        .map(|((_, word), count)| format!("{count} {word}"))
        .collect();
    let many = if left_out.len() == 1 { "" } else { "s" };
    let text = format!("… {} {what}{many}: {}", left_out.len(), words.join(", "));
    Row::new(indent).put(Paint::Faint, &text)
}
