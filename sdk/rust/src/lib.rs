//! The client's side of `firehall.v1`: typed calls, typed views, a run's history followed over interruptions and
//! folded into a picture for people. The conversions between proto and the domain stand here and nowhere else on
//! this side.

mod artifacts;
mod client;
mod error;
mod event;
mod incidents;
pub mod live;
mod logs;
mod operate;
mod plan;
mod runs;
mod subscribe;
mod time;
mod view;
mod watch;

pub use artifacts::{ArtifactOf, ArtifactView};
pub use client::{Client, LogsOf, Start, Timeouts, What};
pub use error::{Details, Error, Refusal, Violation};
pub use event::{At, Body, Event, PlanHead, Reason, StepHead};
pub use incidents::{IncidentFilter, OpenIncident, OpenedView, RefusedRunView};
pub use logs::LogPiece;
pub use operate::{DiagnoseView, FindingView, Level, SourceView};
pub use plan::{PlanView, Preview};
pub use runs::{Page, RunFilter};
pub use subscribe::{Subscribe, Subscription};
pub use time::rfc3339;
pub use view::{
    AgentState, AgentView, AttemptState, AttemptView, CompileView, DiagnosticView, IncidentView, RunView,
    ServiceView, StepState, StepView, WorkflowView,
};
pub use watch::{Notice, Watch};

/// The wire's name of a step's output stream.
pub use proto::v1::LogStream;
