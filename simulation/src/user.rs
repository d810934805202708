//! A person who starts runs, and asks again under the same key until the server has said that it has them.

use std::time::Duration;

use agent::Dial;
use proto::v1::{StartRunRequest, run_service_client::RunServiceClient, start_run_request::What};
use tonic::transport::Endpoint;

use crate::{
    hosts::SERVER,
    net::{Direct, PORT},
    record::Record,
    work::WORKFLOW,
};

/// For one try.
const PATIENCE: Duration = Duration::from_secs(4);
/// Between two.
const PAUSE: Duration = Duration::from_millis(700);

/// Starts a run after each wait.
pub async fn starts(waits: Vec<Duration>, record: Record) {
    for (n, wait) in waits.into_iter().enumerate() {
        tokio::time::sleep(wait).await;
        loop {
            match tokio::time::timeout(PATIENCE, start(&Direct, n)).await {
                Ok(Ok(id)) => match id.parse() {
                    Ok(id) => {
                        record.acknowledged(id);
                        break;
                    }
                    Err(error) => record.say("user", format_args!("no run's id: {error}")),
                },
                Ok(Err(why)) => record.say("user", format_args!("refused: {why}")),
                Err(_) => record.say("user", "no answer"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Starts the run of a number, once however often it is asked for; answers its id.
///
/// # Errors
/// The server does not answer, or refuses.
pub async fn start(dial: &dyn Dial, n: usize) -> Result<String, String> {
    let endpoint =
        Endpoint::from_shared(format!("http://{SERVER}:{PORT}")).map_err(|error| error.to_string())?;
    let channel = dial.dial(&endpoint).await.map_err(|_| "no connection")?;
    let request = StartRunRequest {
        what: Some(What::Workflow(WORKFLOW.to_owned())),
        idempotency_key: format!("key-{n}"),
        ..StartRunRequest::default()
    };
    match RunServiceClient::new(channel).start(request).await {
        Ok(answer) => Ok(answer.into_inner().run_id),
        Err(status) => Err(format!("{:?}", status.code())),
    }
}
