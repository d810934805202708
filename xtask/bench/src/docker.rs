//! The peer: `docker run`, where a daemon runs.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

/// One static busybox, made on this machine.
pub(crate) const IMAGE: &str = "firehall-bench-busybox:local";

/// A usable daemon with our image in it.
pub(crate) struct Docker {
    pub(crate) version: String,
}

impl Docker {
    /// Looks for a daemon and imports a one-file image made of this machine's busybox: nothing is pulled. The reason
    /// why not, when it cannot be used.
    pub(crate) fn find() -> Result<Self> {
        let output = Command::new("docker")
            .args(["version", "--format", "{{.Server.Version}}"])
            .output();
        let output = output.context("no docker on the path")?;
        ensure!(output.status.success(), "no Docker daemon answers");
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .into_iter()
            .find(|path| std::path::Path::new(path).is_file());
        let busybox = busybox.context("no busybox to make an image of (apt-get install busybox-static)")?;
        let linked = Command::new("ldd").arg(busybox).output()?;
        let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
        ensure!(
            !linked.contains("=>"),
            "{busybox} is not static (apt-get install busybox-static)"
        );
        let script = format!(
            "set -e; d=$(mktemp -d); mkdir $d/bin; cp {busybox} $d/bin/busybox; ln -s busybox $d/bin/sh; \
            ln -s busybox $d/bin/true; tar -C $d -c . | docker import - {IMAGE} >/dev/null; rm -r $d"
        );
        ensure!(
            Command::new("sh").args(["-c", &script]).status()?.success(),
            "docker import failed"
        );
        Ok(Self {
            version: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        })
    }

    /// Runs so many, one after the other.
    pub(crate) fn run(&self, steps: usize) -> Result<Duration> {
        let begun = Instant::now();
        for _ in 0..steps {
            let mut command = Command::new("docker");
            command.args([
                "run",
                "--rm",
                "--network",
                "none",
                "--read-only",
                "--cap-drop",
                "ALL",
            ]);
            command.args([
                "--security-opt",
                "no-new-privileges",
                "--memory",
                "256m",
                "--pids-limit",
                "256",
            ]);
            command.args([
                "--user", "1000", "--tmpfs", "/tmp", IMAGE, "/bin/sh", "-e", "-c", "true",
            ]);
            let output = command.stdin(Stdio::null()).output()?;
            if !output.status.success() {
                bail!("docker run: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        Ok(begun.elapsed())
    }
}
