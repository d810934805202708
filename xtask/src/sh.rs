//! Running programs: the command line in the error, output passed through or captured.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The binary as the ordinary build leaves it.
pub(crate) fn firehall() -> PathBuf {
    target_dir().join("debug/firehall")
}

/// A program to run in the project's folder, without standard input.
pub(crate) struct Cmd(Command);

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root()).stdin(Stdio::null());
        Self(command)
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.0.args(args);
        self
    }

    /// Runs it in another folder.
    pub(crate) fn in_folder(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end with its output passed through.
    pub(crate) fn run(mut self) -> Result<()> {
        let status = self
            .0
            .status()
            .with_context(|| format!("cannot run {:?}", self.0))?;
        if status.success() {
            return Ok(());
        }
        bail!("{:?}: {status}", self.0)
    }

    /// Its standard output; its standard error is passed through.
    pub(crate) fn read(mut self) -> Result<String> {
        self.0.stderr(Stdio::inherit());
        let output = self
            .0
            .output()
            .with_context(|| format!("cannot run {:?}", self.0))?;
        if !output.status.success() {
            bail!("{:?}: {}", self.0, output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("{:?}: its output is not UTF-8", self.0))
    }
}

/// This very cargo.
pub(crate) fn cargo(args: &[&str]) -> Cmd {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cmd = Cmd::new(cargo);
    // What cargo tells us about our own package would make build scripts that look at it run again, for all who follow.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_")
            || name.to_string_lossy().starts_with("CARGO_MANIFEST_")
        {
            cmd.0.env_remove(name);
        }
    }
    cmd.args(args)
}

/// Whether a program is on the path.
pub(crate) fn has(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}
