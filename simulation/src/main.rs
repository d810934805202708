//! `simulation SEED [PLANTED]`: one seed's record on standard output; 1 when something happened that must not.

use std::process::ExitCode;

use simulation::{planted::Planted, world};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let parsed = match args.as_slice() {
        [seed] => seed.parse().ok().map(|seed| Ok((seed, None))),
        [seed, planted] => seed
            .parse()
            .ok()
            .map(|seed| planted.parse::<Planted>().map(|one| (seed, Some(one)))),
        _ => None,
    };
    let (seed, planted) = match parsed {
        Some(Ok(parsed)) => parsed,
        Some(Err(error)) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
        None => {
            eprintln!(
                "usage: simulation SEED [{}]",
                Planted::ALL.map(|one| one.to_string()).join("|")
            );
            return ExitCode::from(2);
        }
    };
    let outcome = world::run(seed, planted);
    for line in &outcome.lines {
        println!("{line}");
    }
    println!("seed {seed}: {}", outcome.summary);
    match outcome.violation {
        None => ExitCode::SUCCESS,
        Some(what) => {
            println!("VIOLATION: {what}");
            ExitCode::FAILURE
        }
    }
}
