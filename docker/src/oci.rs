//! What really starts the containers: the daemon's OCI runtime, as the daemon tells of it.

use bollard::models::{SystemInfo, SystemVersion};

use crate::connection::{CALL, DockerError};
use crate::runtime_impl::Docker;

/// The daemon's OCI runtime; what the daemon does not tell is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OciRuntime {
    /// Its name on the daemon: `runc`, `crun`.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What it was built from: a commit, or a package's version.
    pub commit: Option<String>,
}

impl Docker {
    /// The OCI runtime that containers get which ask for none, as ours.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn oci_runtime(&self) -> Result<OciRuntime, DockerError> {
        let connection = &self.inner.connection;
        let asking = connection.client.version();
        let version = connection.call("cannot ask the daemon's version", CALL, asking);
        let version = version.await?;
        // In a box: the answer is large.
        let asking = Box::pin(connection.client.info());
        let info = connection.call("cannot ask the daemon about itself", CALL, asking);
        Ok(told(&version, &info.await?))
    }
}

/// Docker's component has the runtime's name, a version, and a commit beside it; Podman's is `OCI Runtime (runc)` and has
/// what `runc --version` says.
fn told(version: &SystemVersion, info: &SystemInfo) -> OciRuntime {
    let name = info.default_runtime.clone().filter(|name| !name.is_empty());
    let podmans = name.as_ref().map(|name| format!("OCI Runtime ({name})"));
    let mut components = version.components.iter().flatten();
    let found =
        components.find(|one| Some(&one.name) == name.as_ref() || Some(&one.name) == podmans.as_ref());
    let words = found.map(|one| one.version.as_str()).unwrap_or_default();
    let first = words.lines().next().unwrap_or_default();
    let line = words.lines().find_map(|line| line.strip_prefix("commit:"));
    let details = found.and_then(|one| one.details.as_ref());
    let beside = details.and_then(|details| details.get("GitCommit"));
    // The daemon's own word is of runc alone.
    let runcs = info.runc_commit.as_ref().and_then(|commit| commit.id.as_ref());
    let runcs = runcs.filter(|_| name.as_deref() == Some("runc"));
    let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty() && text != "N/A");
    OciRuntime {
        version: some(first.rsplit_once("version ").map_or(first, |(_, number)| number)),
        commit: line
            .and_then(some)
            .or_else(|| beside.and_then(|commit| some(commit)))
            .or_else(|| runcs.and_then(|commit| some(commit))),
        name,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn of(version: &str, info: &str) -> (Option<String>, Option<String>, Option<String>) {
        let told = told(
            &serde_json::from_str(version).unwrap(),
            &serde_json::from_str(info).unwrap(),
        );
        (told.name, told.version, told.commit)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn docker_names_version_and_commit() {
        let version = r#"{"Components": [{"Name": "Engine", "Version": "20.10.24"},
            {"Name": "runc", "Version": "1.1.5", "Details": {"GitCommit": "v1.1.5-0-gf19387a"}}]}"#;
        let info = r#"{"DefaultRuntime": "runc", "RuncCommit": {"ID": "f19387a"}}"#;
        assert_eq!(
            of(version, info),
            (some("runc"), some("1.1.5"), some("v1.1.5-0-gf19387a"))
        );
        let bare = r#"{"Components": [{"Name": "runc", "Version": ""}]}"#;
        assert_eq!(of(bare, info), (some("runc"), None, some("f19387a")));
        // Another one is not taken for runc.
        let other = r#"{"DefaultRuntime": "crun", "RuncCommit": {"ID": "f19387a"}}"#;
        assert_eq!(of(version, other), (some("crun"), None, None));
    }

    #[test]
    fn podman_gives_the_runtimes_own_words() {
        let version = r#"{"Components": [{"Name": "OCI Runtime (runc)",
            "Version": "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev"}]}"#;
        let info = r#"{"DefaultRuntime": "runc", "RuncCommit": {"ID": ""}}"#;
        assert_eq!(
            of(version, info),
            (some("runc"), some("1.1.5+ds1"), some("1.1.5+ds1-1+deb12u1"))
        );
    }

    #[test]
    fn what_is_not_told_is_absent() {
        assert_eq!(of("{}", "{}"), (None, None, None));
        let unknown = r#"{"Components": [{"Name": "runc", "Version": "N/A"}]}"#;
        let info = r#"{"DefaultRuntime": "runc", "RuncCommit": {"ID": "N/A"}}"#;
        assert_eq!(of(unknown, info), (some("runc"), None, None));
    }
}
