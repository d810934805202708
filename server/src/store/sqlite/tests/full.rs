//! A full disk: writes are refused with the cause, and go on when there is room again.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{again, command, open};
use crate::store::{
    Append, Store, StoreError,
    conformance::sample::{evidence, only, piece, run_stream, to_run},
};

const DIR: &str = "FIREHALL_TEST_FULL_DIR";

/// In a mount namespace of its own, so that the small file system goes away with the process, whatever happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_survived() {
    if let Some(dir) = std::env::var_os(DIR) {
        return on_a_small_disk(Path::new(&dir)).await;
    }
    let dir = TempDir::new().unwrap();
    // Root may mount as it is; others get a user namespace.
    let root = command(&["unshare", "--mount", "true"].map(str::to_owned)).output();
    let flags: &[&str] = match root {
        Ok(output) if output.status.success() => &["--mount"],
        _ => &["--user", "--map-root-user", "--mount"],
    };
    let namespace = ["unshare"]
        .into_iter()
        .chain(flags.iter().copied())
        .chain(["sh", "-ec"]);
    let mount = "mount -t tmpfs -o size=2m tmpfs \"$FIREHALL_TEST_FULL_DIR\"; exec \"$@\"";
    let words = namespace.chain([mount, "sh"]).map(str::to_owned);
    let words: Vec<_> = words
        .chain(again(module_path!(), "a_full_disk_is_told_and_survived"))
        .collect();
    let output = command(&words).env(DIR, dir.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "needs user namespaces: {told}"
    );
}

async fn on_a_small_disk(dir: &Path) {
    let store = open(dir).await;
    store.append(only(to_run(1, 0, 1))).await.unwrap();
    store.write_logs(vec![piece(0, b"abc")]).await.unwrap();
    let ballast = dir.join("ballast");
    // Fails when the disk is full, which is what it is for.
    fs::write(&ballast, vec![0; 4 << 20]).unwrap_err();

    for _ in 0..3 {
        let big = Append {
            evidence: vec![evidence(1, &[1; 20_000])],
            ..only(to_run(1, 1, 1))
        };
        let (small, big) = tokio::join!(store.append(only(to_run(2, 0, 1))), store.append(big));
        for answer in [small, big] {
            assert!(
                matches!(&answer, Err(StoreError::Unavailable(cause)) if cause.contains("full")),
                "{answer:?}"
            );
        }
        let logs = store.write_logs(vec![piece(3, &[b'x'; 20_000])]).await;
        assert!(
            matches!(&logs, Err(StoreError::Unavailable(cause)) if cause.contains("full")),
            "{logs:?}"
        );
    }
    assert_eq!(
        store.events_after(0, 9).await.unwrap().len(),
        1,
        "reading goes on"
    );
    assert_eq!(*store.committed().borrow(), 1);

    fs::remove_file(&ballast).unwrap();
    assert_eq!(store.append(only(to_run(1, 1, 1))).await.unwrap(), 2);
    assert_eq!(store.write_logs(vec![piece(3, b"def")]).await.unwrap(), [6]);
    store.close().await;
    drop(store);
    let store = open(dir).await;
    assert_eq!(store.events(&run_stream(1), 0, 9).await.unwrap().len(), 2);
    store.close().await;
}
