//! Debian's docker-registry on loopback, which lets nobody in without a password, and images made here for it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use data_encoding::{BASE64, HEXLOWER};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::http::{self, Answer};

/// Who may pull and push.
pub const USER: &str = "puller";
/// The password.
pub const PASSWORD: &str = "s3cret-of-the-registry";
/// `htpasswd -B`: the registry takes no other form.
const HTPASSWD: &str = "puller:$2b$05$abcdefghijklmnopqrstuuW1e3orFpi1hSyUIjjQsvB7886Cb.S5.\n";
/// How long it may take to come up on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry that goes with this value.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    dir: tempfile::TempDir,
    /// `127.0.0.1:PORT`.
    pub host: String,
}

/// An image of a static busybox.
#[derive(Debug, Clone)]
pub struct Image {
    /// What `/note` says.
    pub note: &'static str,
    /// The processor, in Go's words; none for this machine's.
    pub arch: Option<&'static str>,
}

/// An image in a registry.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// Of the manifest: what a workflow pins.
    pub digest: String,
    /// Of the only layer.
    pub layer: String,
}

impl Registry {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not come up: `apt-get install docker-registry`.
    #[must_use]
    pub fn locked() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let htpasswd = dir.path().join("htpasswd");
        std::fs::write(&htpasswd, HTPASSWD).expect("a file");
        let config = json!({
            "version": "0.1",
            "log": { "level": "info", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": dir.path().join("blobs") } },
            "http": { "addr": "127.0.0.1:0" },
            "auth": { "htpasswd": { "realm": "test", "path": htpasswd } },
        });
        let path = dir.path().join("config.yml");
        std::fs::write(&path, config.to_string()).expect("a file");
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed");
        let host = listening(&mut child);
        Self { child, dir, host }
    }

    /// Pushes an image under `REPOSITORY:TAG`.
    ///
    /// # Panics
    /// When the registry does not take it.
    #[must_use]
    pub fn push(&self, name: &str, image: &Image) -> Pushed {
        let (repository, tag) = name.rsplit_once(':').expect("a tag");
        let layer = image.layer();
        let config = image.config(&layer);
        let described = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described("application/vnd.oci.image.config.v1+json", &config),
            "layers": [described("application/vnd.oci.image.layer.v1.tar", &layer)],
        })
        .to_string()
        .into_bytes();
        for blob in [&layer, &config] {
            self.upload(repository, blob);
        }
        let path = format!("/v2/{repository}/manifests/{tag}");
        let put = self.asks("PUT", &path, &[("Content-Type", MANIFEST)], &manifest);
        assert_eq!(put.status, 201, "{}", put.body);
        Pushed {
            digest: digest(&manifest),
            layer: digest(&layer),
        }
    }

    fn upload(&self, repository: &str, blob: &[u8]) {
        let begun = self.asks("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        let to = begun
            .head
            .lines()
            .find_map(|line| line.strip_prefix("Location: "));
        let to = to.unwrap_or_else(|| panic!("no upload: {}", begun.head));
        let (_, path) = to.split_once(&self.host).expect("its own address");
        let path = format!("{path}&digest={}", digest(blob));
        let kind = [("Content-Type", "application/octet-stream")];
        let put = self.asks("PUT", &path, &kind, blob);
        assert_eq!(put.status, 201, "{}", put.body);
    }

    fn asks(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let login = format!("Basic {}", BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes()));
        let headers = [headers, &[("Authorization", login.as_str())]].concat();
        let to = self.host.parse().expect("an address");
        http::request(to, method, path, &headers, body).expect("the registry answers")
    }

    /// Changes one byte of a blob, behind the registry's back.
    ///
    /// # Panics
    /// When there is no such blob.
    pub fn spoil(&self, digest: &str) {
        let path = self.blob(digest);
        let mut bytes = std::fs::read(&path).expect("a blob");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).expect("a blob");
    }

    /// Ends it; nobody listens there any more.
    pub fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let below = format!("blobs/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
        self.dir.path().join(below)
    }
}

impl Image {
    /// One for this machine.
    #[must_use]
    pub const fn saying(note: &'static str) -> Self {
        Self { note, arch: None }
    }

    fn layer(&self) -> Vec<u8> {
        let root = tempfile::tempdir().expect("a directory");
        let make = |path: &str, bytes: &[u8]| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, bytes).expect("a file");
        };
        let busybox = Path::new("/bin/busybox");
        make(
            "bin/busybox",
            &std::fs::read(busybox).expect("busybox-static is installed"),
        );
        make("note", self.note.as_bytes());
        for name in ["sh", "cat", "id"] {
            let link = root.path().join("bin").join(name);
            std::os::unix::fs::symlink("busybox", link).expect("a link");
        }
        let packed = Command::new("tar")
            .args([
                "--create",
                "--owner=0",
                "--group=0",
                "--mode=a+rX,u+w,+x",
                "--directory",
            ])
            .arg(root.path())
            .arg(".")
            .output()
            .expect("tar is installed");
        assert!(
            packed.status.success(),
            "{}",
            String::from_utf8_lossy(&packed.stderr)
        );
        packed.stdout
    }

    fn config(&self, layer: &[u8]) -> Vec<u8> {
        let here = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        json!({
            "architecture": self.arch.unwrap_or(here), "os": "linux",
            "config": { "Env": ["PATH=/bin"] },
            "rootfs": { "type": "layers", "diff_ids": [digest(layer)] },
        })
        .to_string()
        .into_bytes()
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}

/// The port that the kernel gave, from the registry's log; the rest of the log is read so that it never blocks.
fn listening(child: &mut Child) -> String {
    let log = BufReader::new(child.stderr.take().expect("its log"));
    let (found, host) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on ") {
                let address = rest
                    .chars()
                    .take_while(|c| c.is_ascii_digit() || ".:".contains(*c));
                drop(found.try_send(address.collect::<String>()));
            }
        }
    });
    host.recv_timeout(PATIENCE).expect("docker-registry listens")
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.end();
    }
}
