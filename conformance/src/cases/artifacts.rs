//! What is kept of a step: the bytes of its files, whole, and nothing that its paths lead to elsewhere.

use std::io::Read;
use std::os::unix::fs::FileExt;

use runtime::{ArtifactEnd, ContainerSpec, SpecArtifact};
use sha2::{Digest, Sha256};

use crate::place::{Place, Ran, sh};

crate::suite![
    files_are_kept_with_their_bytes,
    a_directory_is_kept_as_an_archive,
    an_archive_is_the_same_for_the_same_content,
    what_is_missing_is_told,
    a_link_is_not_followed,
    a_fifo_is_not_opened,
    a_directory_with_a_link_is_refused_whole,
    too_much_is_refused_and_leaves_nothing,
    a_file_with_holes_is_not_read,
    what_a_failed_step_left_is_kept,
    what_a_stopped_step_left_is_kept,
];

fn keeping(script: &str, artifacts: &[(&str, &str)]) -> ContainerSpec {
    let mut spec = sh(script);
    spec.artifact_bytes = 8 * 1024 * 1024;
    let artifacts = artifacts.iter().map(|(name, path)| SpecArtifact {
        name: (*name).to_owned(),
        path: (*path).to_owned(),
    });
    spec.artifacts = artifacts.collect();
    spec
}

/// The bytes of one that was kept.
fn kept(ran: &Ran, name: &str) -> Vec<u8> {
    let record = ran.record.artifacts.iter().find(|one| one.name == name).unwrap();
    let ArtifactEnd::Kept {
        offset,
        bytes,
        sha256,
        ..
    } = &record.end
    else {
        panic!("{name}: {:?}; {}", record.end, ran.err());
    };
    let mut data = vec![0; usize::try_from(*bytes).unwrap()];
    let file = std::fs::File::open(ran.dir.artifacts()).unwrap();
    file.read_exact_at(&mut data, *offset).unwrap();
    let digest: String = Sha256::digest(&data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(digest, *sha256);
    data
}

fn refused(ran: &Ran, name: &str) -> String {
    let record = ran.record.artifacts.iter().find(|one| one.name == name).unwrap();
    match &record.end {
        ArtifactEnd::Refused { why } => why.clone(),
        other => panic!("{name}: {other:?}; {}", ran.err()),
    }
}

fn listed(archive: &[u8]) -> Vec<(String, u32, String)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let path = entry.path().unwrap().display().to_string();
        (path, entry.header().mode().unwrap(), text)
    });
    entries.collect()
}

fn files_are_kept_with_their_bytes(place: &Place) {
    let script = "printf 'a\\000b\\377' > /tmp/bytes; : > /tmp/empty; mkdir -p /tmp/in/deep; \
        printf deep > '/tmp/in/deep/ü b'; head -c 3000000 /dev/zero > /tmp/zeros";
    let artifacts = [
        ("bytes", "/tmp/bytes"),
        ("empty", "/tmp/empty"),
        ("deep", "/tmp/in/deep/ü b"),
        ("zeros", "/tmp/zeros"),
    ];
    for user in [0, 1000] {
        let mut spec = keeping(script, &artifacts);
        spec.user = Some(user);
        let ran = place.run(&spec);
        assert_eq!(ran.record.code, Some(0), "{}", ran.err());
        assert_eq!(kept(&ran, "bytes"), b"a\0b\xff");
        assert_eq!(kept(&ran, "empty"), b"");
        assert_eq!(kept(&ran, "deep"), b"deep");
        assert!(kept(&ran, "zeros") == vec![0; 3_000_000]);
    }
}

fn a_directory_is_kept_as_an_archive(place: &Place) {
    let script = "mkdir -p /tmp/out/sub /tmp/out/empty /tmp/none; echo one > /tmp/out/b; echo two > /tmp/out/sub/a; \
        printf '#!/bin/sh\\n' > /tmp/out/run; chmod 755 /tmp/out/run; chmod 644 /tmp/out/b /tmp/out/sub/a; \
        chmod 755 /tmp/out/sub /tmp/out/empty";
    let ran = place.run(&keeping(script, &[("out", "/tmp/out"), ("none", "/tmp/none")]));
    let entry = |path: &str, mode, text: &str| (path.to_owned(), mode, text.to_owned());
    let expected = [
        entry("b", 0o644, "one\n"),
        entry("empty", 0o755, ""),
        entry("run", 0o755, "#!/bin/sh\n"),
        entry("sub", 0o755, ""),
        entry("sub/a", 0o644, "two\n"),
    ];
    assert_eq!(listed(&kept(&ran, "out")), expected);
    assert_eq!(listed(&kept(&ran, "none")), []);
    assert!(ran.record.artifacts.iter().all(|one| matches!(
        one.end,
        ArtifactEnd::Kept {
            is_directory: true,
            ..
        }
    )));
}

fn an_archive_is_the_same_for_the_same_content(place: &Place) {
    let script = |order: &str| {
        format!(
            "mkdir /tmp/out; for f in {order}; do echo $f > /tmp/out/$f; done; touch -d @1700000000 /tmp/out/*"
        )
    };
    let archives = ["c a b", "b c a"].map(|order| {
        let ran = place.run(&keeping(&script(order), &[("out", "/tmp/out")]));
        kept(&ran, "out")
    });
    assert!(archives[0] == archives[1]);
}

fn what_is_missing_is_told(place: &Place) {
    let ran = place.run(&keeping(
        "echo x > /tmp/file",
        &[("a", "/tmp/none"), ("b", "/tmp/none/deeper")],
    ));
    assert_eq!(ran.record.code, Some(0));
    assert!(
        ran.record
            .artifacts
            .iter()
            .all(|one| one.end == ArtifactEnd::Missing)
    );
}

fn a_link_is_not_followed(place: &Place) {
    let script = "ln -s /etc/shadow /tmp/shadow; ln -s /proc/1/environ /tmp/environ; ln -s /etc /tmp/etc; \
        ln -s /tmp/real /tmp/inside; echo real > /tmp/real";
    let artifacts = [
        ("shadow", "/tmp/shadow"),
        ("environ", "/tmp/environ"),
        ("through", "/tmp/etc/passwd"),
        ("inside", "/tmp/inside"),
    ];
    for user in [0, 1000] {
        let mut spec = keeping(script, &artifacts);
        spec.user = Some(user);
        let ran = place.run(&spec);
        for (name, why) in [
            ("shadow", "is a link"),
            ("environ", "is a link"),
            ("through", "which is no directory"),
            ("inside", "is a link"),
        ] {
            assert!(refused(&ran, name).contains(why), "{name}");
        }
    }
}

fn a_fifo_is_not_opened(place: &Place) {
    let ran = place.run(&keeping(
        "mkfifo /tmp/fifo; mkdir /tmp/out; mkfifo /tmp/out/fifo",
        &[("fifo", "/tmp/fifo"), ("out", "/tmp/out")],
    ));
    assert_eq!(ran.record.code, Some(0), "{}", ran.err());
    assert!(refused(&ran, "fifo").contains("no regular file"));
    assert!(refused(&ran, "out").contains("no regular file"));
}

fn a_directory_with_a_link_is_refused_whole(place: &Place) {
    let ran = place.run(&keeping(
        "mkdir -p /tmp/out/a; echo x > /tmp/out/a/x; ln -s /etc/passwd /tmp/out/z; echo y > /tmp/y",
        &[("out", "/tmp/out"), ("y", "/tmp/y")],
    ));
    assert!(refused(&ran, "out").contains("is a link"));
    assert_eq!(kept(&ran, "y"), b"y\n");
}

fn too_much_is_refused_and_leaves_nothing(place: &Place) {
    let mut spec = keeping(
        "head -c 600000 /dev/zero > /tmp/a; head -c 600000 /dev/zero > /tmp/b; mkdir /tmp/d; \
         head -c 300000 /dev/zero > /tmp/d/1; head -c 300000 /dev/zero > /tmp/d/2; echo c > /tmp/c",
        &[("a", "/tmp/a"), ("b", "/tmp/b"), ("d", "/tmp/d"), ("c", "/tmp/c")],
    );
    spec.artifact_bytes = 1_000_000;
    let ran = place.run(&spec);
    assert_eq!(kept(&ran, "a").len(), 600_000);
    assert!(refused(&ran, "b").contains("at most 1000000"));
    assert!(refused(&ran, "d").contains("at most 1000000"));
    assert_eq!(kept(&ran, "c"), b"c\n");
    assert_eq!(std::fs::metadata(ran.dir.artifacts()).unwrap().len(), 600_002);
}

fn a_file_with_holes_is_not_read(place: &Place) {
    let ran = place.run(&keeping("truncate -s 1T /tmp/holes", &[("holes", "/tmp/holes")]));
    assert!(refused(&ran, "holes").contains("at least 1099511627776 bytes"));
}

fn what_a_failed_step_left_is_kept(place: &Place) {
    let ran = place.run(&keeping(
        "echo why > /tmp/report; exit 3",
        &[("report", "/tmp/report")],
    ));
    assert_eq!(ran.record.code, Some(3));
    assert_eq!(kept(&ran, "report"), b"why\n");
}

fn what_a_stopped_step_left_is_kept(place: &Place) {
    let mut spec = keeping(
        "trap '' TERM; echo begun > /tmp/report; echo up; while :; do sleep 1; done",
        &[("report", "/tmp/report")],
    );
    spec.grace_ms = 100;
    let running = place.start(&spec);
    running.says("up");
    place.stop(&running);
    let ran = place.end(&running);
    assert!(ran.record.stopped && ran.record.killed_after_grace);
    assert_eq!(kept(&ran, "report"), b"begun\n");
}
