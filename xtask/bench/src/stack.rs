//! The product as processes: the release binary, fresh data directories, all of it gone at the end.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing that is measured takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The release binary beside this program.
pub(crate) fn firehall() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("firehall");
    ensure!(
        path.is_file(),
        "{} is not there: cargo xtask bench builds it",
        path.display()
    );
    Ok(path)
}

/// Processes of one measurement.
pub(crate) struct Stack {
    dir: TempDir,
    /// Whether system calls that flush are written down.
    traced: bool,
    children: Vec<(String, Child)>,
    pub(crate) address: SocketAddr,
}

impl Stack {
    /// A server alone.
    pub(crate) fn start(traced: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("fh-bench-").tempdir()?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut stack = Self {
            dir,
            traced,
            children: Vec::new(),
            address,
        };
        let data = stack.dir.path().join("server");
        let data = data.to_string_lossy();
        stack.address = stack.listener(
            "server",
            &["server", "--listen", "127.0.0.1:0", "--data-dir", &data],
            &[],
        )?;
        Ok(stack)
    }

    /// The Slack emulator; answers its address.
    pub(crate) fn emulator(&mut self) -> Result<SocketAddr> {
        self.listener("emulator", &["emulator", "slack"], &[])
    }

    /// An agent; returns once it is connected.
    pub(crate) fn agent(&mut self, name: &str, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
        let data = self
            .dir
            .path()
            .join(format!("agent-{name}"))
            .to_string_lossy()
            .into_owned();
        let url = format!("http://{}", self.address);
        let base = [
            "agent",
            "--server",
            &url,
            "--name",
            name,
            "--data-dir",
            &data,
            "--allow",
            "host-view:proc,network:host",
        ];
        let child = self
            .command(name, &[&base, args].concat(), env)?
            .stdout(Stdio::null())
            .spawn()?;
        self.children.push((name.to_owned(), child));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let agents = self.json(&["agents"])?;
            let found = agents
                .as_array()
                .into_iter()
                .flatten()
                .find(|agent| agent["name"] == name);
            if found.is_some_and(|agent| agent["state"] == "connected") {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("agent {name} did not connect:\n{}", self.said(name));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn listener(&mut self, name: &str, args: &[&str], env: &[(&str, &str)]) -> Result<SocketAddr> {
        let mut child = self.command(name, args, env)?.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no pipe")?;
        self.children.push((name.to_owned(), child));
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim_end()
            .strip_prefix("listening on http://")
            .and_then(|text| text.parse().ok());
        address.with_context(|| format!("{name} did not start: {line:?}\n{}", self.said(name)))
    }

    fn command(&self, name: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Command> {
        let mut command = if self.traced {
            let mut strace = Command::new("strace");
            strace.args([
                // Only the calls that are traced stop: else everything between the flushes would be many times slower.
                "--seccomp-bpf",
                "-f",
                "-qq",
                "-y",
                "-e",
                "trace=fsync,fdatasync,sync_file_range,msync",
                "-e",
                "signal=none",
                "-o",
            ]);
            strace.arg(self.trace(name)).arg(firehall()?);
            strace
        } else {
            Command::new(firehall()?)
        };
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(env.iter().copied()).stdin(Stdio::null());
        command.stderr(std::fs::File::create(
            self.dir.path().join(format!("{name}.log")),
        )?);
        Ok(command)
    }

    fn trace(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.strace"))
    }

    /// Flushes so far of these processes, by process and file.
    pub(crate) fn flushes(&self, names: &[&str]) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for name in names {
            let text = std::fs::read_to_string(self.trace(name))?;
            // A call that another thread's line interrupts stands on two lines: the second says `resumed`.
            for line in text
                .lines()
                .filter(|line| line.contains('(') && !line.contains("resumed>"))
            {
                // `12 fdatasync(9</tmp/x/history.db-wal>) = 0`: the path by strace -y.
                let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                let file = path.map_or("?", |(path, _)| path.rsplit('/').next().unwrap_or(path));
                *counts.entry(format!("{name} {file}")).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// Memory of a process that is not traced, KiB in RAM now: its own, and the mapped pages of its program.
    pub(crate) fn resident_kib(&self, name: &str) -> Result<f64> {
        self.status_kib(name, "VmRSS:")
    }

    /// Of that, what is in no file, KiB: what other processes cannot share and the kernel cannot drop.
    pub(crate) fn private_kib(&self, name: &str) -> Result<f64> {
        self.status_kib(name, "RssAnon:")
    }

    fn status_kib(&self, name: &str, field: &str) -> Result<f64> {
        let (_, child) = self
            .children
            .iter()
            .find(|(one, _)| one == name)
            .with_context(|| format!("no process {name}"))?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
        Ok(kib.with_context(|| format!("no {field}"))?.trim().parse()?)
    }

    pub(crate) fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// A client command; answers its standard output.
    pub(crate) fn cli(&self, args: &[&str]) -> Result<String> {
        let url = format!("http://{}", self.address);
        let output = Command::new(firehall()?)
            .args(args)
            .env("FIREHALL_SERVER", url)
            .stdin(Stdio::null())
            .output()?;
        // `watch` exits with the run's outcome; what matters here is read from the history.
        if output.status.success() || args.first() == Some(&"watch") {
            return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
        }
        bail!(
            "firehall {args:?}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// Waits until an agent has removed what its attempts left: a container of a daemon would outlive it.
    pub(crate) fn swept(&self, agent: &str) -> Result<()> {
        let attempts = self.dir.path().join(format!("agent-{agent}/attempts"));
        let deadline = Instant::now() + PATIENCE;
        while std::fs::read_dir(&attempts)?.next().is_some() {
            ensure!(Instant::now() < deadline, "attempts stay: {}", self.said(agent));
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    pub(crate) fn json(&self, args: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.cli(&[args, &["-o", "json"]].concat())?,
        )?)
    }

    /// Runs a definition by one client, which watches it to its end: a second one, that starts in the middle, would take a core from
    /// what is measured. Answers it from the history.
    pub(crate) fn run(&self, file: &str) -> Result<Value> {
        let said = self.cli(&["run", "--watch", file])?;
        let run = said.split_whitespace().find(|word| word.starts_with("run_"));
        self.json(&["show", run.with_context(|| format!("no run: {said}"))?])
    }

    /// Waits for a run's end; answers it from the history.
    pub(crate) fn ended(&self, run: &str) -> Result<Value> {
        self.cli(&["watch", run])?;
        self.json(&["show", run])
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for (_, mut child) in self.children.drain(..).rev() {
            let pid = child.id().cast_signed();
            // strace passes TERM to nobody: its child is asked, and strace follows.
            let target = if self.traced {
                first_child(pid).unwrap_or(pid)
            } else {
                pid
            };
            end(&mut child, target);
        }
    }
}

#[expect(
    unsafe_code,
    reason = "kill(2) takes only numbers; the process is our own child"
)]
fn end(child: &mut Child, target: i32) {
    unsafe { libc::kill(target, libc::SIGTERM) };
    let deadline = Instant::now() + Duration::from_secs(20);
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    // It may be gone already: both are fine.
    let _ = child.kill();
    let _ = child.wait();
}

fn first_child(pid: i32) -> Option<i32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_ascii_whitespace().next()?.parse().ok()
}

/// Milliseconds since 1970 of a moment in the history, `2026-01-02T03:04:05.678Z`.
pub(crate) fn millis(moment: &Value) -> Result<f64> {
    let text = moment.as_str().with_context(|| format!("no moment: {moment}"))?;
    let number = |range: std::ops::Range<usize>| -> Result<i64> {
        text.get(range)
            .and_then(|part| part.parse().ok())
            .with_context(|| format!("no moment: {text}"))
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second, milli) = (number(11..13)?, number(14..16)?, number(17..19)?, number(20..23)?);
    // Days of the civil calendar since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of this century fit a double exactly"
    )]
    Ok((seconds * 1_000 + milli) as f64)
}

/// How long a run took by its own history, milliseconds.
pub(crate) fn took(run: &Value) -> Result<f64> {
    Ok(millis(&run["finished_at"])? - millis(&run["started_at"])?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn moments_are_read() {
        let at = |text: &str| super::millis(&serde_json::json!(text)).ok();
        assert_eq!(at("1970-01-01T00:00:02.005Z"), Some(2_005.0));
        assert_eq!(at("2024-02-29T12:00:00.000Z"), Some(1_709_208_000_000.0));
        assert_eq!(at("soon"), None);
    }
}
