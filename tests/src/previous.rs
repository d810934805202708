//! The build before this one, for what must work between the two.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The commit that counts as the previous version.
const COMMIT: &str = include_str!("../previous");

/// The previous binary: `FIREHALL_PREVIOUS`, else built once from git into `target/previous`, which takes minutes.
///
/// # Panics
/// When git does not hold that commit, or it does not build.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("FIREHALL_PREVIOUS") {
        return PathBuf::from(path);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let dir = root.join("target/previous").join(COMMIT.trim());
    fs::create_dir_all(&dir).expect("a directory");
    // One test builds, the others wait; the kernel lets go of it with the process.
    let lock = File::create(dir.join("lock")).expect("a file");
    lock.lock().expect("a lock");
    let built = dir.join("target/debug/firehall");
    if !built.is_file() {
        unpack(&root, &dir.join("source"));
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--locked", "--package", "cli", "--target-dir"])
            .arg(dir.join("target"))
            .current_dir(dir.join("source"));
        succeed(&mut cargo);
    }
    built
}

/// The sources of that commit.
fn unpack(root: &Path, into: &Path) {
    fs::create_dir_all(into).expect("a directory");
    let mut archive = Command::new("git");
    archive
        .args(["archive", COMMIT.trim()])
        .current_dir(root)
        .stdout(Stdio::piped());
    let mut archive = archive.spawn().expect("git");
    let from = archive.stdout.take().expect("its output");
    succeed(Command::new("tar").arg("-x").current_dir(into).stdin(from));
    let status = archive.wait().expect("git ends");
    assert!(
        status.success(),
        "git holds no commit {} (tests/previous): a shallow clone? Set FIREHALL_PREVIOUS to a binary of it",
        COMMIT.trim()
    );
}

fn succeed(command: &mut Command) {
    let status = command.status().expect("it starts");
    assert!(status.success(), "{command:?}: {status}");
}
