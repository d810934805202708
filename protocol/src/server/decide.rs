//! What an attempt makes of an input. Every arm is a row of `docs/protocol.md`.

use super::{Attempt, Change, Event, Input, Known, Lease, Lost, Returned, Send, State, Step, Why};
use crate::{Held, Report, Resolution};

impl<T: Clone + Eq, A: Clone + Eq, S: Clone + Eq> Attempt<T, A, S> {
    /// What an input means, the attempt unchanged.
    #[must_use]
    pub fn decide(&self, input: Input<T, A, S>) -> Step<T, A, S> {
        match input {
            Input::Offer(lease) => match self.state {
                State::Queued => {
                    Step::append(Event::Offered { lease: lease.clone() }).sending(Send::Offer(lease))
                }
                _ => Step::ignored(Why::NotQueued),
            },
            Input::Report { token, from, report } => self.report(token, &from, report),
            Input::Expired { token } => self.expired(&token),
            Input::Inventory { agent, session, held } => self.inventory(&agent, &session, held),
            Input::Resolve(resolution) => self.resolve(resolution),
            Input::Stop => self.stop(),
        }
    }

    fn report(&self, token: T, from: &A, report: Report) -> Step<T, A, S> {
        // Whatever becomes of it, a terminal report leaves the agent's spool and what runs unwanted is stopped.
        let answer = if report.is_terminal() {
            Send::Ack(token.clone())
        } else {
            Send::Stop(token.clone())
        };
        match self.lease() {
            Some(lease) if lease.token != token => Step::ignored(Why::NotCurrent).sending(answer),
            None => Step::ignored(Why::NotCurrent).sending(answer),
            Some(lease) if lease.agent != *from => Step::ignored(Why::Foreign).sending(answer),
            Some(lease) if report.is_terminal() => {
                self.terminal(report).sending(Send::Ack(lease.token.clone()))
            }
            Some(lease) => self.progress(report, lease),
        }
    }

    fn progress(&self, report: Report, lease: &Lease<T, A, S>) -> Step<T, A, S> {
        let (reached, event) = match report {
            Report::Started => (Known::Started, Event::Started),
            _ => (Known::Accepted, Event::Accepted),
        };
        let step = match &self.state {
            State::Out { known, .. } | State::Lost { known, .. } if *known < reached => Step::append(event),
            State::Settled { .. } => {
                return Step::ignored(Why::AfterResolution).sending(Send::Stop(lease.token.clone()));
            }
            // Reordered behind the terminal report: there is nothing left to stop.
            State::Finished { .. } => return Step::repeat(),
            _ => Step::repeat(),
        };
        if self.stopping {
            step.sending(Send::Stop(lease.token.clone()))
        } else {
            step
        }
    }

    fn terminal(&self, report: Report) -> Step<T, A, S> {
        let (known, is_lost) = match &self.state {
            State::Out { known, .. } => (*known, false),
            State::Lost { known, .. } => (*known, true),
            State::Settled { .. } => return Step::ignored(Why::AfterResolution),
            State::Finished { .. } => return Step::repeat(),
            State::Queued | State::Withdrawn => return Step::ignored(Why::NotCurrent),
        };
        match report {
            Report::Declined if known == Known::Offered => self.not_started(Returned::Declined),
            Report::Released if known < Known::Started => self.not_started(Returned::Released),
            // It says that it never was there or never ran, but we heard otherwise: its memory is not to be trusted.
            Report::Declined | Report::Released if is_lost => Step::repeat(),
            Report::Declined | Report::Released => Step::lost(known, Lost::Missing),
            Report::Lost if is_lost && known == Known::Started => Step::repeat(),
            Report::Lost => Step::lost(Known::Started, Lost::AgentSaysSo),
            Report::Finished => Step::append(Event::Finished),
            Report::Accepted | Report::Started => Step::repeat(),
        }
    }

    fn not_started(&self, because: Returned) -> Step<T, A, S> {
        Step::append(if self.stopping {
            Event::Withdrawn
        } else {
            Event::Returned { because }
        })
    }

    fn expired(&self, token: &T) -> Step<T, A, S> {
        match &self.state {
            State::Out { lease, known } if lease.token == *token => Step::lost(*known, Lost::Expired),
            _ if self.lease().is_some_and(|lease| lease.token == *token) => Step::ignored(Why::NotOut),
            _ => Step::ignored(Why::NotCurrent),
        }
    }

    fn inventory(&self, agent: &A, session: &S, held: Option<Held>) -> Step<T, A, S> {
        let Some(lease) = self.lease() else {
            return Step::ignored(Why::NotOut);
        };
        if lease.agent != *agent {
            return Step::ignored(Why::Foreign);
        }
        if lease.session == *session {
            return Step::ignored(Why::SameSession);
        }
        match held {
            Some(Held::Accepted | Held::Starting) => self.held(Report::Accepted, lease),
            Some(Held::Running) => self.held(Report::Started, lease),
            Some(Held::Finished) => Step::repeat(),
            Some(Held::Done) => match &self.state {
                State::Out { .. } => Step::lost(Known::Started, Lost::Ahead),
                State::Lost { known, .. } if *known < Known::Started => {
                    Step::lost(Known::Started, Lost::Ahead)
                }
                _ if self.is_over() => Step::repeat().sending(Send::Forget(lease.token.clone())),
                _ => Step::repeat(),
            },
            None => match &self.state {
                State::Out {
                    known: Known::Offered,
                    ..
                }
                | State::Lost {
                    known: Known::Offered,
                    ..
                } => self.not_started(Returned::NotTaken),
                State::Out { known, .. } => Step::lost(*known, Lost::Missing),
                _ => Step::repeat(),
            },
        }
    }

    /// As a report of the same, but an inventory of live work for an attempt that is over is stopped.
    fn held(&self, report: Report, lease: &Lease<T, A, S>) -> Step<T, A, S> {
        match self.state {
            State::Finished { .. } => Step::ignored(Why::Over).sending(Send::Stop(lease.token.clone())),
            _ => self.progress(report, lease),
        }
    }

    fn resolve(&self, resolution: Resolution) -> Step<T, A, S> {
        match &self.state {
            State::Lost { .. } if self.stopping && resolution == Resolution::Rerun => {
                Step::ignored(Why::Stopping)
            }
            State::Lost { lease, .. } => {
                Step::append(Event::Settled { resolution }).sending(Send::Stop(lease.token.clone()))
            }
            _ => Step::ignored(Why::NotInDoubt),
        }
    }

    fn stop(&self) -> Step<T, A, S> {
        match &self.state {
            State::Queued => Step::append(Event::Withdrawn),
            State::Out { lease, .. } | State::Lost { lease, .. } => {
                let step = if self.stopping {
                    Step::repeat()
                } else {
                    Step::append(Event::StopRequested)
                };
                step.sending(Send::Stop(lease.token.clone()))
            }
            State::Finished { .. } | State::Settled { .. } | State::Withdrawn => Step::ignored(Why::Over),
        }
    }
}

impl<T, A, S> Step<T, A, S> {
    const fn append(event: Event<T, A, S>) -> Self {
        Self {
            change: Change::Append(event),
            send: None,
        }
    }

    const fn lost(known: Known, because: Lost) -> Self {
        Self::append(Event::Lost { known, because })
    }

    const fn repeat() -> Self {
        Self {
            change: Change::Repeat,
            send: None,
        }
    }

    const fn ignored(why: Why) -> Self {
        Self {
            change: Change::Ignored(why),
            send: None,
        }
    }

    fn sending(self, send: Send<T, A, S>) -> Self {
        Self {
            send: Some(send),
            ..self
        }
    }
}
