//! What stays on the disk, what goes, and images from archives.

use std::time::Duration;

use images::{ImageError, Keep};
use runtime::{Found, Pull, Runtime};

use crate::build::{Image, Layer, busybox, digest, gzip, push};
use crate::registry::Registry;
use crate::support::{Place, block, sh};

const NOTHING: Keep = Keep {
    bytes: 0,
    age: Duration::ZERO,
};

fn names(place: &Place) -> Vec<String> {
    let listed = place.images.store().list().unwrap();
    listed.into_iter().map(|image| image.reference).collect()
}

fn entries(place: &Place, below: &str) -> usize {
    std::fs::read_dir(place.path("images").join(below))
        .unwrap()
        .count()
}

/// `docker save`'s form.
fn docker_archive(image: &Image, name: &str) -> Vec<u8> {
    let config = image.config();
    let mut tar = Layer::new().file("config.json", 0o644, 0, &config);
    let layers: Vec<String> = (0..image.layers.len())
        .map(|n| format!("layer{n}/layer.tar"))
        .collect();
    for (path, layer) in layers.iter().zip(&image.layers) {
        tar = tar.file(path, 0o644, 0, layer);
    }
    let manifest = serde_json::json!([{ "Config": "config.json", "RepoTags": [name], "Layers": layers }]);
    tar.file("manifest.json", 0o644, 0, manifest.to_string().as_bytes())
        .tar()
}

/// An OCI archive, its layers gzipped.
fn oci_archive(image: &Image, name: &str) -> (Vec<u8>, String) {
    let config = image.config();
    let blobs: Vec<Vec<u8>> = image.layers.iter().map(|layer| gzip(layer)).collect();
    let described = |bytes: &[u8], kind: &str| serde_json::json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() });
    let layers: Vec<_> = blobs
        .iter()
        .map(|blob| described(blob, "application/vnd.oci.image.layer.v1.tar+gzip"))
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described(&config, "application/vnd.oci.image.config.v1+json"), "layers": layers,
    })
    .to_string();
    let mut entry = described(manifest.as_bytes(), "application/vnd.oci.image.manifest.v1+json");
    entry["annotations"] = serde_json::json!({ "org.opencontainers.image.ref.name": name });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [entry] });
    let mut tar = Layer::new().file("index.json", 0o644, 0, index.to_string().as_bytes());
    for blob in blobs
        .iter()
        .map(Vec::as_slice)
        .chain([config.as_slice(), manifest.as_bytes()])
    {
        let hex = digest(blob).replace("sha256:", "blobs/sha256/");
        tar = tar.file(&hex, 0o644, 0, blob);
    }
    (tar.tar(), digest(manifest.as_bytes()))
}

#[test]
fn archives_of_both_forms_are_loaded_and_run_without_a_registry() {
    let place = Place::new();
    let image = || {
        Image::of(vec![
            busybox(),
            Layer::new().file("note", 0o644, 0, b"from an archive\n"),
        ])
    };
    let docker = place.path("docker.tar.gz");
    std::fs::write(&docker, gzip(&docker_archive(&image(), "tools:1"))).unwrap();
    let (bytes, manifest) = oci_archive(&image(), "registry.example.com/team/tools:2");
    let oci = place.path("oci.tar");
    std::fs::write(&oci, &bytes).unwrap();
    let store = place.images.store();
    let loaded = block(store.load(&docker, None)).unwrap();
    assert_eq!(loaded[0].reference, "docker.io/library/tools:1");
    let loaded = block(store.load(&oci, None)).unwrap();
    assert_eq!(
        (loaded[0].reference.as_str(), loaded[0].digest.as_str()),
        ("registry.example.com/team/tools:2", manifest.as_str())
    );
    block(store.load(&oci, Some("other:3"))).unwrap();
    for name in ["tools:1", "registry.example.com/team/tools:2", "other:3"] {
        let mut spec = sh(name, "cat /note");
        spec.pull = Pull::Never;
        let ran = place.run(spec);
        assert_eq!(ran.out, "from an archive\n", "{name} {ran:?}");
    }
    assert_eq!(entries(&place, "layers"), 2, "the same layers are there once");
    // A name that pins something else does not get it.
    let pinned = format!("other@sha256:{}", "0".repeat(64));
    let error = block(store.load(&oci, Some(&pinned))).unwrap_err();
    assert!(matches!(error, ImageError::Digest { .. }), "{error}");

    // What is none, or was changed on the way.
    std::fs::write(&oci, "no archive").unwrap();
    let error = block(store.load(&oci, None)).unwrap_err();
    assert!(error.to_string().contains("oci.tar"), "{error}");
    let mut image = image();
    let archive = docker_archive(&image, "tools:4");
    image.layers[1] = Layer::new().file("note", 0o644, 0, b"from a stranger\n").tar();
    let changed = docker_archive(&image, "tools:4");
    let at = archive
        .windows(16)
        .position(|bytes| bytes == b"from an archive\n")
        .unwrap();
    let mut forged = archive.clone();
    forged[at..at + 16].copy_from_slice(b"from a stranger\n");
    assert_ne!(changed, archive);
    std::fs::write(&oci, forged).unwrap();
    let fresh = Place::new();
    let error = block(fresh.images.store().load(&oci, None)).unwrap_err();
    assert!(matches!(error, ImageError::Digest { .. }), "{error}");
    assert_eq!((names(&fresh).len(), entries(&fresh, "tmp")), (0, 0));
}

#[test]
fn what_nothing_uses_goes_and_what_runs_stays() {
    let registry = Registry::open();
    let place = Place::new();
    let own = |text: &str| {
        Image::of(vec![
            busybox(),
            Layer::new().file("own", 0o644, 0, text.as_bytes()),
        ])
    };
    let name = |tag: &str| format!("{}/tool:{tag}", registry.host);
    for tag in ["runs", "idle"] {
        push(&registry, &format!("tool:{tag}"), &own(tag));
        block(place.images.ensure(&name(tag), Pull::Missing)).unwrap();
    }
    let store = place.images.store();
    assert_eq!(entries(&place, "layers"), 3);
    // Young and small: all of it stays.
    assert_eq!(
        store.prune(Keep::default()).unwrap().unwrap().names,
        Vec::<String>::new()
    );

    let spec = sh(
        &name("runs"),
        "echo up; while ! [ -e /tmp/never ]; do sleep 0.05; done; cat /own",
    );
    let dir = place.path(&spec.id);
    block(async {
        let Found::Running(running) = Runtime::start(&place.native, &dir, spec, Vec::new())
            .await
            .unwrap()
        else {
            panic!("it must run");
        };
        // The agent's own hold goes with its handle; the shim's must be enough, as after a crash of the agent.
        let adopted = loop {
            if std::fs::read(dir.join("out")).is_ok_and(|out| out == b"up\n") {
                drop(running);
                break Runtime::adopt(&place.native, &dir).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let pruned = store.prune(NOTHING).unwrap().unwrap();
        assert_eq!(pruned.names, [name("idle")]);
        assert!(pruned.bytes > 0);
        assert_eq!(names(&place), [name("runs")]);
        assert!(store.list().unwrap()[0].in_use);
        assert_eq!(entries(&place, "layers"), 2);
        Runtime::stop(&place.native, &dir).await.unwrap();
        let Found::Running(adopted) = adopted else {
            panic!("it must still run");
        };
        adopted.wait().await.unwrap();
    });
    assert_eq!(store.prune(NOTHING).unwrap().unwrap().names, [name("runs")]);
    for below in ["layers", "images", "refs", "locks", "tmp"] {
        assert_eq!(entries(&place, below), 0, "{below}");
    }
    // Gone is not broken: it is fetched again.
    assert_eq!(place.sh(&name("idle"), "cat /own").out, "idle");
}

#[test]
fn what_a_crash_left_in_the_middle_of_unpacking_goes_and_is_not_taken_for_a_layer() {
    let registry = Registry::open();
    let place = Place::new();
    push(&registry, "tool", &Image::of(vec![busybox()]));
    let half = place.path("images/tmp/0000.1.0");
    std::fs::create_dir_all(half.join("fs/bin")).unwrap();
    std::fs::write(half.join("fs/bin/sh"), "half").unwrap();
    let name = format!("{}/tool", registry.host);
    let (_image, _hold) = block(place.images.ensure(&name, Pull::Missing)).unwrap();
    let store = place.images.store();
    // One that is being filled now is locked, and stays.
    let busy = place.path("images/tmp/1111.1.0");
    std::fs::create_dir(&busy).unwrap();
    let lock = std::fs::File::open(&busy).unwrap();
    lock.lock().unwrap();
    assert_eq!(
        store.prune(NOTHING).unwrap().unwrap().names,
        Vec::<String>::new(),
        "it is held"
    );
    assert!(!half.exists() && busy.exists());
    assert_eq!(place.sh(&name, "echo whole").out, "whole\n");
}
