//! Who we are to a registry: what `docker login` wrote, read anew for each pull.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential};
use types::Secret;

/// Docker Hub's name in that file, older than its name in images' names.
const DOCKER_HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// Where Docker keeps it: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
#[must_use]
pub fn docker_config() -> Option<PathBuf> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
    Some(dir.or_else(home)?.join("config.json"))
}

/// A user of a registry.
pub(crate) struct Login {
    pub username: String,
    pub password: Secret,
}

/// The credentials for a registry, of the file or of the helper program that the file names; none when there are
/// none. Blocks while a helper runs.
///
/// # Errors
/// The file or the helper is broken: going on as nobody would hide that.
pub(crate) fn of(config: Option<&Path>, registry: &str) -> Result<Option<Login>, String> {
    let Some(path) = config else {
        return Ok(None);
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let server = if registry == DOCKER_HUB.0 {
        DOCKER_HUB.1
    } else {
        registry
    };
    match docker_credential::get_credential_from_reader(BufReader::new(file), server) {
        Ok(DockerCredential::UsernamePassword(username, password)) => Ok(Some(Login {
            username,
            password: Secret::new(password),
        })),
        Ok(DockerCredential::IdentityToken(_)) => Err(format!(
            "{} has an identity token for it, which this version cannot use: log in with a password or a credential helper",
            path.display()
        )),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // What a helper printed may be a secret.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(format!("credential helper docker-credential-{helper} failed"))
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
