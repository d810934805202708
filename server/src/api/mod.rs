//! gRPC, thin: from the wire to the domain, the call, and back.

mod admin;
mod agent;
pub(crate) mod convert;
mod diagnose;
mod incident_watch;
mod incidents;
mod logs;
mod open;
mod reports;
mod rerun;
mod runs;
mod runs_logs;
mod runs_view;
mod session;
mod stream;
mod watch;
mod workflows;

use proto::v1;
use tonic::{Status, service::Routes};
use types::limits::MESSAGE_BYTES;

use crate::{Core, runs::RunError, store::StoreError};

macro_rules! limited {
    ($service:expr) => {
        $service
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES)
    };
}

pub(crate) fn routes(core: &Core) -> Routes {
    use v1::{
        admin_service_server::AdminServiceServer, agent_service_server::AgentServiceServer,
        incident_service_server::IncidentServiceServer, run_service_server::RunServiceServer,
        workflow_service_server::WorkflowServiceServer,
    };
    Routes::new(limited!(AgentServiceServer::new(agent::Service(core.clone()))))
        .add_service(limited!(RunServiceServer::new(runs::Service(core.clone()))))
        .add_service(limited!(WorkflowServiceServer::new(workflows::Service(
            core.clone()
        ))))
        .add_service(limited!(IncidentServiceServer::new(incidents::Service(
            core.clone()
        ))))
        .add_service(limited!(AdminServiceServer::new(admin::Service(core.clone()))))
}

/// A text for a status. It travels in a header, percent-encoded, and headers have a limit of 16 KiB.
fn brief(text: &str) -> String {
    const BYTES: usize = 3_000;
    if text.len() <= BYTES {
        return text.to_owned();
    }
    let mut end = BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} … ({} bytes in all)", &text[..end], text.len())
}

/// The status of a store's error. What is inside goes to the log, not to the caller.
fn store_status(error: &StoreError) -> Status {
    match error {
        StoreError::Conflict { .. } => Status::aborted("another writer was first, try again"),
        StoreError::Claimed(_) => Status::already_exists("this key was used for another request"),
        StoreError::Unavailable(_) => {
            tracing::error!(%error, "the store is unavailable");
            Status::unavailable("the store cannot write now, try again")
        }
        StoreError::Invalid(_) => {
            tracing::error!(%error, "an append made no sense");
            Status::internal("a defect of the server; its log says more")
        }
        StoreError::Corrupt(_) => {
            tracing::error!(%error, "the store cannot be read");
            Status::data_loss("what is stored cannot be read by this version; the server's log says more")
        }
    }
}

/// The status of a run's error.
fn run_status(error: &RunError) -> Status {
    match error {
        RunError::NotFound(id) => Status::not_found(format!("there is no run {id}")),
        RunError::Rejected(rejected) => match rejected {
            engine::Rejected::NoSuchStep(_) | engine::Rejected::NoSuchAttempt(_) => {
                Status::not_found(brief(&rejected.to_string()))
            }
            _ => Status::failed_precondition(brief(&rejected.to_string())),
        },
        RunError::Store(error) => store_status(error),
        RunError::Stopping => Status::unavailable("the server is stopping, try again"),
    }
}
