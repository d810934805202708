//! Errors that say little by themselves.

use std::error::Error;

/// An error with its causes, each once: what libraries for containers and for HTTP say is mostly in them.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
