//! The server's side of one attempt.

mod decide;

use serde::{Deserialize, Serialize};

use crate::{Held, Report, Resolution};

/// Where and under which fence an attempt was offered. `T` token, `A` agent, `S` session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease<T, A, S> {
    /// The fence: never used for a second offer.
    pub token: T,
    /// The agent.
    pub agent: A,
    /// Its session at the time of the offer.
    pub session: S,
}

/// How much is known of an attempt that is out at an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Nothing was heard.
    Offered,
    /// It is on the agent's disk.
    Accepted,
    /// It ran, or may have.
    Started,
}

/// Where an attempt is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum State<T, A, S> {
    /// Waits to be offered.
    Queued,
    /// Is out at an agent.
    Out {
        /// Where.
        lease: Lease<T, A, S>,
        /// What is known of it.
        known: Known,
    },
    /// In doubt: the token stays current, a real report or a resolution settles it.
    Lost {
        /// Where it was.
        lease: Lease<T, A, S>,
        /// What had been heard of it.
        known: Known,
    },
    /// Over by its agent's report.
    Finished {
        /// Where it was.
        lease: Lease<T, A, S>,
    },
    /// Over by a resolution; a report is late.
    Settled {
        /// Where it was.
        lease: Lease<T, A, S>,
        /// What was decided.
        resolution: Resolution,
    },
    /// Over by a stop before it started anywhere.
    Withdrawn,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt<T, A, S> {
    state: State<T, A, S>,
    stopping: bool,
}

/// What happens to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<T, A, S> {
    /// Offer it. The token must be new.
    Offer(Lease<T, A, S>),
    /// An agent reports.
    Report {
        /// The token it names.
        token: T,
        /// Who says so, by its identity, not by its words.
        from: A,
        /// What.
        report: Report,
    },
    /// The lease's time and the margin after it are over.
    Expired {
        /// Whose.
        token: T,
    },
    /// An agent's Hello that the [`crate::session::Gate`] took; one input for every attempt that is out at it.
    Inventory {
        /// The agent.
        agent: A,
        /// The session that the Hello opens.
        session: S,
        /// What it says of this attempt's token.
        held: Option<Held>,
    },
    /// What is decided of an attempt in doubt.
    Resolve(Resolution),
    /// A cancel.
    Stop,
}

/// What is appended to the history. [`Attempt::apply`] folds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<T, A, S> {
    /// Offered.
    Offered {
        /// Where.
        lease: Lease<T, A, S>,
    },
    /// Accepted.
    Accepted,
    /// Started; accepted too, should that not have been heard.
    Started,
    /// Finished with the result that came with the report; all before is implied.
    Finished,
    /// Certainly not started: back in the queue at no cost; its token is dead.
    Returned {
        /// How that is known.
        because: Returned,
    },
    /// Certainly not started and not wanted any more.
    Withdrawn,
    /// In doubt.
    Lost {
        /// What had been heard of it.
        known: Known,
        /// How that came.
        because: Lost,
    },
    /// Settled by a resolution.
    Settled {
        /// Which.
        resolution: Resolution,
    },
    /// A stop was asked for.
    StopRequested,
}

/// How it is known that an attempt was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Returned {
    /// Its agent declined it.
    Declined,
    /// Its agent gave it back.
    Released,
    /// Nothing was heard of it and a newer session's inventory does not have it.
    NotTaken,
}

/// Why an attempt is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// Its lease ran out.
    Expired,
    /// Its agent says so.
    AgentSaysSo,
    /// Its agent, or the agent's newer inventory, does not know it though it had accepted it.
    Missing,
    /// Its agent says that it was acknowledged, of which this history knows nothing (a restored backup).
    Ahead,
    /// The server gave its run up; the machine itself never says so.
    GivenUp,
}

/// What is sent: to the agent that the input came from, and for `Offer`, `Stop` and `Resolve` to the lease's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Send<T, A, S> {
    /// The offer.
    Offer(Lease<T, A, S>),
    /// The terminal report is stored (or of no use): drop it.
    Ack(T),
    /// End it.
    Stop(T),
    /// No offer of this token can come any more: drop the tombstone.
    Forget(T),
}

/// What an input changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T, A, S> {
    /// Append this.
    Append(Event<T, A, S>),
    /// Known already: nothing to append.
    Repeat,
    /// Changes nothing. A report is recorded with the reason; a command is refused with it.
    Ignored(Why),
}

/// Why an input changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The token is not the attempt's current one.
    NotCurrent,
    /// The token was given to another agent.
    Foreign,
    /// It came after the resolution.
    AfterResolution,
    /// The attempt does not wait to be offered.
    NotQueued,
    /// The attempt is not out at an agent.
    NotOut,
    /// The inventory is of the session of the offer: the offer may still be on its way.
    SameSession,
    /// The attempt is not in doubt.
    NotInDoubt,
    /// A stop was asked for.
    Stopping,
    /// The attempt is over.
    Over,
}

/// The answer to an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<T, A, S> {
    /// What changes; to be stored before anything is sent.
    pub change: Change<T, A, S>,
    /// What is sent.
    pub send: Option<Send<T, A, S>>,
}

impl<T, A, S> Default for Attempt<T, A, S> {
    fn default() -> Self {
        Self {
            state: State::Queued,
            stopping: false,
        }
    }
}

impl<T: Clone + Eq, A: Clone + Eq, S: Clone + Eq> Attempt<T, A, S> {
    /// From a snapshot.
    #[must_use]
    pub const fn restore(state: State<T, A, S>, stopping: bool) -> Self {
        Self { state, stopping }
    }

    /// Where it is.
    #[must_use]
    pub const fn state(&self) -> &State<T, A, S> {
        &self.state
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether it is over: finished, settled or withdrawn.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(
            self.state,
            State::Finished { .. } | State::Settled { .. } | State::Withdrawn
        )
    }

    /// The lease whose token is current; none while queued or withdrawn.
    #[must_use]
    pub const fn lease(&self) -> Option<&Lease<T, A, S>> {
        match &self.state {
            State::Queued | State::Withdrawn => None,
            State::Out { lease, .. }
            | State::Lost { lease, .. }
            | State::Finished { lease }
            | State::Settled { lease, .. } => Some(lease),
        }
    }

    /// Decides and folds the event at once.
    pub fn on(&mut self, input: Input<T, A, S>) -> Step<T, A, S> {
        let step = self.decide(input);
        if let Change::Append(event) = &step.change {
            self.apply(event);
        }
        step
    }

    /// Folds an event of [`Attempt::decide`]. One that does not fit the state changes nothing.
    pub fn apply(&mut self, event: &Event<T, A, S>) {
        let state = std::mem::replace(&mut self.state, State::Queued);
        self.state = match (event, state) {
            (Event::Offered { lease }, State::Queued) => State::Out {
                lease: lease.clone(),
                known: Known::Offered,
            },
            (Event::Accepted, State::Out { lease, known }) => State::Out {
                lease,
                known: known.max(Known::Accepted),
            },
            (Event::Accepted, State::Lost { lease, known }) => State::Lost {
                lease,
                known: known.max(Known::Accepted),
            },
            (Event::Started, State::Out { lease, .. }) => State::Out {
                lease,
                known: Known::Started,
            },
            (Event::Started, State::Lost { lease, .. }) => State::Lost {
                lease,
                known: Known::Started,
            },
            (Event::Finished, State::Out { lease, .. } | State::Lost { lease, .. }) => {
                State::Finished { lease }
            }
            (Event::Returned { .. }, State::Out { .. } | State::Lost { .. }) => State::Queued,
            (Event::Withdrawn, State::Queued | State::Out { .. } | State::Lost { .. }) => State::Withdrawn,
            (Event::Lost { known, .. }, State::Out { lease, .. } | State::Lost { lease, .. }) => {
                State::Lost { lease, known: *known }
            }
            (Event::Settled { resolution }, State::Lost { lease, .. }) => State::Settled {
                lease,
                resolution: *resolution,
            },
            (_, other) => other,
        };
        if matches!(event, Event::StopRequested | Event::Withdrawn) {
            self.stopping = true;
        }
    }
}

/// The answer to what an agent's inventory says of a token that is no attempt's current one.
#[must_use]
pub fn stranger<T, A, S>(token: T, held: Held) -> Option<Send<T, A, S>> {
    match held {
        Held::Accepted | Held::Starting | Held::Running => Some(Send::Stop(token)),
        // Its report follows and is acknowledged as one that is not current.
        Held::Finished => None,
        Held::Done => Some(Send::Forget(token)),
    }
}
