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
mod kubernetes;
mod llm;
mod log;
mod loki;
mod mask;
mod pagerduty;
mod prometheus;
mod registry;
mod rest;
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
pub use kubernetes::KubernetesConnection;
pub use llm::{LlmConnection, Provider};
pub use log::LogSink;
pub use mask::Mask;
pub use pagerduty::PagerDutyConnection;
pub use registry::Registry;
pub use upstream::Upstream;
