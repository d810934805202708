//! Images made here, of busybox: nothing is fetched from outside.

use bollard::Docker;
use bollard::query_parameters::{ImportImageOptions, RemoveImageOptionsBuilder};
use futures::StreamExt;
use sha2::{Digest, Sha256};

/// Loads an image under a name: `/bin/busybox` as `/bin/sh`, an environment and a working directory of its own.
pub(crate) async fn load(client: &Docker, name: &str, arch: &str) {
    let says = serde_json::json!({ "Env": ["PATH=/bin", "FROM=the-image"], "WorkingDir": "/srv" });
    load_saying(client, name, arch, &says).await;
}

/// With what its configuration says.
pub(crate) async fn load_saying(client: &Docker, name: &str, arch: &str, says: &serde_json::Value) {
    let layer = layer();
    let diff = hex(&layer);
    let config = serde_json::json!({
        "architecture": arch,
        "os": "linux",
        "config": says,
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff}")] },
    })
    .to_string();
    let manifest =
        serde_json::json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in [
        ("config.json", config.as_bytes()),
        ("layer.tar", layer.as_slice()),
        ("manifest.json", manifest.to_string().as_bytes()),
    ] {
        file(&mut tar, path, bytes, 0o644);
    }
    let body = bollard::body_full(tar.into_inner().unwrap().into());
    let loaded: Vec<_> = client
        .import_image(ImportImageOptions::default(), body, None)
        .collect()
        .await;
    for step in loaded {
        step.unwrap();
    }
}

/// Takes it away.
pub(crate) async fn unload(client: &Docker, name: &str) {
    let force = RemoveImageOptionsBuilder::default().force(true).build();
    client.remove_image(name, Some(force), None).await.unwrap();
}

fn layer() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    file(&mut tar, "bin/busybox", &busybox, 0o755);
    for name in ["sh", "true", "id"] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox")
            .unwrap();
    }
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(0o755);
    tar.append_data(&mut header, "srv/", std::io::empty()).unwrap();
    tar.into_inner().unwrap()
}

fn file(tar: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8], mode: u32) {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    tar.append_data(&mut header, path, bytes).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}
