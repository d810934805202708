//! `simulation SEED [PLANTED]`: one seed's record on standard output; 1 when something happened that must not.
//! `simulation cut [CONNECTION WAY STEP]`: a conversation that is cut after every STEP bytes of one connection.
//! `simulation hours N`: so many hours without a fault. `simulation outage N`: a step ends while the cable is out for so many.

use std::{ops::RangeInclusive, process::ExitCode, str::FromStr};

use simulation::{
    cut::{self, Sweep},
    hours,
    planted::Planted,
    world::{self, Outcome},
};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match run(&args) {
        Ok(outcome) => outcome,
        Err(why) => {
            let planted = Planted::ALL.map(|one| one.to_string()).join("|");
            eprintln!(
                "{why}\nusage: simulation SEED [{planted}]\n       simulation cut [CONNECTION up|down STEP]\n       simulation hours|outage N"
            );
            return ExitCode::from(2);
        }
    };
    for line in &outcome.lines {
        println!("{line}");
    }
    println!("{}: {}", args.join(" "), outcome.summary);
    match outcome.violation {
        None => ExitCode::SUCCESS,
        Some(what) => {
            println!("VIOLATION: {what}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<Outcome, String> {
    match args {
        ["cut"] => Ok(cut::run(None)),
        ["cut", connection, way, step] => Ok(cut::run(Some(Sweep {
            connection: number(connection)?,
            way: way.parse()?,
            step: number(step)?,
        }))),
        ["hours", hours] => Ok(hours::quiet(within(&hours::QUIET, hours)?)),
        ["outage", hours] => Ok(hours::outage(within(&hours::OUTAGE, hours)?)),
        [seed] => Ok(world::run(number(seed)?, None)),
        [seed, planted] => Ok(world::run(number(seed)?, Some(planted.parse()?))),
        _ => Err("a seed, or cut".to_owned()),
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn within(range: &RangeInclusive<u8>, text: &str) -> Result<u8, String> {
    match number(text)? {
        hours if range.contains(&hours) => Ok(hours),
        _ => Err(format!("{text} hours: from {} to {}", range.start(), range.end())),
    }
}
