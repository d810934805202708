//! `llm/analyze`: a model reads evidence and says what it makes of it. It measures nothing, is believed nothing, and
//! each thing that it says names evidence that it was given, or is dropped.

mod analyze;
mod connection;
mod evidence;
mod provider;
mod verdict;

pub(crate) use analyze::Analyze;
pub use connection::{LlmConnection, Provider};
