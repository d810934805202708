//! What is counted for Prometheus: the events of runs after their commit, and logs. Counts begin with the process; what
//! happened before it stands in the histories.

use engine::{Event, Run};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use protocol::Resolution;
use types::{AttemptReport, Failure, FailureKind, Millis, Timestamp, Verdict};

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counts<const N: usize> = Family<Labels<N>, Counter>;

/// Seconds: from a step that does nothing to one that takes an hour.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0, 900.0, 3_600.0,
];

/// The counters.
#[derive(Debug)]
pub(crate) struct Meter {
    registry: Registry,
    runs_started: Counter,
    runs_ended: Counts<1>,
    attempts_ended: Counts<2>,
    attempts_lost: Counter,
    offers_returned: Counter,
    phases: Family<Labels<1>, Histogram>,
    ignored: Counter,
    log_bytes: Counts<1>,
    artifacts: Counter,
    artifact_bytes: Counter,
    artifact_bytes_removed: Counter,
}

impl Meter {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("firehall");
        let meter = Self {
            runs_started: Counter::default(),
            runs_ended: Counts::default(),
            attempts_ended: Counts::default(),
            attempts_lost: Counter::default(),
            offers_returned: Counter::default(),
            phases: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            ignored: Counter::default(),
            log_bytes: Counts::default(),
            artifacts: Counter::default(),
            artifact_bytes: Counter::default(),
            artifact_bytes_removed: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("runs_started", "Runs that began", meter.runs_started.clone());
        registry.register(
            "runs_ended",
            "Runs that ended, by outcome",
            meter.runs_ended.clone(),
        );
        registry.register(
            "attempts_ended",
            "Attempts that ended, by how, and why: the kind of a failure, the verdict on one in doubt",
            meter.attempts_ended.clone(),
        );
        registry.register(
            "attempts_lost",
            "Attempts that came into doubt: they may have run; a late report or a verdict ends them",
            meter.attempts_lost.clone(),
        );
        registry.register(
            "offers_returned",
            "Offers that certainly did not start and are made again",
            meter.offers_returned.clone(),
        );
        registry.register_with_unit(
            "attempt_phase",
            "How long attempts waited for an agent (queued), for their start (offered), and ran (running)",
            Unit::Seconds,
            meter.phases.clone(),
        );
        registry.register(
            "reports_ignored",
            "Reports of agents that changed nothing: repeated late, or of a lease that is not current",
            meter.ignored.clone(),
        );
        registry.register_with_unit(
            "logs",
            "Bytes of steps' logs that came, and that agents had to drop (counted in the log, too)",
            Unit::Bytes,
            meter.log_bytes.clone(),
        );
        registry.register(
            "artifacts_stored",
            "Artifacts of steps that were stored",
            meter.artifacts.clone(),
        );
        registry.register_with_unit(
            "artifacts",
            "Bytes of artifacts of steps that were stored",
            Unit::Bytes,
            meter.artifact_bytes.clone(),
        );
        registry.register_with_unit(
            "artifacts_removed",
            "Bytes of artifacts that were removed by age and size",
            Unit::Bytes,
            meter.artifact_bytes_removed.clone(),
        );
        Self { registry, ..meter }
    }

    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// An event of a run that is stored; the run is as after it.
    pub(crate) fn event(&self, run: &Run, event: &Event) {
        match event {
            Event::RunStarted(_) => {
                self.runs_started.inc();
            }
            Event::RunEnded { outcome, .. } => {
                self.runs_ended
                    .get_or_create(&[("outcome", outcome.as_str())])
                    .inc();
            }
            Event::AttemptOffered { at, .. } => {
                // Once for each attempt: what came back waits anew, and its wait until then is told already.
                if let Some(attempt) = run.attempt(at).filter(|attempt| attempt.returns == 0) {
                    self.between("queued", Some(attempt.queued_at), attempt.offered_at);
                }
            }
            Event::AttemptStarted { at, .. } => {
                let attempt = run.attempt(at);
                let (from, to) = (
                    attempt.and_then(|a| a.offered_at),
                    attempt.and_then(|a| a.started_at),
                );
                self.between("offered", from, to);
            }
            Event::AttemptFinished { report, .. } => self.finished(report),
            Event::AttemptLost { .. } => {
                self.attempts_lost.inc();
            }
            Event::AttemptSettled { resolution, .. } => self.ended(
                "settled",
                match resolution {
                    Resolution::Fail => "fail",
                    Resolution::Rerun => "rerun",
                    Resolution::Succeeded => "succeeded",
                },
            ),
            Event::AttemptNotPlaced { .. } => self.ended("failed", "not_placed"),
            Event::AttemptWithdrawn { .. } => self.ended("withdrawn", ""),
            Event::AttemptReturned { .. } => {
                self.offers_returned.inc();
            }
            Event::ReportIgnored { .. } => {
                self.ignored.inc();
            }
            _ => {}
        }
    }

    /// Bytes of a log that were stored, and that the agent had dropped before them.
    pub(crate) fn logged(&self, bytes: usize, lost: u64) {
        self.log_bytes
            .get_or_create(&[("what", "received")])
            .inc_by(bytes as u64);
        self.log_bytes.get_or_create(&[("what", "lost")]).inc_by(lost);
    }

    /// An artifact that was stored.
    pub(crate) fn artifact(&self, bytes: u64) {
        self.artifacts.inc();
        self.artifact_bytes.inc_by(bytes);
    }

    /// Bytes of artifacts that were removed.
    pub(crate) fn artifact_removed(&self, bytes: u64) {
        self.artifact_bytes_removed.inc_by(bytes);
    }

    fn finished(&self, report: &AttemptReport) {
        let never_ran = |failure: &Failure| matches!(failure.kind, FailureKind::Start | FailureKind::Refused);
        // By the agent's own clock: the server may have heard of the start and of the end at once.
        if !matches!(&report.verdict, Verdict::Failed { failure } if never_ran(failure)) {
            self.phase("running", report.usage.duration_ms);
        }
        match &report.verdict {
            Verdict::Succeeded => self.ended("succeeded", ""),
            Verdict::Degraded { .. } => self.ended("degraded", ""),
            Verdict::Failed { failure } => self.ended("failed", failure.kind.as_str()),
            Verdict::Cancelled { .. } => self.ended("cancelled", ""),
        }
    }

    fn ended(&self, how: &'static str, why: &'static str) {
        self.attempts_ended
            .get_or_create(&[("how", how), ("why", why)])
            .inc();
    }

    fn between(&self, phase: &'static str, from: Option<Timestamp>, to: Option<Timestamp>) {
        if let (Some(from), Some(to)) = (from, to) {
            self.phase(phase, to.since(from));
        }
    }

    fn phase(&self, phase: &'static str, took: Millis) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of steps")]
        let seconds = took as f64 / 1_000.0;
        self.phases.get_or_create(&[("phase", phase)]).observe(seconds);
    }
}
