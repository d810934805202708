//! Debian's docker-registry on a port of its own, with or without a password.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use crate::support::PATIENCE;

pub(crate) const USER: &str = "puller";
pub(crate) const PASSWORD: &str = "s3cret-of-the-registry";
/// `htpasswd -B`: the registry takes no other form.
const HTPASSWD: &str = "puller:$2b$05$abcdefghijklmnopqrstuuW1e3orFpi1hSyUIjjQsvB7886Cb.S5.\n";

pub(crate) struct Registry {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub host: String,
    dir: tempfile::TempDir,
}

impl Registry {
    pub(crate) fn open() -> Self {
        Self::start("")
    }

    /// One that lets nobody in without a password.
    pub(crate) fn locked() -> Self {
        Self::start("auth:\n  htpasswd:\n    realm: test\n    path: HERE/htpasswd\n")
    }

    fn start(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().to_str().unwrap();
        std::fs::write(dir.path().join("htpasswd"), HTPASSWD).unwrap();
        let config = format!(
            "version: 0.1\nlog:\n  level: info\n  accesslog:\n    disabled: true\n\
             storage:\n  delete:\n    enabled: true\n  filesystem:\n    rootdirectory: HERE/blobs\n\
             http:\n  addr: 127.0.0.1:0\n{more}"
        );
        let path = dir.path().join("config.yml");
        std::fs::write(&path, config.replace("HERE", here)).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry must be installed (apt-get install docker-registry)");
        let host = listening(&mut child);
        Self { child, host, dir }
    }

    /// A blob as the registry keeps it, to be broken.
    pub(crate) fn blob(&self, digest: &str) -> std::path::PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let below = format!("blobs/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
        self.dir.path().join(below)
    }

    /// Docker's config.json with the password.
    pub(crate) fn login(&self, dir: &Path) -> std::path::PathBuf {
        let auth = data_encoding::BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes());
        let path = dir.join("config.json");
        let json = serde_json::json!({ "auths": { &self.host: { "auth": auth } } });
        std::fs::write(&path, json.to_string()).unwrap();
        path
    }
}

/// Reads the port that the kernel gave from the registry's log, and the rest of the log so that it never blocks.
fn listening(child: &mut Child) -> String {
    let log = BufReader::new(child.stderr.take().unwrap());
    let (found, host) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on ") {
                let host: String = rest
                    .chars()
                    .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
                    .collect();
                drop(found.try_send(host));
            }
        }
    });
    host.recv_timeout(PATIENCE).expect("docker-registry must listen")
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
