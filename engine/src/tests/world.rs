//! A world of agents, people and clocks that does to a run whatever a schedule says, and watches what may never be.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{Held, Resolution, server::Send};
use types::{FailureKind, LeaseToken, Placement, RunOutcome, StepOutcome, Timestamp, Verdict};
use workflow::{FanOut, Plan, PlanStep};

use super::{
    bench::{agent, failed, first, report, session, stopped, succeeded, token},
    docs,
};
use crate::{
    At, Command, Context, Decision, Event, Phase, ReportBody, Run, decide, history, placement::Snapshot,
    start, tidy,
};

/// A token that was given out once.
#[derive(Clone)]
struct Given {
    at: At,
    token: LeaseToken,
    agent: u64,
}

/// What the history may hold, kept apart from the engine's own state.
#[derive(Default)]
struct Watch {
    over: BTreeSet<At>,
    offers: BTreeMap<LeaseToken, u32>,
    starts: BTreeMap<LeaseToken, u32>,
    steps: BTreeMap<String, (StepOutcome, bool)>,
    items: BTreeMap<(String, u32), StepOutcome>,
    good: BTreeMap<(String, Option<u32>), StepOutcome>,
    reruns: BTreeMap<(String, Option<u32>), u32>,
    cancelled: Option<Vec<String>>,
    ended: Option<RunOutcome>,
}

/// So long the server hears nobody, now and then.
const STOOD_STILL: u64 = 10_000_000;

pub(super) struct World {
    pub(super) run: Run,
    folded: Run,
    pub(super) plan: Plan,
    pub(super) now: Timestamp,
    heard_since: Timestamp,
    given: Vec<Given>,
    sessions: u64,
    watch: Watch,
    choices: Vec<u16>,
    chosen: usize,
}

impl World {
    pub(super) fn new(plan: Plan, choices: Vec<u16>) -> Self {
        let now = super::bench::T0;
        let context = Context { now, entropy: 3 };
        let (run, decision) = start(first(plan.clone()), context);
        let Event::RunStarted(started) = &decision.events[0] else {
            panic!("a run begins with its start")
        };
        let mut world = Self {
            folded: Run::new(started, now),
            run,
            plan,
            now,
            heard_since: now,
            given: Vec::new(),
            sessions: 10,
            watch: Watch::default(),
            choices,
            chosen: 0,
        };
        world.took(&decision.events[1..], &decision);
        world
    }

    fn choose(&mut self, of: usize) -> usize {
        let choice = self.choices.get(self.chosen).copied().unwrap_or(0);
        self.chosen += 1;
        usize::from(choice) % of.max(1)
    }

    /// Plays the schedule to its end.
    pub(super) fn play(&mut self) {
        while self.chosen < self.choices.len() {
            self.one();
        }
    }

    fn one(&mut self) {
        match self.choose(24) {
            0..=4 => self.offer_some(),
            5..=8 => self.progress(),
            9..=12 => self.finish(),
            13 => self.give_back(),
            14 => self.lose(),
            15 | 16 => self.stray(),
            17 => self.hello(),
            18..=20 => self.time(),
            21 => self.verdict(),
            22 => {
                if self.choose(4) == 0 {
                    self.tell(Command::Cancel {
                        by: "ann".to_owned(),
                        reason: String::new(),
                    });
                }
            }
            _ => self.wrong_address(),
        }
    }

    fn offer_some(&mut self) {
        let queued: Vec<At> = self.run.queued().map(|(at, _)| at).collect();
        if queued.is_empty() {
            return;
        }
        let at = queued[self.choose(queued.len())].clone();
        let to = 1 + self.choose(2) as u64;
        self.offer(at, to);
    }

    fn offer(&mut self, at: At, to: u64) {
        let token = token(1_000 + self.given.len() as u64);
        let placement = Placement {
            agent: agent(to),
            agent_name: format!("agent-{to}"),
            session: session(self.sessions),
            token: token.clone(),
        };
        let given = Given {
            at: at.clone(),
            token,
            agent: to,
        };
        self.given.push(given);
        self.tell(Command::Offer { at, placement });
    }

    /// One that is out or in doubt, with its token.
    fn held(&mut self) -> Option<Given> {
        let live: Vec<LeaseToken> = self
            .run
            .live()
            .filter_map(|(_, attempt)| Some(attempt.life.lease()?.token.clone()))
            .collect();
        if live.is_empty() {
            return None;
        }
        let wanted = live[self.choose(live.len())].clone();
        self.given.iter().find(|given| given.token == wanted).cloned()
    }

    fn report(&mut self, given: Given, from: u64, body: ReportBody) {
        self.tell(Command::Report {
            at: given.at,
            token: given.token,
            from: agent(from),
            body,
        });
    }

    fn progress(&mut self) {
        let Some(given) = self.held() else { return };
        let body = if self.choose(2) == 0 {
            ReportBody::Accepted
        } else {
            ReportBody::Started
        };
        let from = given.agent;
        self.report(given, from, body);
    }

    fn ending(&mut self) -> ReportBody {
        match self.choose(8) {
            0..=2 => succeeded(),
            3 => ReportBody::Finished(Box::new(report(Verdict::Degraded { reasons: Vec::new() }))),
            4 => failed(FailureKind::Exit),
            5 => failed(FailureKind::Timeout),
            6 => failed(FailureKind::Action),
            _ => stopped(self.choose(2) == 0),
        }
    }

    fn finish(&mut self) {
        let Some(given) = self.held() else { return };
        let body = self.ending();
        let from = given.agent;
        self.report(given, from, body);
    }

    fn give_back(&mut self) {
        let Some(given) = self.held() else { return };
        let body = if self.choose(2) == 0 {
            ReportBody::Declined
        } else {
            ReportBody::Released { crashes: 0 }
        };
        let from = given.agent;
        self.report(given, from, body);
    }

    fn lose(&mut self) {
        let Some(given) = self.held() else { return };
        if self.choose(2) == 0 {
            let from = given.agent;
            self.report(given, from, ReportBody::Lost);
        } else {
            self.tell(Command::Expired {
                at: given.at,
                token: given.token,
            });
        }
    }

    /// Late, doubled or foreign: any token that ever was, from anyone, with anything.
    fn stray(&mut self) {
        if self.given.is_empty() {
            return;
        }
        let which = self.choose(self.given.len());
        let given = self.given[which].clone();
        let from = 1 + self.choose(3) as u64;
        match self.choose(7) {
            0 => self.report(given, from, ReportBody::Accepted),
            1 => self.report(given, from, ReportBody::Started),
            2 => self.report(given, from, ReportBody::Declined),
            3 => self.report(given, from, ReportBody::Released { crashes: 0 }),
            4 => self.report(given, from, ReportBody::Lost),
            5 => self.tell(Command::Expired {
                at: given.at,
                token: given.token,
            }),
            _ => {
                let body = self.ending();
                self.report(given, from, body);
            }
        }
    }

    fn hello(&mut self) {
        let of = 1 + self.choose(2) as u64;
        self.sessions += 1;
        let mut held = BTreeMap::new();
        for given in self.given.clone().iter().filter(|given| given.agent == of) {
            let says = match self.choose(7) {
                0 => Held::Accepted,
                1 => Held::Starting,
                2 | 3 => Held::Running,
                4 => Held::Finished,
                5 => Held::Done,
                _ => continue,
            };
            held.insert(given.token.clone(), says);
        }
        let session = session(self.sessions);
        self.tell(Command::Inventory {
            agent: agent(of),
            session,
            held: &held,
            crashed: false,
        });
    }

    fn time(&mut self) {
        let jump = match self.choose(6) {
            0 => 1,
            1 => 100,
            2 => 1_500,
            3 => 40_000,
            4 => STOOD_STILL,
            _ => self
                .run
                .next_deadline(self.heard_since)
                .map_or(0, |due| due.since(self.now)),
        };
        self.now = self.now.plus(jump);
        if jump == STOOD_STILL {
            self.heard_since = self.now;
        }
        self.ticks();
    }

    /// What a server does at a deadline; it must not go round.
    fn ticks(&mut self) {
        for _ in 0..64 {
            if self
                .run
                .next_deadline(self.heard_since)
                .is_none_or(|due| due > self.now)
            {
                return;
            }
            let before = self.run.seq;
            self.tell(Command::Tick {
                agents: &Snapshot::default(),
                heard_since: self.heard_since,
            });
            assert!(self.run.seq > before, "a deadline that is over changes something");
        }
        panic!("deadlines come without end at one instant");
    }

    fn verdict(&mut self) {
        let which = self.choose(self.plan.steps.len());
        let step = self.plan.steps[which].key.clone();
        let index = match self.choose(4) {
            0 => None,
            n => Some(n as u32 - 1),
        };
        let resolution = [Resolution::Fail, Resolution::Rerun, Resolution::Succeeded][self.choose(3)];
        self.tell(Command::Resolve {
            step,
            index,
            resolution,
            by: "ann".to_owned(),
        });
    }

    fn wrong_address(&mut self) {
        let Some(mut given) = self.held() else { return };
        match self.choose(4) {
            0 => given.at.attempt += 1,
            1 => given.at.attempt = 0,
            2 => given.at.step.push('x'),
            _ => given.at.index = if given.at.index.is_some() { None } else { Some(0) },
        }
        let body = self.ending();
        let from = given.agent;
        self.report(given, from, body);
    }

    /// From now on the world is kind: what is queued is offered, what is out succeeds, time goes on.
    pub(super) fn be_kind(&mut self) {
        for _ in 0..2_000 {
            if self.run.ended.is_some() {
                return;
            }
            let queued = self.run.queued().next().map(|(at, _)| at);
            if let Some(at) = queued {
                self.offer(at, 1);
                continue;
            }
            let out = self.run.live().find_map(|(at, attempt)| {
                let lease = attempt.life.lease()?;
                Some((at, lease.token.clone(), lease.agent.clone()))
            });
            if let Some((at, token, from)) = out {
                self.tell(Command::Report {
                    at,
                    token,
                    from,
                    body: succeeded(),
                });
                continue;
            }
            let due = self.run.next_deadline(self.heard_since);
            let due =
                due.unwrap_or_else(|| panic!("nothing is out and nothing is due: {:#?}", self.run.steps));
            self.now = self.now.max(due);
            self.ticks();
        }
        panic!("the run does not end: {:#?}", self.run.steps);
    }

    /// From now on nobody answers: time alone must end the run.
    pub(super) fn be_silent(&mut self) {
        for _ in 0..2_000 {
            if self.run.ended.is_some() {
                return;
            }
            let due = self
                .run
                .next_deadline(self.heard_since)
                .expect("something is due while the run is not over");
            self.now = self.now.max(due);
            self.ticks();
        }
        panic!("the run does not end by time: {:#?}", self.run.steps);
    }

    fn tell(&mut self, command: Command<'_>) {
        let before = self.run.clone();
        let context = Context {
            now: self.now,
            entropy: self.chosen as u64,
        };
        match decide(&mut self.run, command, context) {
            Ok(decision) => self.took(&decision.events, &decision),
            Err(_) => assert!(before == self.run, "a refused command changes nothing"),
        }
        if let Some(outcome) = self.watch.ended {
            assert!(before.ended.is_none() || before.ended == self.run.ended);
            assert_eq!(self.run.ended.as_ref().map(|e| e.outcome), Some(outcome));
            assert_eq!(self.run.live().count(), 0, "nothing is live after the end");
            assert_eq!(self.run.next_deadline(self.heard_since), None);
        }
    }

    fn took(&mut self, events: &[Event], decision: &Decision) {
        for event in events {
            let stored = history::write(event);
            let read = history::read(&stored.kind, stored.version, &stored.body).unwrap();
            self.saw(&read);
            let before = self.folded.clone();
            self.folded.evolve(&read, self.now);
            docs::went_a_drawn_way(&before, &self.folded);
        }
        assert!(
            self.folded == self.run,
            "the fold is the live state\n{:#?}\n{:#?}",
            self.folded,
            self.run
        );
        for to in &decision.sends {
            if let Send::Offer(lease) = &to.send {
                let offers = self.watch.offers.entry(lease.token.clone()).or_default();
                *offers += 1;
                assert_eq!(*offers, 1, "a token is offered once");
            }
        }
        for (i, step) in self.run.steps.iter().enumerate() {
            let Some(FanOut::Each {
                max_parallel: Some(most),
                ..
            }) = self.plan.steps[i].fan_out
            else {
                continue;
            };
            let busy = |item: &&crate::Item| item.attempts.last().is_some_and(|a| !a.life.is_over());
            assert!(
                step.items.iter().filter(busy).count() <= most as usize,
                "max-parallel"
            );
        }
    }

    fn saw(&mut self, event: &Event) {
        assert!(
            self.watch.ended.is_none() || matches!(event, Event::ReportIgnored { .. }),
            "after the end: {event:?}"
        );
        match event {
            Event::AttemptQueued(queued) => self.saw_queued(&queued.at),
            Event::AttemptStarted { token, .. } => {
                let starts = self.watch.starts.entry(token.clone()).or_default();
                *starts += 1;
                assert_eq!(*starts, 1, "a token starts once");
            }
            Event::AttemptFinished { at, report, .. } => {
                self.saw_over(at);
                let outcome = match report.verdict {
                    Verdict::Succeeded => Some(StepOutcome::Succeeded),
                    Verdict::Degraded { .. } => Some(StepOutcome::Degraded),
                    _ => None,
                };
                if let Some(outcome) = outcome {
                    self.watch.good.insert((at.step.clone(), at.index), outcome);
                } else if matches!(report.verdict, Verdict::Cancelled { .. }) {
                    *self.watch.reruns.entry((at.step.clone(), at.index)).or_default() += 1;
                }
            }
            Event::AttemptSettled { at, resolution, .. } => {
                self.saw_over(at);
                let key = (at.step.clone(), at.index);
                match resolution {
                    Resolution::Succeeded => drop(self.watch.good.insert(key, StepOutcome::Succeeded)),
                    Resolution::Rerun => *self.watch.reruns.entry(key).or_default() += 1,
                    Resolution::Fail => {}
                }
            }
            Event::AttemptWithdrawn { at } | Event::AttemptNotPlaced { at, .. } => self.saw_over(at),
            Event::ItemEnded {
                step, index, outcome, ..
            } => {
                let good = self.watch.good.get(&(step.clone(), Some(*index)));
                assert_eq!(good.is_some(), is_good(*outcome), "{step}[{index}] {outcome}");
                let twice = self.watch.items.insert((step.clone(), *index), *outcome);
                assert_eq!(twice, None, "an item ends once");
            }
            Event::StepEnded {
                step,
                outcome,
                allowed,
                ..
            } => self.saw_step_end(step, *outcome, *allowed),
            Event::StepSkipped { step } => self.saw_end(step, StepOutcome::Skipped, false),
            Event::StepOmitted { step, because, ended } => {
                assert_eq!(self.watch.steps[because].0, *ended, "the edge is told as it is");
                self.saw_end(step, StepOutcome::Omitted, false);
            }
            Event::StepNotRun { step } => {
                assert!(self.watch.cancelled.is_some());
                self.saw_end(step, StepOutcome::NotRun, false);
            }
            Event::StepBatch { of, .. } => {
                for (step, index) in of {
                    assert!(self.watch.items.contains_key(&(step.clone(), *index)));
                }
            }
            Event::CancelRequested { spared, .. } => {
                for key in spared {
                    let tidies = self.planned(key).when.as_ref().is_some_and(tidy::asks);
                    assert!(tidies, "{key} goes on after the cancel");
                }
                self.watch.cancelled = Some(spared.clone());
            }
            Event::RunEnded { outcome, reasons } => self.saw_run_end(*outcome, reasons.len()),
            _ => {}
        }
    }

    fn planned(&self, key: &str) -> &PlanStep {
        self.plan.step(key).unwrap()
    }

    fn saw_queued(&mut self, at: &At) {
        let plan = self.planned(&at.step);
        for need in &plan.needs {
            let (outcome, allowed) = self.watch.steps.get(need).expect("its needs have ended");
            let holds = is_good(*outcome) || *outcome == StepOutcome::Skipped || *allowed;
            assert!(
                holds || plan.when_replaces_edge,
                "{} behind {need}: {outcome}",
                at.step
            );
        }
        if let Some(spared) = &self.watch.cancelled {
            let tidies = plan.when.as_ref().is_some_and(tidy::asks);
            assert!(
                tidies || spared.contains(&at.step),
                "{} began after the cancel",
                at.step
            );
        }
        assert!(!self.watch.steps.contains_key(&at.step), "its step is not over");
        let key = (at.step.clone(), at.index);
        let reruns = self.watch.reruns.get(&key).copied().unwrap_or(0);
        assert!(
            at.attempt <= 1 + plan.retry.limit + reruns,
            "{} tries too often",
            at.step
        );
        if at.attempt > 1 {
            let last = At {
                attempt: at.attempt - 1,
                ..at.clone()
            };
            assert!(self.watch.over.contains(&last), "one try at a time");
        }
    }

    fn saw_over(&mut self, at: &At) {
        assert!(
            self.watch.over.insert(at.clone()),
            "one result per attempt: {at:?}"
        );
    }

    fn saw_step_end(&mut self, key: &str, outcome: StepOutcome, allowed: bool) {
        let plan = self.planned(key);
        assert_eq!(allowed, outcome == StepOutcome::Failed && plan.allow_failure);
        if plan.fan_out.is_none() {
            let good = self.watch.good.contains_key(&(key.to_owned(), None));
            assert_eq!(good, is_good(outcome), "{key}: {outcome}");
        } else {
            let items = self.watch.items.iter().filter(|((step, _), _)| step == key);
            let outcomes: Vec<StepOutcome> = items.map(|(_, outcome)| *outcome).collect();
            let failed = outcomes.contains(&StepOutcome::Failed);
            let bad = outcomes.iter().any(|outcome| *outcome != StepOutcome::Succeeded);
            assert!(
                outcome != StepOutcome::Succeeded || !bad,
                "{key}: never better than its items"
            );
            assert!(
                !failed || plan.allow_failure || outcome == StepOutcome::Failed,
                "{key}"
            );
            let cancelled = outcomes.contains(&StepOutcome::Cancelled);
            assert!(
                !cancelled || outcome >= StepOutcome::Cancelled,
                "{key}: {outcome}"
            );
        }
        self.saw_end(key, outcome, allowed);
    }

    fn saw_end(&mut self, key: &str, outcome: StepOutcome, allowed: bool) {
        let twice = self.watch.steps.insert(key.to_owned(), (outcome, allowed));
        assert_eq!(twice, None, "a step ends once: {key}");
    }

    fn saw_run_end(&mut self, outcome: RunOutcome, reasons: usize) {
        let mut worst = if self.watch.cancelled.is_some() {
            RunOutcome::Cancelled
        } else {
            RunOutcome::Succeeded
        };
        assert_eq!(
            self.watch.steps.len(),
            self.plan.steps.len(),
            "every step has ended"
        );
        for (outcome, allowed) in self.watch.steps.values() {
            worst = worst.max(match outcome {
                StepOutcome::Failed if !allowed => RunOutcome::Failed,
                StepOutcome::Failed | StepOutcome::Degraded => RunOutcome::Degraded,
                StepOutcome::Cancelled => RunOutcome::Cancelled,
                _ => RunOutcome::Succeeded,
            });
        }
        assert_eq!(outcome, worst, "the worst of the parts");
        assert_eq!(
            reasons == 0,
            outcome == RunOutcome::Succeeded,
            "what is not well says why"
        );
        self.watch.ended = Some(outcome);
    }

    pub(super) fn ends(&self) -> bool {
        self.run
            .steps
            .iter()
            .all(|step| matches!(step.phase, Phase::Ended(_)))
    }
}

fn is_good(outcome: StepOutcome) -> bool {
    matches!(outcome, StepOutcome::Succeeded | StepOutcome::Degraded)
}
