//! Whether steps can run here, and by what: asked before anything is started.

use ::agent::RuntimeChoice;
use runtime::{Native, ShimCommand};

use crate::{commands::doctor::docker_here, exit::Fault, out};

/// What to start the agents with: one that was seen to work.
///
/// # Errors
/// Why not, and what to do about it.
pub(super) async fn runtime(choice: RuntimeChoice) -> Result<RuntimeChoice, Fault> {
    match choice {
        RuntimeChoice::Native => native().await.map(|()| RuntimeChoice::Native),
        RuntimeChoice::Docker => docker().await.map(|()| RuntimeChoice::Docker),
        RuntimeChoice::Both => {
            native().await?;
            docker().await.map(|()| RuntimeChoice::Both)
        }
        RuntimeChoice::Auto => match native().await {
            Ok(()) => Ok(RuntimeChoice::Native),
            Err(without) => docker()
                .await
                .map(|()| RuntimeChoice::Docker)
                .map_err(|_| without),
        },
    }
}

async fn native() -> Result<(), Fault> {
    let dir = tempfile::Builder::new()
        .prefix("firehall-probe-")
        .tempdir()
        .map_err(|error| Fault::failed(format!("no temporary directory: {error}")))?;
    match Native::probe(dir.path(), ShimCommand::current()).await {
        Ok(support) => {
            if let Some(looser) = support.looser {
                out::note(&format!("without root: {looser}"));
            }
            Ok(())
        }
        Err(unsupported) => Err(
            Fault::failed(format!("the demo cannot run here: {}", unsupported.reason))
                .hint(unsupported.remedy),
        ),
    }
}

async fn docker() -> Result<(), Fault> {
    docker_here("true").await.map(drop).map_err(|why| {
        Fault::failed(format!("the demo cannot run here: {why}"))
            .hint("start Docker or Podman's socket on this host, or leave --runtime docker away")
    })
}
