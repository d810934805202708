//! The suite's subject: the docker runtime on one daemon.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use conformance::{Answers, Ids, Signals, Subject};
use docker::{Docker, Host, Registries, Settings};
use runtime::{LimitsBy, Runtime};

const INSIDE: &str = env!("CARGO_BIN_EXE_firehall-inside-test");

/// The daemon at the address that this gives.
pub(crate) struct OnDaemon {
    pub host: fn() -> Host,
    pub podman: bool,
}

impl OnDaemon {
    /// What the daemon answers to whoever asks; of version 1.0, so that the answer ends.
    fn asked(&self, what: &str, body: &[u8]) -> String {
        let path = (self.host)().to_string();
        let mut stream = UnixStream::connect(path.trim_start_matches("unix://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let length = body.len();
        let head = format!(
            "{what} HTTP/1.0\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"),
            "{what}: {answer}"
        );
        answer
    }
}

impl Subject for OnDaemon {
    fn open(&self, state: &Path) -> Arc<dyn Runtime> {
        let settings = Settings {
            state: state.to_owned(),
            program: INSIDE.into(),
            owner: state.display().to_string(),
            registries: Registries::default(),
        };
        let connecting = Docker::connect((self.host)(), settings);
        Arc::new(tokio::runtime::Handle::current().block_on(connecting).unwrap())
    }

    fn answers(&self) -> Answers {
        Answers {
            signals: Signals::Apart,
            ids: Ids::Same,
            limits: LimitsBy::Cgroup,
            cgroup_namespace: !self.podman || !Path::new("/sys/fs/cgroup/memory").exists(),
        }
    }

    fn load(&self, _: &Path, archive: &[u8]) {
        let answer = self.asked("POST /images/load?quiet=1", archive);
        assert!(!answer.contains("\"error\""), "{answer}");
    }

    fn unload(&self, name: &str) {
        self.asked(&format!("DELETE /images/{name}?force=1"), &[]);
    }

    /// Its container, as the daemon lists it to whoever asks.
    fn remains(&self, id: &str) -> Vec<String> {
        let answer = self.asked("GET /containers/json?all=true", &[]);
        let name = format!("firehall-{id}");
        let there = answer.contains(&format!("\"/{name}\""));
        there.then_some(name).into_iter().collect()
    }
}
