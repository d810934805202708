//! The graph of steps. All linear in steps and edges; nothing recurses.

use std::collections::HashMap;

use crate::Plan;

/// Steps in an order in which each comes after those it waits for, ties in the given order; those in or behind a
/// cycle are missing. `waits[i]` are the steps that `i` waits for.
pub(crate) fn order(waits: &[Vec<usize>]) -> Vec<usize> {
    let mut left: Vec<usize> = waits.iter().map(Vec::len).collect();
    let mut behind = vec![Vec::new(); waits.len()];
    for (step, needs) in waits.iter().enumerate() {
        for need in needs {
            behind[*need].push(step);
        }
    }
    let mut order: Vec<usize> = (0..waits.len()).filter(|step| left[*step] == 0).collect();
    let mut next = 0;
    while let Some(done) = order.get(next).copied() {
        next += 1;
        for step in &behind[done] {
            left[*step] -= 1;
            if left[*step] == 0 {
                order.push(*step);
            }
        }
    }
    order
}

/// One step of each cycle that can be told apart, as the cycle's path from that step to itself.
pub(crate) fn cycles(waits: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut state = vec![State::Open; waits.len()];
    for step in order(waits) {
        state[step] = State::Done;
    }
    let mut found = Vec::new();
    for start in 0..waits.len() {
        // Each open step has an open need, so a walk along first open needs must meet itself or a walked step.
        let mut path = Vec::new();
        let mut next = Some(start);
        while let Some(at) = next.filter(|at| state[*at] == State::Open) {
            state[at] = State::Walking;
            path.push(at);
            next = waits[at].iter().copied().find(|need| state[*need] != State::Done);
        }
        if let Some(begin) = next.and_then(|at| path.iter().position(|step| *step == at)) {
            found.push(path[begin..].to_vec());
        }
        for step in path {
            state[step] = State::Done;
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Walking,
    Done,
}

impl Plan {
    fn waits(&self) -> Vec<Vec<usize>> {
        let index: HashMap<&str, usize> = self
            .steps
            .iter()
            .enumerate()
            .map(|(i, s)| (s.key.as_str(), i))
            .collect();
        self.steps
            .iter()
            .map(|step| {
                let all = step.before();
                all.filter_map(|key| index.get(key.as_str()).copied()).collect()
            })
            .collect()
    }

    /// The steps in an order in which each comes after those it needs or follows.
    #[must_use]
    pub fn order(&self) -> Vec<&str> {
        order(&self.waits())
            .into_iter()
            .map(|i| self.steps[i].key.as_str())
            .collect()
    }

    /// The steps by level: those of a level wait only for those of earlier ones. Linear in steps and edges.
    #[must_use]
    pub fn levels(&self) -> Vec<Vec<&str>> {
        let waits = self.waits();
        let mut level = vec![0; waits.len()];
        let mut levels: Vec<Vec<&str>> = Vec::new();
        for step in order(&waits) {
            level[step] = waits[step].iter().map(|need| level[*need] + 1).max().unwrap_or(0);
            if levels.len() <= level[step] {
                levels.resize(level[step] + 1, Vec::new());
            }
            levels[level[step]].push(&self.steps[step].key);
        }
        levels
    }
}

#[cfg(test)]
mod tests {
    use super::{cycles, order};

    #[test]
    fn orders_and_finds_each_cycle_once() {
        let waits = vec![
            vec![],
            vec![0],
            vec![0, 1],
            vec![4],
            vec![5],
            vec![3],
            vec![3],
            vec![7],
        ];
        assert_eq!(order(&waits), [0, 1, 2]);
        assert_eq!(cycles(&waits), [vec![3, 4, 5], vec![7]]);
    }

    #[test]
    fn a_long_chain_is_quick_and_does_not_recurse() {
        let waits: Vec<Vec<usize>> = (0..100_000)
            .map(|i| if i == 99_999 { vec![0] } else { vec![i + 1] })
            .collect();
        assert!(order(&waits).is_empty());
        assert_eq!(cycles(&waits)[0].len(), 100_000);
    }
}
