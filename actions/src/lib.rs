//! Built-in steps, one file each: signature, code, tests. One contract for all: checked JSON in, checked JSON
//! out, reasons for what could not be done, or an error with its kind.

mod action;
mod args;
mod clock;
mod connections;
mod datadog;
mod desk;
mod examples;
mod fitting;
mod github;
mod http;
mod log;
mod loki;
mod prometheus;
mod registry;
mod slack;
mod tries;
mod upstream;
mod values;
mod vendor;

pub use action::{Action, ActionContext, ActionError, ActionOutput};
pub use clock::Clock;
pub use connections::{ConnectionError, Connections, DatadogConnection, SlackConnection};
pub use examples::example;
pub use github::GithubConnection;
pub use http::{Http, HttpAuth, HttpConnection};
pub use log::LogSink;
pub use registry::Registry;
pub use upstream::Upstream;
