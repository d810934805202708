//! The script of a seed.

use std::{fmt, time::Duration};

use crate::{
    random::Random,
    scene::{Scene, Step},
};

/// When the first fault comes at the latest, and when the last one is mended: milliseconds after the start.
const SPAN_MS: u64 = 900;
/// Places of the product where a process may be killed instead of at a time.
pub(super) const PLACES: [&str; 12] = [
    "assign.recv",
    "create.pre",
    "create.spawned",
    "create.post",
    "start.post",
    "exit.post",
    "spool.post",
    "send.post",
    "ack.post",
    "grant.commit",
    "result.commit",
    "advance.pre",
];

/// One thing that is done; agents and their proxies have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// SIGKILL; started again when everything is mended, or by `Start`.
    KillServer,
    /// It is started when it does not run.
    StartServer,
    /// SIGKILL.
    KillAgent(usize),
    /// It is started when it does not run.
    StartAgent(usize),
    /// SIGKILL for one shim of an attempt, when there is one.
    KillShim,
    /// SIGSTOP.
    FreezeServer,
    /// SIGCONT.
    ThawServer,
    /// SIGSTOP.
    FreezeAgent(usize),
    /// SIGCONT.
    ThawAgent(usize),
    /// Nothing arrives either way, and nobody is told.
    Part(usize),
    /// Nothing arrives at the server.
    StallUp(usize),
    /// Nothing arrives at the agent.
    StallDown(usize),
    /// Every connection is reset.
    Cut(usize),
    /// Connections are reset after so many bytes to the server.
    CutAfter(usize, u64),
    /// New connections arrive twice.
    Twice(usize),
    /// New connections are reset.
    Refuse(usize),
    /// A cable again.
    Heal(usize),
    /// Whoever comes to this place first dies there.
    Arm(&'static str),
    /// A person cancels the run.
    Cancel,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// What it was made from.
    pub seed: u64,
    /// Agents.
    pub agents: usize,
    /// The run.
    pub scene: Scene,
    /// What is done how long after the start, in order.
    pub script: Vec<(Duration, Deed)>,
}

impl Schedule {
    /// The schedule of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let agents = usize::try_from(1 + random.below(2)).expect("1 or 2");
        let scene = scene(&mut random);
        let mut script = Vec::new();
        for _ in 0..=1 + random.below(3) {
            fault(&mut random, agents, &mut script);
        }
        if random.below(6) == 0 {
            script.push((at(random.below(SPAN_MS)), Deed::Cancel));
        }
        script.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            agents,
            scene,
            script,
        }
    }

    /// Whether it does this.
    #[must_use]
    pub fn has(&self, is: impl Fn(&Deed) -> bool) -> bool {
        self.script.iter().any(|(_, deed)| is(deed))
    }
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One to five steps, each after some of those before it.
fn scene(random: &mut Random) -> Scene {
    let count = 1 + random.below(5);
    let steps = (0..count).map(|n| {
        let needs = (0..n)
            .filter(|_| random.below(3) == 0)
            .map(|need| format!("s{need}"));
        Step {
            key: format!("s{n}"),
            needs: needs.collect(),
            lines: u32::try_from(random.below(12)).expect("small"),
            pause_ms: u32::try_from(random.below(40)).expect("small"),
            code: i64::from(random.below(8) == 0) * 7,
        }
    });
    Scene::of(steps.collect())
}

/// One fault, and its end unless that is left to the mending.
fn fault(random: &mut Random, agents: usize, script: &mut Vec<(Duration, Deed)>) {
    let begin = random.below(SPAN_MS * 2 / 3);
    let end = begin + random.below(SPAN_MS / 3);
    let who = usize::try_from(random.below(agents as u64)).expect("a number of an agent");
    let bytes = random.below(4_000);
    let (first, then) = match random.below(14) {
        0 | 1 => (Deed::KillServer, Some(Deed::StartServer)),
        2 | 3 => (Deed::KillAgent(who), Some(Deed::StartAgent(who))),
        4 => (Deed::KillShim, None),
        5 => (Deed::FreezeServer, Some(Deed::ThawServer)),
        6 => (Deed::FreezeAgent(who), Some(Deed::ThawAgent(who))),
        7 => (Deed::Part(who), Some(Deed::Heal(who))),
        8 => (Deed::StallUp(who), Some(Deed::Heal(who))),
        9 => (Deed::StallDown(who), Some(Deed::Heal(who))),
        10 => (Deed::Cut(who), None),
        11 => (Deed::CutAfter(who, bytes), Some(Deed::Heal(who))),
        12 => (
            *random.one_of(&[Deed::Twice(who), Deed::Refuse(who)]),
            Some(Deed::Heal(who)),
        ),
        _ => (Deed::Arm(random.one_of::<&str>(&PLACES)), None),
    };
    script.push((at(begin), first));
    // New connections only come when old ones end.
    if matches!(first, Deed::Twice(_) | Deed::Refuse(_) | Deed::CutAfter(..)) {
        script.push((at(begin), Deed::Cut(who)));
    }
    script.extend(then.map(|deed| (at(end), deed)));
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {} agents", self.seed, self.agents)?;
        for step in &self.scene.steps {
            let Step {
                key,
                needs,
                lines,
                pause_ms,
                code,
            } = step;
            writeln!(
                f,
                "  {key} after {needs:?}: {lines} lines, {pause_ms} ms each, ends with {code}"
            )?;
        }
        for (at, deed) in &self.script {
            writeln!(f, "  {:>4} ms  {deed:?}", at.as_millis())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_script_and_another_seed_another() {
        assert_eq!(Schedule::of(7).to_string(), Schedule::of(7).to_string());
        assert_ne!(Schedule::of(7).to_string(), Schedule::of(8).to_string());
    }

    #[test]
    fn everything_that_can_happen_happens() {
        let all: Vec<_> = (0..500).map(Schedule::of).collect();
        let happens = |is: fn(&Deed) -> bool| all.iter().any(|one| one.has(is));
        assert!(happens(|deed| matches!(deed, Deed::KillServer)));
        assert!(happens(|deed| matches!(deed, Deed::KillAgent(1))));
        assert!(happens(|deed| matches!(deed, Deed::KillShim)));
        assert!(happens(|deed| matches!(deed, Deed::FreezeServer)));
        assert!(happens(|deed| matches!(deed, Deed::FreezeAgent(_))));
        assert!(happens(|deed| matches!(deed, Deed::Part(_))));
        assert!(happens(|deed| matches!(deed, Deed::StallUp(_))));
        assert!(happens(|deed| matches!(deed, Deed::StallDown(_))));
        assert!(happens(|deed| matches!(deed, Deed::CutAfter(..))));
        assert!(happens(|deed| matches!(deed, Deed::Twice(_))));
        assert!(happens(|deed| matches!(deed, Deed::Refuse(_))));
        assert!(happens(|deed| matches!(deed, Deed::Arm(_))));
        assert!(happens(|deed| matches!(deed, Deed::Cancel)));
    }
}
