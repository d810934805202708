//! What all pages are made of: a state as shape, word and colour; an instant; a link to elsewhere.

mod link;
mod severity;
mod status;
mod time;

pub use link::{Outward, outward};
pub use severity::{Severity, severity};
pub use status::{Shape, Status, of_agent, of_incident, of_outcome, of_step};
pub use time::{Clock, Time, clock, iso, lasted, time, utc};
