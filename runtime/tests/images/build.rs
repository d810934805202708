//! Images made here: a static busybox, and what a test puts beside it.

use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::OciImageManifest;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use sha2::{Digest as _, Sha256};

use crate::registry::{PASSWORD, Registry, USER};
use crate::support::block;

/// This machine in the words of images.
pub(crate) fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!(
        "sha256:{}",
        data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
    )
}

/// One layer's tar.
pub(crate) struct Layer(tar::Builder<Vec<u8>>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub(crate) fn file(mut self, path: &str, mode: u32, owner: u64, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        self.0.append_data(&mut header, path, content).unwrap();
        self
    }

    pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        self.0.append_link(&mut header, path, target).unwrap();
        self
    }

    pub(crate) fn dir(mut self, path: &str, mode: u32) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(mode);
        header.set_size(0);
        self.0.append_data(&mut header, path, &b""[..]).unwrap();
        self
    }

    pub(crate) fn tar(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// busybox with the usual names.
pub(crate) fn busybox() -> Layer {
    let program =
        std::fs::read("/bin/busybox").expect("busybox must be installed (apt-get install busybox-static)");
    let mut layer = Layer::new().file("bin/busybox", 0o755, 0, &program);
    for name in [
        "sh", "cat", "ls", "id", "pwd", "env", "touch", "stat", "sleep", "mkdir", "echo", "true", "readlink",
        "grep", "wget", "nslookup", "nc", "ip", "mount",
    ] {
        layer = layer.link(&format!("bin/{name}"), "busybox");
    }
    layer
        .file(
            "etc/passwd",
            0o644,
            0,
            b"root:x:0:0:root:/root:/bin/sh\napp:x:1234:1235:app:/app:/bin/sh\n",
        )
        .file("etc/group", 0o644, 0, b"root:x:0:\napp:x:1235:\nextra:x:77:app\n")
}

pub(crate) fn gzip(tar: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(tar).unwrap();
    gzip.finish().unwrap()
}

/// An image to be pushed: plain layers and what its configuration says.
pub(crate) struct Image {
    pub layers: Vec<Vec<u8>>,
    pub config: serde_json::Value,
    pub arch: &'static str,
}

impl Image {
    pub(crate) fn of(layers: Vec<Layer>) -> Self {
        Self {
            layers: layers.into_iter().map(Layer::tar).collect(),
            config: serde_json::json!({}),
            arch: arch(),
        }
    }

    pub(crate) fn says(self, config: serde_json::Value) -> Self {
        Self { config, ..self }
    }

    pub(crate) fn for_arch(self, arch: &'static str) -> Self {
        Self { arch, ..self }
    }

    pub(crate) fn config(&self) -> Vec<u8> {
        let ids: Vec<String> = self.layers.iter().map(|tar| digest(tar)).collect();
        let config = serde_json::json!({
            "architecture": self.arch, "os": "linux", "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": ids },
        });
        config.to_string().into_bytes()
    }
}

fn client(host: &str) -> Client {
    Client::new(ClientConfig {
        protocol: ClientProtocol::HttpsExcept(vec![host.to_owned()]),
        ..ClientConfig::default()
    })
}

/// Pushes an image, its layers gzipped, under a name; the manifest and its digest.
pub(crate) fn push(registry: &Registry, name: &str, image: &Image) -> (OciImageManifest, String) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let reference: Reference = format!("{}/{name}", registry.host).parse().unwrap();
    let auth = RegistryAuth::Basic(USER.to_owned(), PASSWORD.to_owned());
    let layers: Vec<ImageLayer> = image
        .layers
        .iter()
        .map(|tar| ImageLayer::oci_v1_gzip(gzip(tar), None))
        .collect();
    let config = Config::oci_v1(image.config(), None);
    let manifest = OciImageManifest::build(&layers, &config, None);
    let client = client(&registry.host);
    block(async {
        client
            .push(&reference, &layers, config, &auth, Some(manifest.clone()))
            .await
            .unwrap();
        let digest = client.fetch_manifest_digest(&reference, &auth).await.unwrap();
        (manifest, digest)
    })
}

/// Puts an index in front of manifests that were pushed to the same repository; its digest.
pub(crate) fn push_index(
    registry: &Registry,
    name: &str,
    entries: &[(&OciImageManifest, &str, &str)],
) -> String {
    let reference: Reference = format!("{}/{name}", registry.host).parse().unwrap();
    let entries: Vec<_> = entries
        .iter()
        .map(|(manifest, digest, arch)| {
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest,
                "size": serde_json::to_vec(manifest).unwrap().len(),
                "platform": { "os": "linux", "architecture": arch },
            })
        })
        .collect();
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries,
    });
    let bytes = index.to_string().into_bytes();
    let found = digest(&bytes);
    let auth = RegistryAuth::Basic(USER.to_owned(), PASSWORD.to_owned());
    let client = client(&registry.host);
    block(async {
        let kind = "application/vnd.oci.image.index.v1+json".parse().unwrap();
        client.store_auth_if_needed(&registry.host, &auth).await;
        client.push_manifest_raw(&reference, bytes, kind).await.unwrap();
    });
    found
}
