//! A schedule on real processes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use libc::{SIGCONT, SIGKILL, SIGSTOP};
use serde_json::Value;

use super::{Deed, Schedule};
use crate::{
    Stack, Witness,
    ledger::Row,
    process::{self, signal},
    proxy::{Admit, Proxy, Rules},
    scene::{cleaned, history},
    wait,
};

/// Within this a run ends once everything is mended: agents try again after at most 5 s, leases are not at stake.
const LIVENESS: Duration = Duration::from_secs(60);

/// What became of it.
#[derive(Debug)]
pub struct Outcome {
    /// Figures of its run.
    pub row: Row,
    /// What must not be; empty is well.
    pub wrong: Vec<String>,
    /// From the mending to the run's end.
    pub settled: Duration,
}

/// Plays it and judges; what fails on the way is an outcome, too.
#[must_use]
pub fn play(schedule: &Schedule) -> Outcome {
    let played = catch_unwind(AssertUnwindSafe(|| Stage::set(schedule).play()));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Outcome {
            row: Row::default(),
            wrong: vec![text.unwrap_or("it panicked").to_owned()],
            settled: LIVENESS,
        }
    })
}

/// Everything that plays.
struct Stage<'a> {
    schedule: &'a Schedule,
    stack: Stack,
    proxies: Vec<Proxy>,
    witness: Witness,
    /// The shims that were killed.
    killed: usize,
    /// Whether a cancel was.
    acknowledged: bool,
}

fn name(agent: usize) -> String {
    format!("agent-{agent}")
}

impl<'a> Stage<'a> {
    fn set(schedule: &'a Schedule) -> Self {
        let mut stack = Stack::server();
        let proxies: Vec<Proxy> = (0..schedule.agents).map(|_| Proxy::to(stack.address())).collect();
        for (agent, proxy) in proxies.iter().enumerate() {
            stack.agent_through(&proxy.url(), &name(agent), &[], &[]);
        }
        Self {
            schedule,
            stack,
            proxies,
            witness: Witness::start(),
            killed: 0,
            acknowledged: false,
        }
    }

    fn play(mut self) -> Outcome {
        let scene = &self.schedule.scene;
        let run = scene.start(&mut self.stack, &self.witness, "schedule", |_| ());
        let begun = Instant::now();
        for (at, deed) in &self.schedule.script {
            thread::sleep(at.saturating_sub(begun.elapsed()));
            self.does(*deed, &run);
        }
        let mended = Instant::now();
        self.mend();
        let view = wait::until(&format!("{run} to end"), LIVENESS, || {
            // A place that was armed may be reached only now.
            self.revive();
            let view = self.stack.json(&["show", &run, "-o", "json"])?;
            (!view["outcome"].is_null()).then_some(view)
        });
        let settled = mended.elapsed();
        for place in super::script::PLACES {
            self.stack.disarm(place);
        }
        self.revive();
        let judgement = scene.judge(&self.stack, &self.witness, &run);
        let (row, mut wrong) = (judgement.row, judgement.wrong);
        self.went_as_it_must(&run, &view, &row, &mut wrong);
        cleaned(&self.stack);
        self.says_the_same_after_a_restart(&run, &mut wrong);
        if !wrong.is_empty() {
            eprintln!("{}", self.stack.said());
        }
        Outcome { row, wrong, settled }
    }

    fn does(&mut self, deed: Deed, run: &str) {
        let rules = |agent: usize, change: fn(&mut Rules)| self.proxies[agent].set(change);
        match deed {
            Deed::KillServer => self.stack.server_process().kill9(),
            Deed::KillAgent(agent) => self.stack.agent_process(&name(agent)).kill9(),
            Deed::StartServer => self.revive_server(),
            Deed::StartAgent(agent) => self.revive_agent(agent),
            Deed::KillShim => {
                if let Some(pid) = process::shims(self.stack.dir()).first() {
                    signal(*pid, SIGKILL);
                    self.killed += 1;
                }
            }
            Deed::FreezeServer => self.signal_server(SIGSTOP),
            Deed::ThawServer => self.signal_server(SIGCONT),
            Deed::FreezeAgent(agent) => self.signal_agent(agent, SIGSTOP),
            Deed::ThawAgent(agent) => self.signal_agent(agent, SIGCONT),
            Deed::Part(agent) => rules(agent, Rules::part),
            Deed::StallUp(agent) => rules(agent, |rules| rules.up.stalls = true),
            Deed::StallDown(agent) => rules(agent, |rules| rules.down.stalls = true),
            Deed::Cut(agent) => self.proxies[agent].cut(),
            Deed::CutAfter(agent, bytes) => self.proxies[agent].set(|rules| rules.up.cut_after = Some(bytes)),
            Deed::Twice(agent) => rules(agent, |rules| rules.admit = Admit::Twice),
            Deed::Refuse(agent) => rules(agent, |rules| rules.admit = Admit::Refuse),
            Deed::Heal(agent) => self.proxies[agent].heal(),
            Deed::Arm(place) => self.stack.arm(place, "kill"),
            Deed::Cancel => self.acknowledged |= self.cancel(run),
        }
    }

    /// Whether a cancel was taken: a server that is away hears of none, and a run that has ended needs none.
    fn cancel(&self, run: &str) -> bool {
        let taken = self
            .stack
            .cli(&["cancel", run, "--timeout", "2s"])
            .status
            .success();
        let view = self.stack.json(&["show", run, "-o", "json", "--timeout", "2s"]);
        taken && view.is_some_and(|view| view["outcome"].is_null() || view["cancel_requested"] == true)
    }

    fn signal_server(&mut self, number: i32) {
        if self.stack.server_process().ended().is_none() {
            signal(self.stack.server_process().pid(), number);
        }
    }

    fn signal_agent(&mut self, agent: usize, number: i32) {
        let process = self.stack.agent_process(&name(agent));
        if process.ended().is_none() {
            signal(process.pid(), number);
        }
    }

    /// Everything runs, and every link is a cable.
    fn mend(&mut self) {
        self.proxies.iter().for_each(Proxy::heal);
        self.signal_server(SIGCONT);
        for agent in 0..self.schedule.agents {
            self.signal_agent(agent, SIGCONT);
        }
        self.revive();
    }

    fn revive(&mut self) {
        self.revive_server();
        (0..self.schedule.agents).for_each(|agent| self.revive_agent(agent));
    }

    fn revive_server(&mut self) {
        if self.stack.server_process().ended().is_some() {
            self.stack.spawn_server();
        }
    }

    fn revive_agent(&mut self, agent: usize) {
        if self.stack.agent_process(&name(agent)).ended().is_some() {
            self.stack.spawn_agent(&name(agent));
        }
    }

    /// Without a cancel and a killed shim there is one right end, whatever else went wrong.
    fn went_as_it_must(&self, run: &str, view: &Value, row: &Row, wrong: &mut Vec<String>) {
        if row.unknown > self.killed {
            wrong.push(format!(
                "{} attempts in doubt, and {} shims were killed",
                row.unknown, self.killed
            ));
        }
        let history = history(&self.stack, run);
        let cancel = history
            .iter()
            .position(|event| event["kind"] == "run.cancel_requested");
        if self.acknowledged && cancel.is_none() {
            wrong.push("a cancel was acknowledged and is in no event".to_owned());
        }
        let after = cancel.map_or(&history[..0], |at| &history[at..]);
        if after.iter().any(|event| event["kind"] == "attempt.offered") {
            wrong.push("something was offered after the cancel".to_owned());
        }
        if cancel.is_some() || self.killed > 0 {
            return;
        }
        let steps = &self.schedule.scene.steps;
        let mut well: Vec<&str> = Vec::new();
        for step in steps {
            let runs = step.needs.iter().all(|need| well.contains(&need.as_str()));
            let begin = format!("start {run} {} ", step.key);
            let starts = self
                .witness
                .lines()
                .iter()
                .filter(|line| line.starts_with(&begin))
                .count();
            if starts != usize::from(runs) {
                wrong.push(format!("{} ran {starts} times", step.key));
            }
            if runs && step.code == 0 {
                well.push(&step.key);
            }
        }
        let outcome = if well.len() == steps.len() {
            "succeeded"
        } else {
            "failed"
        };
        if view["outcome"] != outcome {
            wrong.push(format!(
                "the run {}, and should have {outcome}: {}",
                view["outcome"], view["reasons"]
            ));
        }
    }

    /// What is told is what is stored.
    fn says_the_same_after_a_restart(&mut self, run: &str, wrong: &mut Vec<String>) {
        let before = self.stack.show(run);
        self.stack.server_process().kill9();
        self.stack.start_server();
        let after = self.stack.show(run);
        if before != after {
            wrong.push(format!("before the restart {before:#}, after it {after:#}"));
        }
    }
}
