//! Secrets in files: the operator's own, and those that systemd hands to the unit.

use std::{
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{SECRET_BYTES, error::Cause};

/// Where systemd puts a unit's credentials (systemd.exec(5)).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Reads a file that nobody else may read.
pub(super) async fn file(path: PathBuf) -> Result<Vec<u8>, Cause> {
    in_thread(move || read(&path, true)).await
}

/// Reads a credential; systemd sees to its mode.
pub(super) async fn credential(id: &str) -> Result<Vec<u8>, Cause> {
    let Some(dir) = std::env::var_os(CREDENTIALS) else {
        return Err(Cause::lasting(format!(
            "{CREDENTIALS} is not set: the agent was not started by systemd, or its unit has no LoadCredential="
        )));
    };
    let path = Path::new(&dir).join(id);
    in_thread(move || read(&path, false)).await
}

async fn in_thread(work: impl FnOnce() -> Result<Vec<u8>, Cause> + Send + 'static) -> Result<Vec<u8>, Cause> {
    match tokio::task::spawn_blocking(work).await {
        Ok(read) => read,
        Err(error) => Err(Cause::passing(format!("it could not be read: {error}"))),
    }
}

fn read(path: &Path, check: bool) -> Result<Vec<u8>, Cause> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Cause::lasting("there is no such file"),
        io::ErrorKind::PermissionDenied => Cause::lasting("the agent's user may not read it"),
        _ => Cause::passing(error.to_string()),
    };
    // A named pipe must not hold the agent up.
    let file = std::fs::File::options()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits() | nix::fcntl::OFlag::O_NOCTTY.bits())
        .open(path)
        .map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Cause::lasting("it is not a file"));
    }
    if check {
        private(&meta)?;
    }
    let mut bytes = Vec::new();
    // One more than is taken, and a line break: so that what is too long is seen to be.
    file.take(SECRET_BYTES as u64 + 3)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

fn private(meta: &std::fs::Metadata) -> Result<(), Cause> {
    let user = nix::unistd::geteuid().as_raw();
    if meta.mode() & 0o027 != 0 {
        return Err(Cause::lasting(format!(
            "its mode is {:04o}, so that others than its owner can read or write it: chmod 600",
            meta.mode() & 0o7777
        )));
    }
    if ![0, user].contains(&meta.uid()) {
        return Err(Cause::lasting(format!(
            "it belongs to user {}, neither to root nor to the agent's user {user}: chown it",
            meta.uid()
        )));
    }
    Ok(())
}
