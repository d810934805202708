//! The action `http/request`: one HTTP request to a place that the workflow names, or to a connection of the agent.

mod answer;
mod connection;
mod outgoing;
mod request;

pub use connection::{Http, HttpAuth, HttpConnection};
pub(crate) use request::Request;
