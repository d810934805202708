//! Secrets that the step reads from files: written here, into the container's own memory, after the daemon has done its
//! part. So they are in no configuration and on no disk, and go with the container.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use runtime::{ContainerSpec, StartError};

use super::not_in_force;

/// Where they are: a memory file system of the container's own.
pub(crate) const SECRETS: &str = "/run/secrets";

/// Writes those that are asked for as files, each for the step's user alone.
pub(super) fn lay(spec: &ContainerSpec, secrets: &[(String, String)]) -> Result<(), StartError> {
    if spec.secret_files.is_empty() {
        return Ok(());
    }
    let at = Path::new(SECRETS);
    let seen = statfs(at).map_err(|error| not_in_force(format!("{SECRETS} cannot be looked at: {error}")))?;
    if seen.filesystem_type() != TMPFS_MAGIC {
        return Err(not_in_force(format!(
            "secrets are to be files in memory, and {SECRETS} is not in memory"
        )));
    }
    let wanted = secrets
        .iter()
        .filter(|(name, _)| spec.secret_files.contains(name));
    for (name, value) in wanted {
        write(&at.join(name), value.as_bytes())
            .map_err(|error| StartError::runtime("cannot write a secret's file", error))?;
    }
    fs::set_permissions(at, PermissionsExt::from_mode(0o500))
        .map_err(|error| StartError::runtime("cannot close the secrets' directory", error))
}

fn write(path: &Path, value: &[u8]) -> io::Result<()> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)?
        .write_all(value)
}
