//! Alerts and incidents, pure: vendors' payloads become [`types::Alert`]s, alerts with one key become one
//! incident, and what containers measured becomes findings with their evidence.
//!
//! Nothing here is made up: what a source did not say stays absent or unknown, with a note. All text is
//! carried unchanged; whoever shows it escapes it.

mod conclusion;
mod delivery;
mod findings;
mod group;
mod manual;
mod normalise;
mod refused;
mod source;

pub use conclusion::{Investigation, conclude};
pub use delivery::{Delivery, dedupe_key};
pub use findings::{CHECKS_PER_ITEM, from_items, not_measured};
pub use group::{
    AlertEntry, Command, DecideError, FoldError, IncidentEvent, IncidentState, LoadError, Moment, RefusedRun,
    RunRef, Stored, What, decide, fold, timeline, wants_runs,
};
pub use manual::{MANUAL, Opening, by_hand};
pub use normalise::{LIST_ITEMS, Normalised, Shape, datadog_template, likely_source, normalise};
pub use refused::{RefusalKind, Refused};
pub use source::Source;

#[cfg(test)]
mod tests;
