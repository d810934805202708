//! One attempt from its start to its report.

mod action;
mod admit;
mod artifacts;
mod container;
mod files;
pub(crate) mod pod;
mod report;
mod spec;
mod tail;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use runtime::{Attached, Ended, ExitRecord, Go, RuntimeError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use types::{AttemptReport, Failure, LeaseToken, Usage, Verdict, Work, WorkBody};

use crate::{
    context::Context,
    logs::Logs,
    spool::{Meta, StopCause},
    supervisor::Event,
};

pub(crate) use report::{of_exit, stream_ends};

/// What the supervisor keeps of an attempt that is starting or running.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reins {
    stop: CancellationToken,
    /// By the server, whatever had ended it before.
    asked: CancellationToken,
    cause: Arc<OnceLock<StopCause>>,
}

impl Reins {
    /// Ends it. Asked for more than once it is the same; the first cause counts.
    pub(crate) fn stop(&self, cause: StopCause) {
        if cause == StopCause::Asked {
            self.asked();
        }
        let _first = self.cause.set(cause);
        self.stop.cancel();
    }

    /// The server asks for its end, which the end of its lease may have been before.
    pub(crate) fn asked(&self) {
        self.asked.cancel();
    }

    fn cause(&self) -> Option<&StopCause> {
        self.cause.get()
    }
}

/// All that the task of one attempt needs.
pub(crate) struct Job {
    pub context: Arc<Context>,
    pub token: LeaseToken,
    pub meta: Meta,
    pub reins: Reins,
    pub events: mpsc::Sender<Event>,
    pub logs: Logs,
}

/// A container that had ended before it was found.
pub(crate) struct Over(pub Box<ExitRecord>);

#[async_trait]
impl Attached for Over {
    async fn wait(&self) -> Result<Ended, RuntimeError> {
        Ok(Ended::Finished(self.0.clone()))
    }
}

/// What becomes of an attempt.
#[derive(Debug)]
pub(crate) enum Told {
    /// It runs.
    Started,
    /// It is over, or could not be started for certain.
    Ended(Box<AttemptReport>),
    /// It may have run; how it ended cannot be known.
    Vanished,
}

impl Job {
    /// Starts it and stays until its end. Makes ready what it needs meanwhile, and begins when it may.
    pub(crate) async fn start(self, go: Go) {
        match admit::admit(&self.context, &self.meta) {
            Err(failure) => self.fail(failure).await,
            Ok(Work {
                body: WorkBody::Action(action),
                timeout_ms,
                outputs,
                ..
            }) => {
                if go.given().await {
                    action::run(&self, action, &outputs, timeout_ms).await;
                }
            }
            Ok(work) => container::start(&self, &work, go).await,
        }
    }

    /// Stays with a container that was found running.
    pub(crate) async fn attach(self, running: Box<dyn Attached>) {
        match self.meta.work() {
            Ok(work) => container::follow(&self, &work, running).await,
            // Its work was understood when it was started: the spool is damaged.
            Err(error) => {
                tracing::error!(attempt = %self.meta.key, %error, "the spool does not hold the work any more");
                self.logs_end();
                self.tell(Told::Vanished).await;
            }
        }
    }

    fn dir(&self) -> PathBuf {
        self.context.dir.attempt(&self.token)
    }

    async fn tell(&self, told: Told) {
        match told {
            Told::Started => failpoint::reach("create.post"),
            Told::Ended(_) | Told::Vanished => failpoint::reach("exit.post"),
        }
        // Without a supervisor the agent is leaving; the spool says the rest at its next start.
        drop(self.events.send(Event::Attempt(self.token.clone(), told)).await);
    }

    /// Reports that nothing was run.
    async fn fail(&self, mut failure: Failure) {
        failure.message = self.context.masker().text(&failure.message);
        self.ended_before(Verdict::Failed { failure }).await;
    }

    /// Nothing more is written to its logs, nor to its services'.
    fn logs_end(&self) {
        self.logs
            .finished(&self.token, crate::sweep::ends(&self.context, &self.token));
    }

    /// Reports an end before anything was run.
    async fn ended_before(&self, verdict: Verdict) {
        let mut report = report::of(verdict, Usage::default());
        report.services = pod::down(&self.context, &self.dir(), None).await;
        self.logs_end();
        self.tell(Told::Ended(Box::new(report))).await;
    }
}
