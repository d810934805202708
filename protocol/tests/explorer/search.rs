//! Breadth-first search over all worlds, and liveness by walking back from the clean ones.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::{Agent, Checked, Config, World};
use crate::moves::Move;

pub(crate) struct Violation {
    pub(crate) what: String,
    /// The shortest way there.
    pub(crate) trace: Vec<String>,
}

pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) edges: usize,
    /// Worlds where all is done and clean.
    pub(crate) clean: usize,
    /// Worlds from which no way leads to a clean one; only counted where the search came to its end.
    pub(crate) stuck: usize,
    pub(crate) complete: bool,
    pub(crate) violation: Option<Violation>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            states,
            edges,
            clean,
            stuck,
            ..
        } = self;
        write!(f, "{states} states, {edges} edges, {clean} clean, {stuck} stuck")?;
        if let Some(Violation { what, trace }) = &self.violation {
            write!(f, "; {what}, in {} steps:", trace.len())?;
            for (n, step) in trace.iter().enumerate() {
                write!(f, "\n  {:>2}. {step}", n + 1)?;
            }
        }
        Ok(())
    }
}

/// A 64-bit print of a world stands for it: among 10^6 worlds two agree with a chance below 10^-7.
fn print(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// A move with all that its agent then does, up to a crash between any two of its actions, at most one.
#[derive(Clone, Copy)]
struct Edge {
    /// Which of the world's moves; none where an agent goes on after a crash.
    what: Option<u8>,
    /// The crash, and after how many actions.
    crash: Option<(u8, Move)>,
}

impl Edge {
    fn play(self, config: &Config, world: &mut World, mut tell: impl FnMut(String)) -> Checked {
        if let Some(what) = self.what {
            let what = world.moves(config)[usize::from(what)];
            tell(told(world, what));
            world.make(config, what)?;
        }
        let limit = self.crash.map_or(u8::MAX, |(after, _)| after);
        for _ in 0..limit {
            let Some(agent) = acting(world) else { break };
            tell(told(world, Move::Act(agent)));
            world.make(config, Move::Act(agent))?;
        }
        if let Some((_, crash)) = self.crash {
            tell(told(world, crash));
            world.make(config, crash)?;
        }
        Ok(())
    }
}

fn acting(world: &World) -> Option<Agent> {
    (0..)
        .zip(&world.agents)
        .find(|(_, side)| !side.pending.is_empty())
        .map(|(agent, _)| agent)
}

/// Every way on from a world, with where it leads.
fn ways(config: &Config, world: &World) -> Vec<(Edge, Result<World, String>)> {
    let starts: Vec<Option<(u8, Move)>> = match acting(world) {
        Some(_) => vec![None],
        None => (0u8..).zip(world.moves(config)).map(Some).collect(),
    };
    let mut ways = Vec::new();
    for start in starts {
        let what = start.map(|(at, _)| at);
        let mut next = world.clone();
        let mut made = start.map_or(Ok(()), |(_, what)| next.make(config, what));
        let mut crashing = Vec::new();
        let mut after = 0;
        while let (Ok(()), Some(agent)) = (&made, acting(&next)) {
            let crashes = [
                (next.crashes, Move::Crash(agent)),
                (next.reboots, Move::Reboot(agent)),
            ];
            for (_, crash) in crashes.into_iter().filter(|(left, _)| *left > 0) {
                let mut crashed = next.clone();
                let made = crashed.make(config, crash);
                crashing.push((
                    Edge {
                        what,
                        crash: Some((after, crash)),
                    },
                    made.map(|()| crashed),
                ));
            }
            made = next.act(config, agent);
            after += 1;
        }
        ways.push((Edge { what, crash: None }, made.map(|()| next)));
        ways.append(&mut crashing);
    }
    ways
}

struct Search {
    seen: HashMap<u64, u32>,
    /// By state: the state it was first reached from, and how.
    parents: Vec<(u32, Edge)>,
    queue: VecDeque<(u32, World)>,
    edges: Vec<(u32, u32)>,
    clean: Vec<u32>,
}

impl Search {
    fn visit(&mut self, config: &Config, world: World, parent: (u32, Edge)) -> u32 {
        let world = world.canonical(config);
        let next = u32::try_from(self.parents.len()).unwrap();
        let id = *self.seen.entry(print(&world)).or_insert(next);
        if id == next {
            self.parents.push(parent);
            if world.is_clean(config) {
                self.clean.push(id);
            }
            self.queue.push_back((id, world));
        }
        id
    }

    /// Plays the way to a state again, and one move on, for people.
    fn trace(&self, config: &Config, last: (u32, Edge)) -> Vec<String> {
        let mut path = vec![last.1];
        let mut at = last.0;
        while at != 0 {
            path.push(self.parents[at as usize].1);
            at = self.parents[at as usize].0;
        }
        let mut world = World::new(config).canonical(config);
        let mut lines = Vec::new();
        for edge in path.into_iter().rev() {
            if edge.play(config, &mut world, |line| lines.push(line)).is_err() {
                break;
            }
            world = world.canonical(config);
        }
        lines
    }

    /// States from which no way leads to a clean one.
    fn stuck(&self) -> usize {
        let mut back: Vec<Vec<u32>> = vec![Vec::new(); self.parents.len()];
        for (from, to) in &self.edges {
            back[*to as usize].push(*from);
        }
        let mut reached = vec![false; self.parents.len()];
        let mut todo = self.clean.clone();
        while let Some(state) = todo.pop() {
            if !std::mem::replace(&mut reached[state as usize], true) {
                todo.extend(&back[state as usize]);
            }
        }
        reached.iter().filter(|reached| !**reached).count()
    }
}

/// A move with what it is about.
pub(crate) fn told(world: &World, what: Move) -> String {
    match what {
        Move::Act(agent) => format!(
            "agent {agent} does {:?}",
            world.agents[usize::from(agent)].pending[0]
        ),
        Move::Deliver(at) => format!("arrives: {:?}", world.net[at]),
        Move::Duplicate(at) => format!("arrives, and once more later: {:?}", world.net[at]),
        Move::Drop(at) => format!("is lost: {:?}", world.net[at]),
        other => format!("{other:?}"),
    }
}

/// Explores at most `limit` states.
pub(crate) fn explore(config: &Config, limit: usize) -> Found {
    let mut search = Search {
        seen: HashMap::new(),
        parents: Vec::new(),
        queue: VecDeque::new(),
        edges: Vec::new(),
        clean: Vec::new(),
    };
    search.visit(
        config,
        World::new(config),
        (
            0,
            Edge {
                what: None,
                crash: None,
            },
        ),
    );
    let mut violation = None;
    'search: while let Some((id, world)) = search.queue.pop_front() {
        if search.parents.len() >= limit {
            search.queue.push_back((id, world));
            break;
        }
        for (edge, next) in ways(config, &world) {
            let next = match next {
                Ok(next) => next,
                Err(what) => {
                    violation = Some(Violation {
                        what,
                        trace: search.trace(config, (id, edge)),
                    });
                    break 'search;
                }
            };
            let to = search.visit(config, next, (id, edge));
            search.edges.push((id, to));
        }
    }
    let complete = violation.is_none() && search.queue.is_empty();
    Found {
        states: search.parents.len(),
        edges: search.edges.len(),
        clean: search.clean.len(),
        stuck: if complete { search.stuck() } else { 0 },
        complete,
        violation,
    }
}
