#![allow(clippy::unwrap_used, reason = "tests")]
//! `check`, `compile` and `explain` on the real binary, as a person, a script and a code host use them.

mod actions;
mod check;
mod compile;
mod explain;
mod hostile;

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

/// A definition without an error.
pub(crate) const GOOD: &str = "name: good\nsteps:\n  a:\n    image: host\n    run: echo hi\n";
/// One with a misspelt key on line 6.
pub(crate) const WRONG: &str =
    "name: wrong\nsteps:\n  a:\n    image: host\n    run: echo hi\n    tiemout: 5s\n";

/// Runs the binary in a folder, with the given bytes on standard input.
pub(crate) fn firehall(folder: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_firehall"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It need not read all of it: a pipe that is closed is an answer too.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Its exit code, standard output and standard error.
pub(crate) fn answer(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = firehall(folder, args, b"");
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// A folder with files.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
    folder
}
