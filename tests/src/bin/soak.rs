//! Random schedules from a seed: `cargo xtask soak` builds and starts this.

#![allow(clippy::print_stdout, reason = "a program")]

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use e2e::schedule::{Schedule, Soak};

const USAGE: &str = "usage: cargo xtask soak [--seed N] [--schedules N] [--minutes M]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(soak) = asked(&args) else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    println!(
        "seed {}: up to {} schedules, {} at once, at most {} minutes",
        soak.seed,
        soak.schedules,
        soak.at_once,
        soak.within.as_secs() / 60
    );
    if soak.schedules == 1 {
        println!("{}", Schedule::of(soak.seed));
    }
    let wrong = soak.run();
    for seed in &wrong {
        println!("went wrong; to play it again: cargo xtask soak --seed {seed} --schedules 1");
    }
    ExitCode::from(u8::from(!wrong.is_empty()))
}

fn asked(args: &[String]) -> Option<Soak> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let mut soak = Soak {
        // Another one each time; it is printed.
        seed: now.as_secs(),
        schedules: 5_000,
        within: Duration::from_secs(24 * 3_600),
        at_once: std::thread::available_parallelism().map_or(2, |cores| cores.get() * 2),
    };
    let mut args = args.iter();
    while let Some(flag) = args.next() {
        let number: u64 = args.next()?.parse().ok()?;
        match flag.as_str() {
            "--seed" => soak.seed = number,
            "--schedules" => soak.schedules = number,
            "--minutes" => soak.within = Duration::from_secs(number * 60),
            _ => return None,
        }
    }
    Some(soak)
}
