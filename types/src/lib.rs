//! The pure leaf of Firehall: what every room agrees on. No clock, no IO, no randomness.

mod alert;
mod artifact;
mod attempt;
mod files;
mod finding;
mod id;
mod incident;
mod labels;
pub mod limits;
mod outcome;
mod people;
mod policy;
mod record;
mod secret;
mod service;
mod signature;
pub mod text;
mod time;
mod ty;
pub mod units;
mod work;

pub use alert::{Alert, AlertState, Link, Monitor, Severity};
pub use artifact::{
    ARTIFACT_TREE, Artifact, ArtifactDecl, ArtifactRef, OCTETS, TAR, check_artifact_path, is_artifact_name,
    is_media_type, is_sha256,
};
pub use attempt::{AttemptKey, AttemptReport, ExitStatus, Failure, FailureKind, Placement, Usage, Verdict};
pub use files::{FILE_MODE, FILE_MODES, FileFrom, WorkFile, check_file_path, is_within};
pub use finding::{CheckItem, Evidence, Finding, Level};
pub use id::{AgentId, AlertId, Entropy, IdError, IncidentId, LeaseToken, RunId, SessionId};
pub use incident::Incident;
pub use labels::{Label, LabelError, Labels, is_host_label};
pub use outcome::{RunOutcome, StepOutcome};
pub use people::{Invitation, Match, Person, WarRoom};
pub use policy::{
    HOST_IMAGE, IMAGE_BYTES, ImageName, Pattern, Policy, PolicyLimits, Refusal, Rule, SecretRule, UserRange,
    Whose, within_language,
};
pub use record::{AttemptRecord, RunRecord, StepRecord};
pub use secret::Secret;
pub use service::{Ready, ReadyCheck, ServiceEnd, ServiceReport, ServiceWork, is_service_name};
pub use signature::{Catalogue, Effect, IfLost, Output, Param, Signature, Trust};
pub use time::{Millis, Timestamp};
pub use ty::{Field, Type, TypeError, TypeParseError};
pub use work::{
    ActionWork, ContainerWork, HostView, Network, OFFER_EGRESS, OFFER_SERVICES, OutputDecl, OutputFrom, Pull,
    Resources, Retry, RetryOn, RuntimeName, Work, WorkBody,
};

/// A value of the workflow language in its JSON form.
pub type Value = serde_json::Value;
/// A JSON object in the language's form: names in order.
pub type Object = serde_json::Map<String, serde_json::Value>;

#[cfg(test)]
mod tests;
