//! Whether steps can run natively here: asked before anything is started.

use runtime::{Native, ShimCommand};

use crate::exit::Fault;

/// # Errors
/// Why not, and what to do about it.
pub(super) async fn native() -> Result<(), Fault> {
    let dir = tempfile::Builder::new()
        .prefix("firehall-probe-")
        .tempdir()
        .map_err(|error| Fault::failed(format!("no temporary directory: {error}")))?;
    match Native::probe(dir.path(), ShimCommand::current()).await {
        Ok(_) => Ok(()),
        Err(unsupported) => Err(
            Fault::failed(format!("the demo cannot run here: {}", unsupported.reason))
                .hint(unsupported.remedy),
        ),
    }
}
