//! `cargo xtask fuzz`: each target of `fuzz/` for a bounded time, by libFuzzer. What it finds is kept as a file that the
//! ordinary test replays from then on.

#[cfg(test)]
mod replay;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::sh;

/// Its version is part of the build of what it runs.
const CARGO_FUZZ: &str = "0.13.2";
/// Seconds for each target when nothing is said.
const SECONDS: u32 = 60;
/// One input may take so many seconds (a debug build of a hostile definition takes one).
const TIMEOUT: u32 = 20;
const RSS_MB: u32 = 2_048;

/// A target with the folders of the project that it begins from, besides `fuzz/seeds/NAME` and `fuzz/regressions/NAME`.
struct Target {
    name: &'static str,
    fixtures: &'static [&'static str],
    /// The largest input, bytes.
    most: u32,
}

const TARGETS: [Target; 5] = [
    Target {
        name: "definition",
        fixtures: &["workflow/tests/ok", "workflow/tests/err", "runbooks"],
        most: 16 * 1024,
    },
    Target {
        name: "expression",
        fixtures: &[],
        most: 2 * 1024,
    },
    Target {
        name: "history",
        fixtures: &["engine/tests/golden/v1", "engine/tests/golden/v2"],
        most: 32 * 1024,
    },
    Target {
        name: "message",
        fixtures: &[],
        most: 4 * 1024,
    },
    Target {
        name: "webhook",
        fixtures: &["cli/src/commands/demo"],
        most: 16 * 1024,
    },
];

impl Target {
    /// Folders of inputs that are in the repository; those that are there.
    fn inputs(&self) -> Vec<PathBuf> {
        let own = ["seeds", "regressions"].map(|kind| format!("fuzz/{kind}/{}", self.name));
        let fixtures = self.fixtures.iter().map(ToString::to_string);
        own.into_iter()
            .chain(fixtures)
            .map(|folder| sh::root().join(folder))
            .filter(|folder| folder.is_dir())
            .collect()
    }
}

/// `[TARGET] [--seconds N]`.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let (mut seconds, mut only) = (SECONDS, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "--seconds" => {
                let given = args.next().context("--seconds takes a number")?;
                seconds = given.parse().context("--seconds takes a number")?;
            }
            name => {
                let found = TARGETS.iter().find(|target| target.name == name);
                let names = TARGETS.map(|target| target.name).join(", ");
                only = Some(
                    found
                        .with_context(|| format!("no target {name:?}: {names}"))?
                        .name,
                );
            }
        }
    }
    let cargo_fuzz = tool()?;
    let mut failed = Vec::new();
    for target in TARGETS
        .iter()
        .filter(|target| only.is_none_or(|name| name == target.name))
    {
        if let Some(kept) = fuzz(&cargo_fuzz, target, seconds)? {
            println!(
                "== fuzz {}: FAILED, its input is kept: {}",
                target.name,
                kept.display()
            );
            println!(
                "   reproduce: cargo xtask fuzz {} --seconds 1, or cargo nextest run -p xtask fuzz::replay",
                target.name
            );
            failed.push(target.name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("inputs were found that break: {}", failed.join(", "))
}

/// cargo-fuzz: the one on the path, else one of our own below the target directory.
fn tool() -> Result<PathBuf> {
    if sh::has("cargo-fuzz") {
        return Ok(PathBuf::from("cargo-fuzz"));
    }
    let home = sh::target_dir().join("tools");
    let own = home.join("bin/cargo-fuzz");
    if !own.is_file() {
        println!(
            "missing: cargo-fuzz (it builds what libFuzzer runs); installing it into {}",
            home.display()
        );
        let version = format!("cargo-fuzz@{CARGO_FUZZ}");
        sh::cargo(&["install", "--locked", "--quiet", &version, "--root"])
            .args([&home])
            .run()
            .context("cargo-fuzz cannot be installed")?;
    }
    Ok(own)
}

fn command(cargo_fuzz: &Path, verb: &str, target: &str) -> Command {
    let mut command = Command::new(cargo_fuzz);
    // Without a sanitizer a stable compiler does: what is looked for are panics, not memory.
    command
        .current_dir(sh::root())
        .args(["fuzz", verb, "--sanitizer", "none", "--target-dir"])
        .arg(sh::target_dir().join("fuzz"))
        .arg(target)
        .stdin(Stdio::null());
    command
}

/// Runs one target; the input that broke it, if one did.
fn fuzz(cargo_fuzz: &Path, target: &Target, seconds: u32) -> Result<Option<PathBuf>> {
    println!("== fuzz {}: {seconds} s", target.name);
    let built = command(cargo_fuzz, "build", target.name).status()?;
    if !built.success() {
        bail!("fuzz/ does not build");
    }
    let grown = sh::target_dir().join("fuzz-corpus").join(target.name);
    let found = sh::target_dir().join("fuzz-found").join(target.name);
    for folder in [&grown, &found] {
        std::fs::create_dir_all(folder)?;
    }
    let mut run = command(cargo_fuzz, "run", target.name);
    run.arg(&grown).args(target.inputs()).arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-timeout={TIMEOUT}"),
        format!("-rss_limit_mb={RSS_MB}"),
        format!("-max_len={}", target.most),
        format!("-artifact_prefix={}/", found.display()),
        "-print_final_stats=1".to_owned(),
    ]);
    let dictionary = sh::root().join(format!("fuzz/dictionaries/{}.dict", target.name));
    if dictionary.is_file() {
        run.arg(format!("-dict={}", dictionary.display()));
    }
    let output = run.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    println!("   {}", summary(&said));
    if output.status.success() {
        return Ok(None);
    }
    let tail: Vec<&str> = said.lines().rev().take(40).collect();
    println!("{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    keep(target, &found).map(Some)
}

/// Moves the newest input that broke the target to its regressions.
fn keep(target: &Target, found: &Path) -> Result<PathBuf> {
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(found)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    inputs.sort_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    let newest = inputs
        .pop()
        .context("libFuzzer failed without an input: see above")?;
    let name = newest.file_name().context("an input has a name")?;
    let kept = sh::root().join("fuzz/regressions").join(target.name).join(name);
    std::fs::copy(&newest, &kept).with_context(|| format!("cannot keep {}", kept.display()))?;
    std::fs::remove_file(&newest)?;
    Ok(kept)
}

/// What libFuzzer counted: executions, and coverage in edges and features.
fn summary(said: &str) -> String {
    let stat = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start_matches(':').trim().to_owned())
    };
    let runs = stat("stat::number_of_executed_units").unwrap_or_else(|| "?".to_owned());
    let speed = stat("stat::average_exec_per_sec").unwrap_or_else(|| "?".to_owned());
    let last = said
        .lines()
        .rev()
        .find(|line| line.contains(" cov: "))
        .unwrap_or_default();
    let word = |name: &str| {
        last.split(name)
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap_or("?")
    };
    format!(
        "{runs} executions ({speed} a second), coverage {} edges, {} features, corpus {}",
        word(" cov: "),
        word(" ft: "),
        word(" corp: ")
    )
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn what_libfuzzer_counted_is_read() {
        let said = "#1\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 1Mb\n#900\tDONE   cov: 512 ft: 900 corp: 42/9Kb lim: 4 \
                    exec/s: 30 rss: 2Mb\nstat::number_of_executed_units: 900\nstat::average_exec_per_sec:     30\n";
        assert_eq!(
            summary(said),
            "900 executions (30 a second), coverage 512 edges, 900 features, corpus 42/9Kb"
        );
    }
}
