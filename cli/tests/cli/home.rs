//! The binary in an environment of its own: an empty home, nothing of the caller's variables but `PATH`.

use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A home directory that nobody else has.
pub(crate) struct Home {
    dir: TempDir,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Writes a file below the home directory; gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The binary, to be given more before it is run.
    pub(crate) fn firehall(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firehall"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end; the home directory's path is `HOME` in what it says.
    pub(crate) fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Ended {
        let Output {
            status,
            stdout,
            stderr,
        } = self.firehall(args).envs(env.iter().copied()).output().unwrap();
        let home = self.dir.path().display().to_string();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&home, "HOME");
        Ended {
            code: status.code().unwrap(),
            out: text(stdout),
            err: text(stderr),
        }
    }
}
