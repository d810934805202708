//! Builders of plans, and a bench that holds a run against its own history after every command.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{Held, Report, Resolution};
use types::{
    AgentId, AttemptReport, Entropy, Failure, FailureKind, IfLost, LeaseToken, Object, OutputDecl, Placement,
    Retry, RunId, RunOutcome, SessionId, StepOutcome, Timestamp, Type, Usage, Value, Verdict,
};
use workflow::{Body, Expr, FanOut, Plan, PlanStep, Template};

use super::docs;
use crate::{
    At, Command, Context, Decision, Event, NoRerun, Rejected, ReportBody, Run, RunStarted, Trigger, decide,
    history, placement::Snapshot, rerun, start,
};

pub(super) const T0: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

/// A step without conditions that runs an action; `with` shapes it.
pub(super) fn step(key: &str, with: impl FnOnce(&mut PlanStep)) -> PlanStep {
    let mut step = PlanStep {
        key: key.to_owned(),
        name: None,
        needs: BTreeSet::new(),
        when: None,
        when_replaces_edge: false,
        fan_out: None,
        runs_on: BTreeMap::new(),
        pickup_ms: 5_000,
        timeout_ms: 60_000,
        grace_ms: 1_000,
        disconnect_ms: 30_000,
        retry: Retry::default(),
        allow_failure: false,
        if_lost: IfLost::Fail,
        ask_ms: 100_000,
        outputs: BTreeMap::new(),
        body: Body::Action {
            action: "test/act".to_owned(),
            major: 1,
            digest: "d".to_owned(),
            connection: None,
            with: BTreeMap::new(),
        },
    };
    with(&mut step);
    step
}

pub(super) trait Shape {
    fn need(&mut self, keys: &[&str]) -> &mut Self;
    fn when(&mut self, expr: &str) -> &mut Self;
    fn each(&mut self, items: &str, max_parallel: Option<u32>) -> &mut Self;
    fn follow(&mut self, keys: &[&str], gather_ms: u64) -> &mut Self;
    fn tries_again(&mut self, limit: u32, delay_ms: u64) -> &mut Self;
    fn param(&mut self, name: &str, expr: &str) -> &mut Self;
    fn output(&mut self, name: &str, ty: Type, optional: bool) -> &mut Self;
}

impl Shape for PlanStep {
    fn need(&mut self, keys: &[&str]) -> &mut Self {
        self.needs.extend(keys.iter().map(|&key| key.to_owned()));
        self
    }

    fn when(&mut self, expr: &str) -> &mut Self {
        let functions = ["succeeded()", "degraded()", "failed()", "always()", "cancelled()"];
        self.when_replaces_edge = functions.iter().any(|function| expr.contains(function));
        self.when = Some(Expr(expr.to_owned()));
        self
    }

    fn each(&mut self, items: &str, max_parallel: Option<u32>) -> &mut Self {
        let items = Template::Expr(Expr(items.to_owned()));
        self.fan_out = Some(FanOut::Each { items, max_parallel });
        self
    }

    fn follow(&mut self, keys: &[&str], gather_ms: u64) -> &mut Self {
        let steps = keys.iter().map(|&key| key.to_owned()).collect();
        self.fan_out = Some(FanOut::Follow { steps, gather_ms });
        self.param("batch", "each.value")
    }

    fn tries_again(&mut self, limit: u32, delay_ms: u64) -> &mut Self {
        self.retry = Retry {
            limit,
            delay_ms,
            backoff: 2.0,
            max_delay_ms: 60_000,
            jitter: false,
            on: Vec::new(),
        };
        self
    }

    fn param(&mut self, name: &str, expr: &str) -> &mut Self {
        if let Body::Action { with, .. } = &mut self.body {
            with.insert(name.to_owned(), Template::Expr(Expr(expr.to_owned())));
        }
        self
    }

    fn output(&mut self, name: &str, ty: Type, optional: bool) -> &mut Self {
        self.outputs.insert(name.to_owned(), OutputDecl { ty, optional });
        self
    }
}

pub(super) fn plan(steps: Vec<PlanStep>) -> Plan {
    Plan {
        format: Plan::FORMAT,
        name: "test".to_owned(),
        description: None,
        source_digest: "0".to_owned(),
        on_alert: None,
        inputs: BTreeMap::new(),
        steps,
    }
}

fn entropy(n: u64) -> Entropy {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&n.to_be_bytes());
    bytes
}

pub(super) fn token(n: u64) -> LeaseToken {
    LeaseToken::new(T0, entropy(n))
}

pub(super) fn agent(n: u64) -> AgentId {
    AgentId::new(T0, entropy(n))
}

pub(super) fn session(n: u64) -> SessionId {
    SessionId::new(T0, entropy(n))
}

pub(super) fn first(plan: Plan) -> RunStarted {
    let trigger = Trigger {
        alert: None,
        incident: None,
        by: "test".to_owned(),
    };
    RunStarted::new(RunId::new(T0, entropy(1)), plan, Object::new(), trigger)
}

/// `a#1` or `a[2]#1`.
pub(super) fn at(name: &str) -> At {
    let (step, attempt) = name.split_once('#').unwrap_or((name, "1"));
    let (step, index) = match step.split_once('[') {
        Some((step, index)) => (step, Some(index.trim_end_matches(']').parse().unwrap())),
        None => (step, None),
    };
    At {
        step: step.to_owned(),
        index,
        attempt: attempt.parse().unwrap(),
    }
}

pub(super) fn report(verdict: Verdict) -> AttemptReport {
    AttemptReport {
        verdict,
        outputs: Object::new(),
        artifacts: Vec::new(),
        exit: None,
        usage: Usage::default(),
        finished_at: T0,
        runtime: None,
        image_digest: None,
        services: Vec::new(),
    }
}

pub(super) fn succeeded() -> ReportBody {
    ReportBody::Finished(Box::new(report(Verdict::Succeeded)))
}

pub(super) fn with_outputs(outputs: Value) -> ReportBody {
    let mut report = report(Verdict::Succeeded);
    report.outputs = outputs.as_object().unwrap().clone();
    ReportBody::Finished(Box::new(report))
}

pub(super) fn failed(kind: FailureKind) -> ReportBody {
    let failure = Failure::new(kind, "it broke");
    ReportBody::Finished(Box::new(report(Verdict::Failed { failure })))
}

pub(super) fn degraded(reason: &str) -> ReportBody {
    let reasons = vec![reason.to_owned()];
    ReportBody::Finished(Box::new(report(Verdict::Degraded { reasons })))
}

pub(super) fn stopped(confirmed: bool) -> ReportBody {
    ReportBody::Finished(Box::new(report(Verdict::Cancelled { confirmed })))
}

/// A run with its history. After every command the fold of the stored history must be the live state.
pub(super) struct Bench {
    pub(super) run: Run,
    pub(super) events: Vec<Event>,
    pub(super) now: Timestamp,
    pub(super) heard_since: Timestamp,
    pub(super) tokens: u64,
    folded: Run,
}

impl Bench {
    pub(super) fn new(steps: Vec<PlanStep>) -> Self {
        Self::of(first(plan(steps)))
    }

    pub(super) fn of(first: RunStarted) -> Self {
        let context = Context { now: T0, entropy: 7 };
        let (run, decision) = start(first, context);
        Self::from(run, decision)
    }

    /// A repetition of a run that has ended.
    pub(super) fn rerun(earlier: &Run, from: &[&str]) -> Result<Self, NoRerun> {
        let context = Context {
            now: T0.plus(1_000_000),
            entropy: 7,
        };
        let from: Vec<String> = from.iter().map(|&step| step.to_owned()).collect();
        let id = RunId::new(context.now, entropy(earlier.seq + 2));
        let (run, decision) = rerun(earlier, id, "ann".to_owned(), &from, context)?;
        Ok(Self::from(run, decision))
    }

    fn from(run: Run, decision: Decision) -> Self {
        let at = run.started_at;
        let Some(Event::RunStarted(first)) = decision.events.first() else {
            panic!("a run begins with its start")
        };
        let mut bench = Self {
            folded: Run::new(first, at),
            run,
            events: Vec::new(),
            now: at,
            heard_since: at,
            tokens: 100,
        };
        bench.took(&decision, true);
        bench
    }

    fn took(&mut self, decision: &Decision, is_start: bool) {
        for event in &decision.events[usize::from(is_start)..] {
            let stored = history::write(event);
            let read = history::read(&stored.kind, stored.version, &stored.body).unwrap();
            assert_eq!(read, *event, "an event is read as it was written");
            let before = self.folded.clone();
            self.folded.evolve(&read, self.now);
            docs::went_a_drawn_way(&before, &self.folded);
        }
        assert_eq!(self.folded, self.run, "the fold of the history is the live state");
        self.events.extend(decision.events.iter().cloned());
        assert_eq!(self.run.seq, self.events.len() as u64, "the seq has no gap");
    }

    pub(super) fn tell(&mut self, command: Command<'_>) -> Result<Decision, Rejected> {
        let before = self.run.clone();
        let context = Context {
            now: self.now,
            entropy: self.tokens,
        };
        let decided = decide(&mut self.run, command, context);
        match &decided {
            Ok(decision) => self.took(decision, false),
            Err(_) => assert_eq!(before, self.run, "a refused command changes nothing"),
        }
        decided
    }

    pub(super) fn offer(&mut self, name: &str) -> LeaseToken {
        self.offer_to(name, 1, 1)
    }

    pub(super) fn offer_to(&mut self, name: &str, to: u64, via: u64) -> LeaseToken {
        self.tokens += 1;
        let token = token(self.tokens);
        let placement = Placement {
            agent: agent(to),
            agent_name: format!("agent-{to}"),
            session: session(via),
            token: token.clone(),
        };
        self.tell(Command::Offer {
            at: at(name),
            placement,
        })
        .unwrap();
        token
    }

    pub(super) fn report(&mut self, name: &str, token: &LeaseToken, body: ReportBody) -> Decision {
        self.report_from(name, token, 1, body)
    }

    pub(super) fn report_from(
        &mut self,
        name: &str,
        token: &LeaseToken,
        from: u64,
        body: ReportBody,
    ) -> Decision {
        self.tell(Command::Report {
            at: at(name),
            token: token.clone(),
            from: agent(from),
            body,
        })
        .unwrap()
    }

    /// Offers and starts it.
    pub(super) fn begin(&mut self, name: &str) -> LeaseToken {
        let token = self.offer(name);
        self.report(name, &token, ReportBody::Accepted);
        self.report(name, &token, ReportBody::Started);
        token
    }

    /// Offers, starts and ends it.
    pub(super) fn does(&mut self, name: &str, body: ReportBody) -> LeaseToken {
        let token = self.begin(name);
        self.report(name, &token, body);
        token
    }

    pub(super) fn lose(&mut self, name: &str, token: &LeaseToken) {
        self.tell(Command::Expired {
            at: at(name),
            token: token.clone(),
        })
        .unwrap();
    }

    pub(super) fn cancel(&mut self) {
        self.tell(Command::Cancel {
            by: "ann".to_owned(),
            reason: "drill".to_owned(),
        })
        .unwrap();
    }

    pub(super) fn resolve(&mut self, step: &str, resolution: Resolution) -> Result<Decision, Rejected> {
        self.tell(Command::Resolve {
            step: step.to_owned(),
            index: None,
            resolution,
            by: "ann".to_owned(),
        })
    }

    pub(super) fn inventory(&mut self, of: u64, via: u64, held: &[(LeaseToken, Held)]) -> Decision {
        self.hello(of, via, held, false)
    }

    /// Of an agent whose process crashed before.
    pub(super) fn hello(
        &mut self,
        of: u64,
        via: u64,
        held: &[(LeaseToken, Held)],
        crashed: bool,
    ) -> Decision {
        let held = held.iter().cloned().collect();
        self.tell(Command::Inventory {
            agent: agent(of),
            session: session(via),
            held: &held,
            crashed,
        })
        .unwrap()
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.run.next_deadline(self.heard_since)
    }

    /// Time goes on to the next deadline, which must change something.
    pub(super) fn until_deadline(&mut self) -> Timestamp {
        let due = self.next_deadline().expect("something is due");
        self.now = self.now.max(due);
        let ticked = self.tick();
        assert!(!ticked.events.is_empty(), "a deadline changes something");
        due
    }

    pub(super) fn tick(&mut self) -> Decision {
        let agents = Snapshot::default();
        self.tell(Command::Tick {
            agents: &agents,
            heard_since: self.heard_since,
        })
        .unwrap()
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
    }

    pub(super) fn queued(&self) -> Vec<String> {
        let name = |at: At| match at.index {
            Some(index) => format!("{}[{index}]#{}", at.step, at.attempt),
            None => format!("{}#{}", at.step, at.attempt),
        };
        self.run.queued().map(|(at, _)| name(at)).collect()
    }

    pub(super) fn outcome(&self, key: &str) -> Option<StepOutcome> {
        self.run.step(key).unwrap().1.outcome()
    }

    pub(super) fn reasons(&self, key: &str) -> &[String] {
        &self.run.step(key).unwrap().1.reasons
    }

    pub(super) fn ended(&self) -> Option<RunOutcome> {
        self.run.ended.as_ref().map(|ended| ended.outcome)
    }

    pub(super) fn count(&self, kind: &str) -> usize {
        self.events.iter().filter(|event| event.kind() == kind).count()
    }

    pub(super) fn last_ignored(&self) -> Option<(Report, protocol::server::Why)> {
        self.events.iter().rev().find_map(|event| match event {
            Event::ReportIgnored { report, why, .. } => Some((*report, *why)),
            _ => None,
        })
    }
}
