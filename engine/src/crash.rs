//! Agents whose process ended again and again as it was about to start an attempt. The work goes to one other agent,
//! never round the whole fleet.

use std::collections::BTreeMap;

use types::{AgentId, limits};

/// What is known of one step's item, over all its attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crashes(BTreeMap<AgentId, Crashed>);

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Crashed {
    name: String,
    times: u32,
}

impl Crashes {
    pub(crate) fn note(&mut self, agent: AgentId, name: String, times: u32) {
        if times > 0 {
            let crashed = self.0.entry(agent).or_insert(Crashed { name, times: 0 });
            crashed.times = crashed.times.saturating_add(times);
        }
    }

    /// How often the agent ended over it, when that is too often to be given it again.
    #[must_use]
    pub fn too_often(&self, agent: &AgentId) -> Option<u32> {
        let times = self.0.get(agent)?.times;
        (times >= limits::AGENT_CRASHES).then_some(times)
    }

    /// The names of those that ended over it, when they are so many that this one is not given it beside them: the freest is
    /// another one each time, and it would go round the whole fleet before one of them had it too often.
    #[must_use]
    pub fn closed_to(&self, agent: &AgentId) -> Option<String> {
        if self.0.len() < limits::CRASHED_AGENTS || self.0.contains_key(agent) {
            return None;
        }
        let names: Vec<&str> = self.0.values().map(|agent| agent.name.as_str()).collect();
        Some(names.join(" and "))
    }

    /// Why no agent at all is given it any more.
    pub(crate) fn verdict(&self) -> Option<String> {
        let over = || {
            self.0
                .values()
                .filter(|agent| agent.times >= limits::AGENT_CRASHES)
        };
        if over().count() < limits::CRASHED_AGENTS {
            return None;
        }
        let each: Vec<String> = over()
            .map(|agent| format!("{} {} times", agent.name, agent.times))
            .collect();
        Some(format!(
            "agent_crash: agents ended as they were about to start it ({}); it was not started. Their logs say why; \
             once that is mended, run it again",
            each.join(", ")
        ))
    }
}
