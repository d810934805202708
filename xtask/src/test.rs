//! `cargo xtask test`: the whole gate. Every part runs even when an earlier one failed; nextest comes last and keeps the
//! last line.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Result, bail};

use crate::{daemon, fixtures, fuzz, generate, promises, setup, sh};

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Also what takes longer.
    full: bool,
    /// A folder of real payloads and definitions.
    fixtures: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(args: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match (*arg, args.as_slice()) {
                ("--full", _) => options.full = true,
                ("--fixtures", [dir, ..]) => {
                    options.fixtures = Some(PathBuf::from(dir));
                    args.next();
                }
                _ => bail!("cargo xtask test: unexpected {arg:?}"),
            }
        }
        Ok(options)
    }
}

/// What takes longer: their names say so, and a filter keeps them out.
const LONG: &str = "test(/(^|::)full_/)";

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    setup::ensure(setup::TEST)?;
    setup::ensure(setup::DEB)?;
    if options.full {
        setup::ensure(setup::FULL)?;
    }
    if !sh::has("cargo-nextest") {
        bail!("cargo-nextest is missing: https://nexte.st/docs/installation/pre-built-binaries/");
    }
    let mut parts = Parts::default();
    parts.run("python for the tests", setup::python);
    parts.run("node for the tests", setup::node);
    parts.run("format", || sh::cargo(&["fmt", "--all", "--check"]).run());
    let mut docker = None;
    parts.run("docker for the tests", || {
        docker = Some(daemon::Daemon::ensure()?);
        Ok(())
    });
    // Tests cannot run on what does not build: the one part that ends everything.
    parts.run("build", || {
        sh::cargo(&["build", "--workspace", "--all-targets", "--locked"]).run()
    });
    if parts.failed.contains(&"build") {
        bail!("failed: {}", parts.failed.join(", "));
    }
    parts.run("lints", || {
        sh::cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ])
        .run()
    });
    parts.run("generated pages", || generate::run(generate::Mode::Check));
    parts.run("promises", promises::run);
    match &options.fixtures {
        Some(dir) => parts.run("real payloads and definitions", || fixtures::run(dir)),
        None => println!("== no --fixtures DIR: real payloads and definitions are not sent"),
    }
    if options.full {
        parts.run("fuzz", || fuzz::run(&[]));
    } else {
        parts.run("list of what --full adds", say_what_is_left_out);
    }
    if !parts.failed.is_empty() {
        println!("== FAILED before the tests: {}", parts.failed.join(", "));
    }
    let profile = if options.full { "full" } else { "ci" };
    println!("== tests ({profile})");
    let tests = sh::cargo(&["nextest", "run", "--workspace", "--locked", "--profile", profile]).run();
    // Ours ends here, before the verdict is given.
    drop(docker);
    match tests {
        Ok(()) if parts.failed.is_empty() => Ok(ExitCode::SUCCESS),
        // nextest has had its say: nothing may stand below its summary.
        _ => Ok(ExitCode::FAILURE),
    }
}

/// The parts before the tests, and which of them failed.
#[derive(Default)]
struct Parts {
    failed: Vec<&'static str>,
}

impl Parts {
    fn run(&mut self, name: &'static str, part: impl FnOnce() -> Result<()>) {
        println!("== {name}");
        let begun = Instant::now();
        match part() {
            Ok(()) => println!("== {name}: ok, {} s", begun.elapsed().as_secs()),
            Err(error) => {
                println!("== {name}: FAILED\n{error:#}");
                self.failed.push(name);
            }
        }
    }
}

fn say_what_is_left_out() -> Result<()> {
    let listed = sh::cargo(&[
        "nextest",
        "list",
        "--workspace",
        "--locked",
        "--profile",
        "full",
        "--filterset",
        LONG,
        "--message-format",
        "oneline",
    ])
    .read()?;
    let long: Vec<&str> = listed.lines().filter(|line| !line.trim().is_empty()).collect();
    println!("not run without --full ({}):", long.len());
    for test in long {
        println!("  {test}");
    }
    println!(
        "not run by any test: cargo xtask bench (figures), firehall demo --slack real (needs a workspace)"
    );
    Ok(())
}
