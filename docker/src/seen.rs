//! What the daemon says of containers. Podman has states that Docker has not (`stopped`, `initialized`, `configured`), and
//! an answer with one of them is an answer all the same: it is read as far as it is needed here.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::connection::{Connection, DockerError};

/// A container, looked at by its name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Inspected {
    pub state: State,
}

/// What it does, or how it ended.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct State {
    /// The daemon's word.
    #[serde(default)]
    status: String,
    #[serde(default)]
    running: bool,
    /// The kernel killed something of it for memory.
    #[serde(default, rename = "OOMKilled")]
    pub oom_killed: bool,
}

impl State {
    /// Whether something of it runs. Podman's `stopping` and `paused` do, and it does not call them running.
    pub(crate) fn is_alive(&self) -> bool {
        self.running || matches!(self.status.as_str(), "paused" | "restarting" | "stopping")
    }
}

/// A container in a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    #[serde(default)]
    pub names: Vec<String>,
    #[serde(default)]
    pub labels: HashMap<String, String>,
    /// The daemon's word.
    #[serde(default)]
    pub state: String,
}

impl Connection {
    /// Awaits an answer, and reads it also where it has words that the client library does not know.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        what: &'static str,
        deadline: Duration,
        call: impl Future<Output = Result<impl Serialize, bollard::errors::Error>>,
    ) -> Result<T, DockerError> {
        let unread =
            |error: serde_json::Error| DockerError::here(what, format!("the daemon's answer: {error}"));
        let answered = async {
            match call.await {
                Ok(answer) => Ok(serde_json::to_value(answer).and_then(serde_json::from_value)),
                Err(bollard::errors::Error::JsonDataError { contents, .. }) => {
                    Ok(serde_json::from_str(&contents))
                }
                Err(error) => Err(error),
            }
        };
        self.call(what, deadline, answered).await?.map_err(unread)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn words_that_only_one_daemon_has_are_read() {
        for (json, alive) in [
            (r#"{"State":{"Status":"running","Running":true}}"#, true),
            (r#"{"State":{"Status":"paused","Running":false}}"#, true),
            (r#"{"State":{"Status":"stopping","Running":false}}"#, true),
            (
                r#"{"State":{"Status":"stopped","Running":false,"ExitCode":137}}"#,
                false,
            ),
            (r#"{"State":{"Status":"initialized","Running":false}}"#, false),
            (r#"{"State":{"Status":"exited","Running":false}}"#, false),
        ] {
            let found: Inspected = serde_json::from_str(json).unwrap();
            assert_eq!(found.state.is_alive(), alive, "{json}");
        }
        let one = r#"[{"Names":["/a"],"Labels":{"k":"v"},"State":"configured"}]"#;
        let listed: Vec<Listed> = serde_json::from_str(one).unwrap();
        assert_eq!(
            (listed[0].names[0].as_str(), listed[0].state.as_str()),
            ("/a", "configured")
        );
    }
}
