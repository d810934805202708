//! `grpc.health.v1.Health`: overall and for each service, NOT_SERVING while the server stops or its store cannot answer.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, HealthService},
};

use crate::{
    Core,
    store::{Append, Store},
};

/// Between looks at the store.
const EVERY: Duration = Duration::from_secs(2);
/// How long the store may take for a look.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long those who watch have to hear that the server stops, before their streams end.
const LAST_WORD: Duration = Duration::from_millis(200);
/// The services; empty is the server as a whole.
const SERVICES: &[&str] = &[
    "",
    "firehall.v1.AgentService",
    "firehall.v1.RunService",
    "firehall.v1.WorkflowService",
    "firehall.v1.EventService",
    "firehall.v1.IncidentService",
    "firehall.v1.AdminService",
];

/// The service, kept true by a task until the server stops.
pub(super) fn service(core: &Core) -> HealthService {
    let reporter = HealthReporter::new();
    let (store, shutdown) = (Arc::downgrade(&core.store), core.shutdown.clone());
    tokio::spawn(watch(store, shutdown, reporter.clone()));
    HealthService::from_health_reporter(reporter)
}

/// It does not keep the store open: the server's end does not wait for it.
async fn watch(store: Weak<dyn Store>, shutdown: CancellationToken, mut reporter: HealthReporter) {
    while let Some(store) = store.upgrade() {
        // Nothing is written, but the writer must be there to say so.
        let look = tokio::time::timeout(PATIENCE, store.append(Append::default()));
        let status = tokio::select! {
            done = look => match done {
                Ok(Ok(_)) => ServingStatus::Serving,
                Ok(Err(_)) | Err(_) => ServingStatus::NotServing,
            },
            () = shutdown.cancelled() => break,
        };
        drop(store);
        tell(&reporter, status).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.cancelled() => break,
        }
    }
    tell(&reporter, ServingStatus::NotServing).await;
    tokio::time::sleep(LAST_WORD).await;
    // Without a status their streams end, and nobody waits for them.
    for service in SERVICES {
        reporter.clear_service_status(service).await;
    }
}

async fn tell(reporter: &HealthReporter, status: ServingStatus) {
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}
