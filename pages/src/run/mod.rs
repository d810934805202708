//! One run: what stands above each of its pages, its overview, a step, its history and its logs.

mod head;
mod history;
mod list;
mod logs;
mod overview;
mod step;

pub use head::{Cancel, Head, Reason};
pub use history::{Entry, History};
pub use list::{Row, Steps};
pub use logs::{END_UNKNOWN, Line, Log, LogAddress, NoLog, Other, lines};
pub use overview::Run;
pub use step::{Artifact, Fact, Item, Output, StepPage};

/// Text that was JSON, with indents; what is not stays as it is.
#[must_use]
pub fn pretty(json: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(json);
    let pretty = value.and_then(|value| serde_json::to_string_pretty(&value));
    pretty.unwrap_or_else(|_| json.to_owned())
}
