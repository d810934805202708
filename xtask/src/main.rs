//! The project's own automation: `cargo xtask test`, `promises`, `generate`, `bench`, `deb`, `fuzz`, `soak`,
//! `fixtures`.

mod daemon;
mod deb;
mod error_index;
mod fixtures;
mod fuzz;
mod generate;
mod promises;
mod setup;
mod sh;
mod test;
#[cfg(test)]
mod tidy;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "\
cargo xtask test [--full] [--fixtures DIR]   set up, check, build and test everything
cargo xtask promises                         what is promised, by which tests, and how far it is proven
cargo xtask generate [--check]               write the generated pages, or check that they are as they should be
cargo xtask bench [ARGS]                     measure, and write BENCHMARKS.md (see `cargo xtask bench --help`)
cargo xtask deb [--out DIR]                  make a Debian package
cargo xtask fuzz [TARGET] [--seconds N]      run the fuzz targets, a minute each unless said otherwise
cargo xtask soak [--seed N] [--schedules N] [--minutes M]
                                             random work under random faults, 5000 schedules unless said otherwise
cargo xtask fixtures DIR                     send every file of a folder through the real binary";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["test", rest @ ..] => return test::run(&test::Options::parse(rest)?),
        ["promises"] => promises::run()?,
        ["generate"] => generate::run(generate::Mode::Write)?,
        ["generate", "--check"] => generate::run(generate::Mode::Check)?,
        ["bench", rest @ ..] => bench(rest)?,
        ["deb", rest @ ..] => deb::run(rest)?,
        ["fuzz", rest @ ..] => fuzz::run(rest)?,
        ["soak", rest @ ..] => soak(rest)?,
        ["fixtures", dir] => {
            sh::cargo(&["build", "--package", "cli"]).run()?;
            fixtures::run(std::path::Path::new(dir))?;
        }
        ["--help" | "help"] => println!("{USAGE}"),
        _ => bail!("usage:\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Random schedules of faults on the real binary; see `tests/src/schedule`.
fn soak(args: &[&str]) -> Result<()> {
    sh::cargo(&["build", "--package", "cli", "--package", "e2e", "--bins"]).run()?;
    let firehall = sh::firehall();
    sh::Cmd::new(sh::target_dir().join("debug/soak"))
        .env("FIREHALL_BIN", &firehall.to_string_lossy())
        .args(args)
        .run()
        .context("a schedule went wrong, or the arguments did")
}

/// The measuring program is a package of its own, so that `cargo xtask test` need not build what it links.
fn bench(args: &[&str]) -> Result<()> {
    setup::ensure(setup::BENCH)?;
    sh::cargo(&["build", "--release", "--package", "cli", "--package", "bench"]).run()?;
    let program = sh::target_dir().join("release/bench");
    sh::Cmd::new(program)
        .args(args)
        .run()
        .context("measuring did not end well")
}
