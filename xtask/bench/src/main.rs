//! The figures of BENCHMARKS.md: each against its floor or peer, measured in turns within one run.
//!
//! Started by `cargo xtask bench`, which builds the release binary beside this program first.

mod bare;
mod docker;
mod engine;
mod flushes;
mod http;
mod idle;
mod incident;
mod machine;
mod many;
mod peer;
mod report;
mod stack;
mod steps;
mod table;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::table::Row;

const USAGE: &str = "\
cargo xtask bench [--rounds N] [--only ROWS] [--no-write]

  --rounds N    rounds of each measurement, at least 10 (12 by default)
  --only ROWS   which rows of the table: 2 3 4 7 8 9 11, separated by commas; then nothing is written
  --no-write    print only";

/// Fewer tell nothing about a median.
const ROUNDS_MIN: usize = 10;

struct Options {
    rounds: usize,
    only: Option<Vec<u32>>,
    write: bool,
}

impl Options {
    fn wants(&self, row: u32) -> bool {
        self.only.as_ref().is_none_or(|rows| rows.contains(&row))
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, count] = args.as_slice()
        && first == peer::LOOP
    {
        return peer::run(count);
    }
    if args.iter().any(|arg| arg == "--help") {
        println!("{USAGE}");
        return Ok(());
    }
    let options = parse(&args)?;
    let machine = machine::describe();
    println!("{machine}");
    let mut rows: Vec<Row> = Vec::new();
    if options.wants(2) || options.wants(3) {
        rows.extend(steps::measure(options.rounds)?);
    }
    if options.wants(4) {
        rows.push(engine::measure(options.rounds)?);
    }
    if options.wants(7) {
        rows.extend(flushes::measure(options.rounds)?);
    }
    if options.wants(8) {
        rows.extend(many::measure(options.rounds)?);
    }
    if options.wants(9) {
        rows.extend(incident::measure(options.rounds)?);
    }
    if options.wants(11) {
        rows.extend(idle::measure(options.rounds)?);
    }
    rows.retain(|row| options.wants(row.number));
    let tables = report::tables(&rows);
    println!("\n{tables}");
    if options.write && options.only.is_none() {
        report::write(&machine, options.rounds, &tables)?;
    }
    Ok(())
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options {
        rounds: 12,
        only: None,
        write: true,
    };
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        let mut value = || {
            args.next()
                .with_context(|| format!("{arg} needs a value\n{USAGE}"))
        };
        match arg {
            "--rounds" => options.rounds = value()?.parse()?,
            "--only" => options.only = Some(value()?.split(',').map(str::parse).collect::<Result<_, _>>()?),
            "--no-write" => options.write = false,
            _ => bail!("unexpected {arg}\n{USAGE}"),
        }
    }
    if options.rounds < ROUNDS_MIN {
        bail!("fewer than {ROUNDS_MIN} rounds tell nothing");
    }
    Ok(options)
}
