//! Credentials for registries: the agent's own, then those of `docker login`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::auth::DockerCredentials;
use data_encoding::BASE64;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use types::Secret;

/// Docker's own name for its hub in its file.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// How long a credential helper may take.
const HELPER: Duration = Duration::from_secs(10);

/// A user of a registry.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password, or a token that takes its place.
    pub password: Secret,
}

/// Whoever knows credentials of the agent's own.
#[async_trait]
pub trait Logins: Send + Sync {
    /// Those for a registry, by its host and port in lower case, `registry.example:5000`; `docker.io` is the hub. None when
    /// nothing is known of it.
    ///
    /// # Errors
    /// They are known of and cannot be had now: why.
    async fn of(&self, registry: &str) -> Result<Option<Credentials>, String>;
}

/// Where credentials come from.
#[derive(Clone, Default)]
pub struct Registries {
    /// The agent's own: these come first.
    pub own: Option<Arc<dyn Logins>>,
    /// A file as `docker login` writes it; none: `$DOCKER_CONFIG/config.json`, `~/.docker/config.json`.
    pub docker_config: Option<PathBuf>,
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registries")
            .field("docker_config", &self.docker_config)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ConfigFile {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    identitytoken: Option<String>,
}

// No derived one: it would show what the file holds.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

impl Registries {
    /// What to tell the daemon for a registry; none when nothing is known of it.
    pub(crate) async fn of(&self, registry: &str) -> Result<Option<DockerCredentials>, String> {
        let own = match &self.own {
            Some(own) => own.of(&registry.to_lowercase()).await?,
            None => None,
        };
        if let Some(known) = own {
            return Ok(Some(credentials(
                registry,
                &known.username,
                known.password.expose(),
            )));
        }
        let Some(path) = self.docker_config.clone().or_else(usual_config) else {
            return Ok(None);
        };
        let file = match std::fs::read(&path) {
            Ok(text) => parse(&path, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let keys = keys(registry);
        let helper = keys.iter().find_map(|key| file.cred_helpers.get(key));
        if let Some(helper) = helper.or(file.creds_store.as_ref()) {
            return helped(helper, &keys[0]).await;
        }
        let Some(entry) = keys.iter().find_map(|key| file.auths.get(key)) else {
            return Ok(None);
        };
        if let Some(token) = &entry.identitytoken {
            return Ok(Some(DockerCredentials {
                identitytoken: Some(token.clone()),
                serveraddress: Some(registry.to_owned()),
                ..DockerCredentials::default()
            }));
        }
        let plain = entry
            .auth
            .as_ref()
            .map(|auth| BASE64.decode(auth.trim().as_bytes()));
        match plain {
            None => Ok(None),
            Some(Ok(plain)) => match String::from_utf8_lossy(&plain).split_once(':') {
                Some((user, password)) => Ok(Some(credentials(registry, user, password))),
                None => Err(format!(
                    "{}: the entry for {registry} has no password",
                    path.display()
                )),
            },
            Some(Err(_)) => Err(format!(
                "{}: the entry for {registry} is not base64",
                path.display()
            )),
        }
    }
}

fn credentials(registry: &str, user: &str, password: &str) -> DockerCredentials {
    DockerCredentials {
        username: Some(user.to_owned()),
        password: Some(password.to_owned()),
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    }
}

fn usual_config() -> Option<PathBuf> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker"));
    Some(dir.or_else(home)?.join("config.json"))
}

/// The error does not quote the file.
fn parse(path: &Path, text: &[u8]) -> Result<ConfigFile, String> {
    serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!(
            "{}: line {line}, column {column}: not what docker login writes",
            path.display()
        )
    })
}

/// The keys under which docker's file may have a registry.
fn keys(registry: &str) -> Vec<String> {
    if registry == "docker.io" {
        let others = ["index.docker.io", "docker.io", "registry-1.docker.io"];
        return [HUB_KEY].into_iter().chain(others).map(str::to_owned).collect();
    }
    vec![
        registry.to_owned(),
        format!("https://{registry}"),
        format!("http://{registry}"),
    ]
}

/// Asks `docker-credential-NAME get`, as docker does.
async fn helped(helper: &str, key: &str) -> Result<Option<DockerCredentials>, String> {
    let program = format!("docker-credential-{helper}");
    let told = |why: String| format!("{program}: {why}");
    let asking = async {
        let mut child = tokio::process::Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| told(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin
                .write_all(key.as_bytes())
                .await
                .map_err(|error| told(error.to_string()))?;
        }
        child
            .wait_with_output()
            .await
            .map_err(|error| told(error.to_string()))
    };
    let output = tokio::time::timeout(HELPER, asking)
        .await
        .map_err(|_| told(format!("no answer within {} s", HELPER.as_secs())))??;
    if !output.status.success() {
        // It has none for this registry: that is its way to say so.
        return Ok(None);
    }
    let helped: Helped =
        serde_json::from_slice(&output.stdout).map_err(|_| told("an answer that is none".to_owned()))?;
    Ok(Some(credentials(key, &helped.username, &helped.secret)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    struct Ann;

    #[async_trait]
    impl Logins for Ann {
        async fn of(&self, registry: &str) -> Result<Option<Credentials>, String> {
            Ok((registry == "r.example:5000").then(|| Credentials {
                username: "agent".to_owned(),
                password: Secret::new("x".to_owned()),
            }))
        }
    }

    #[tokio::test]
    async fn the_agents_own_come_first_then_docker_logins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, r#"{"auths":{"r.example:5000":{"auth":"YW5uOnNlY3I6ZXQ="},"https://index.docker.io/v1/":{"identitytoken":"t"}}}"#).unwrap();
        let mut registries = Registries {
            docker_config: Some(path),
            ..Registries::default()
        };
        let found = registries.of("r.example:5000").await.unwrap().unwrap();
        assert_eq!(
            (found.username.as_deref(), found.password.as_deref()),
            (Some("ann"), Some("secr:et"))
        );
        assert_eq!(
            registries
                .of("docker.io")
                .await
                .unwrap()
                .unwrap()
                .identitytoken
                .as_deref(),
            Some("t")
        );
        assert!(registries.of("other.example").await.unwrap().is_none());
        registries.own = Some(Arc::new(Ann));
        assert_eq!(
            registries
                .of("r.example:5000")
                .await
                .unwrap()
                .unwrap()
                .username
                .as_deref(),
            Some("agent")
        );
    }

    #[tokio::test]
    async fn a_broken_file_is_said_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, r#"{"auths":{"r.example":{"auth":"hunter2!"#).unwrap();
        let registries = Registries {
            docker_config: Some(path),
            ..Registries::default()
        };
        let error = registries.of("r.example").await.unwrap_err();
        assert!(
            error.contains("config.json") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
