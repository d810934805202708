//! Logins to registries out of the agent's file. Runtimes read Docker's own form of a credentials file, anew for each image: it
//! is written here, in memory of the host only, with the passwords of now and whatever `docker login` knows beside them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use types::{Failure, FailureKind, HOST_IMAGE, ImageName};

use crate::{file::RegistryLogin, secrets::Secrets};

/// Docker Hub, and its older name in that file.
const HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// The logins, and where runtimes find them.
pub(crate) struct Registries {
    logins: BTreeMap<String, RegistryLogin>,
    /// What `docker login` wrote.
    below: Option<PathBuf>,
    /// Ours; none without a file system in memory.
    file: Option<PathBuf>,
    /// `auth` by registry, as written last.
    written: Mutex<BTreeMap<String, String>>,
}

impl Registries {
    pub(crate) fn new(
        logins: BTreeMap<String, RegistryLogin>,
        below: Option<PathBuf>,
        file: Option<PathBuf>,
    ) -> Self {
        Self {
            logins,
            below,
            file,
            written: Mutex::default(),
        }
    }

    /// The file for runtimes.
    pub(crate) fn credentials(&self) -> Option<PathBuf> {
        if self.logins.is_empty() {
            self.below.clone()
        } else {
            self.file.clone()
        }
    }

    /// Sees to it that the file has the login for an image, with its password of now.
    ///
    /// # Errors
    /// The password is not to be had, or there is no place in memory for it.
    pub(crate) async fn ready(&self, image: &str, secrets: &Secrets) -> Result<(), Failure> {
        if image == HOST_IMAGE || self.logins.is_empty() {
            return Ok(());
        }
        let start = |message: String| Failure::new(FailureKind::Start, message);
        let Some(file) = &self.file else {
            return Err(start(
                "this host has no file system in memory, where the logins of [registries] could be kept"
                    .to_owned(),
            ));
        };
        let mut written = self.written.lock().await;
        let registry = ImageName::parse(image).map(|name| name.registry);
        let login = registry.as_ref().and_then(|registry| self.logins.get(registry));
        if let (Some(registry), Some(login)) = (registry, login) {
            let password = secrets.get(&login.password).await.map_err(Failure::from)?;
            let plain = format!("{}:{}", login.username, password.expose());
            let key = if registry == HUB.0 {
                HUB.1.to_owned()
            } else {
                registry
            };
            written.insert(key, BASE64.encode(plain.as_bytes()));
        }
        let write = || write(file, self.below.as_deref(), &written);
        write().map_err(|error| start(format!("the logins of [registries] cannot be written: {error}")))
    }
}

/// Docker's form, ours over what is below; replaced as a whole, so that no reader sees half of it.
fn write(file: &Path, below: Option<&Path>, ours: &BTreeMap<String, String>) -> io::Result<()> {
    let mut all: Map<String, Value> = match below.map(std::fs::read) {
        Some(Ok(text)) => serde_json::from_slice(&text)?,
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => Map::new(),
    };
    for (registry, auth) in ours {
        for (part, value) in [("auths", Some(json!({ "auth": auth }))), ("credHelpers", None)] {
            let entry = all.entry(part).or_insert_with(|| json!({}));
            let Value::Object(entry) = entry else {
                return Err(io::Error::other(format!("{part} is no object in docker's file")));
            };
            entry.remove(registry);
            entry.extend(value.map(|value| (registry.clone(), value)));
        }
    }
    crate::secrets::private(file.parent().unwrap_or(Path::new("/")))?;
    let new = file.with_extension("new");
    let mut to = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    to.write_all(&serde_json::to_vec(&all)?)?;
    std::fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use types::Secret;

    use super::*;
    use crate::{file::AgentFile, secrets::Masks};

    #[tokio::test]
    async fn a_login_is_there_with_the_password_of_now_beside_those_of_docker_login() {
        let dir = tempfile::tempdir().unwrap();
        let (below, file) = (
            dir.path().join("docker.json"),
            dir.path().join("own/registries.json"),
        );
        std::fs::write(
            &below,
            r#"{"auths":{"other.example":{"auth":"eDp5"}},"credHelpers":{"r.example:5000":"pass"}}"#,
        )
        .unwrap();
        let login = RegistryLogin {
            username: "ci".to_owned(),
            password: "REGISTRY".to_owned(),
        };
        let logins = BTreeMap::from([
            ("r.example:5000".to_owned(), login.clone()),
            (HUB.0.to_owned(), login),
        ]);
        let registries = Registries::new(logins, Some(below), Some(file.clone()));
        assert_eq!(registries.credentials(), Some(file.clone()));
        let read = || serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap();
        for password in ["first-password", "second-password"] {
            let fixed = BTreeMap::from([("REGISTRY".to_owned(), Secret::new(password.to_owned()))]);
            let secrets = Secrets::new(fixed, &AgentFile::default(), Arc::new(Masks::new()));
            registries
                .ready("r.example:5000/team/app:1", &secrets)
                .await
                .unwrap();
            registries.ready("alpine", &secrets).await.unwrap();
            let auth = BASE64.encode(format!("ci:{password}").as_bytes());
            assert_eq!(read()["auths"]["r.example:5000"]["auth"], auth.as_str());
            assert_eq!(read()["auths"][HUB.1]["auth"], auth.as_str());
        }
        assert_eq!(read()["auths"]["other.example"]["auth"], "eDp5");
        assert!(read()["credHelpers"].get("r.example:5000").is_none());
        let secrets = Secrets::new(BTreeMap::new(), &AgentFile::default(), Arc::new(Masks::new()));
        let failure = registries.ready("r.example:5000/x", &secrets).await.unwrap_err();
        assert!(
            failure.message.contains("no secret named REGISTRY"),
            "{}",
            failure.message
        );
        assert!(registries.ready("host", &secrets).await.is_ok());
    }
}
