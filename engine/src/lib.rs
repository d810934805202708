//! One run: events, the state folded from them, and decisions. Pure: no clock, no IO, no randomness.
//!
//! `decide(run, command, context) → events` and `Run::evolve(event)`; replay goes through the same `evolve` as live
//! work. Time and entropy come in with the command.

mod advance;
mod command;
mod crash;
mod deadline;
mod decide;
mod ending;
mod event;
mod fold;
mod give_up;
pub mod history;
pub mod outlook;
mod outputs;
pub mod placement;
mod record;
mod report;
mod rerun;
mod scope;
mod state;
mod tidy;
mod work;

pub use command::{Command, Context, Decision, Rejected, ReportBody, ToAgent};
pub use crash::Crashes;
pub use decide::{decide, start};
pub use event::{At, AttemptQueued, Event, Reason, RunStarted, Trigger};
pub use give_up::{give_up, given_up, stillborn};
pub use rerun::{ItemReused, NoRerun, Reused, StepReused, Taken, rerun};
pub use state::{Attempt, Cancel, Ended, Item, ItemEnd, Lease, Life, Phase, Run, Step};

#[cfg(test)]
mod tests;
