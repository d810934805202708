//! Diagnostics for programs.

mod json;
mod sarif;

pub use json::FileReport;
pub use sarif::{Checked, sarif};
