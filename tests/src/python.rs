//! The tests' own Python, and `grpcurl` as the documents use it.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// The interpreter with the packages that `tests/python/requirements.txt` pins.
///
/// # Panics
/// When it is not there: `cargo xtask test` sets it up.
#[must_use]
pub fn interpreter() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let target = test.ancestors().nth(3).expect("target/debug/deps/TEST");
    let python = target.join("python/bin/python");
    assert!(
        python.exists(),
        "{} is not there: `cargo xtask test` sets it up",
        python.display()
    );
    python
}

/// One of the programs in `tests/python`.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}

/// Puts a program `grpcurl` into a folder, for a PATH: the real one's command line, as far as the documents use it.
///
/// # Errors
/// The folder cannot be written.
pub fn grpcurl(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("grpcurl");
    let text = format!(
        "#!/bin/sh\nexec '{}' '{}' \"$@\"\n",
        interpreter().display(),
        script("grpcurl.py").display()
    );
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
