//! The actions `pagerduty/…`, by PagerDuty's REST API, version 2: <https://developer.pagerduty.com/api-reference>.

mod client;
mod connection;
mod incident;
mod note;
mod oncall;

pub use connection::PagerDutyConnection;
pub(crate) use incident::Incident;
pub(crate) use note::Note;
pub(crate) use oncall::OnCall;
