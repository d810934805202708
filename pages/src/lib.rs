//! The web page, pure: from the API's messages to HTML. It knows no server, no clock and no network: what a page shows
//! comes in as `proto::v1` messages, and the instant it is seen from as a number.
//!
//! Templates are in `templates/`, one a page, with [`parts`] for what they share; what a browser loads beside them is in
//! `assets/`, embedded. Every value goes through [`escape::Inert`].

mod agents;
pub mod assets;
pub mod escape;
pub mod form;
pub mod graph;
mod home;
pub mod incident;
mod incidents;
pub mod log;
mod notice;
pub mod parts;
pub mod run;
mod runs;
mod shell;
pub mod workflow;
mod workflows;

pub use self::incident::Incident;
pub use agents::Agents;
pub use askama::{Error, Template};
pub use home::Home;
pub use incidents::Incidents;
pub use notice::Notice;

pub use self::workflow::Workflow;
pub use runs::Runs;
pub use shell::{Section, Shell};
pub use workflows::Workflows;

/// A value as a part of a URL's query or path: everything but letters, digits and `-._~` percent-encoded.
#[must_use]
pub fn encode(value: &str) -> String {
    match askama::filters::urlencode_strict(value) {
        Ok(encoded) => encoded.to_string(),
        Err(never) => match never {},
    }
}
