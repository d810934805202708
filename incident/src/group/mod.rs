//! Alerts with one key make one incident: a stream of events, the state folded from it, and the decision
//! what a new alert does to it.

mod decide;
mod event;
mod state;
mod timeline;

pub use decide::{Command, DecideError, decide, wants_runs};
pub use event::{IncidentEvent, LoadError, RefusedRun, RunRef, Stored, What};
pub use state::{AlertEntry, FoldError, IncidentState, fold};
pub use timeline::{Moment, timeline};
