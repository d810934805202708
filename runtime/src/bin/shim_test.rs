//! The shim for this crate's own tests, and an agent that can be killed.
//!
//! `shim DIR`, `shim --serve`; `agent STATE DIR` (spec on standard input: starts it, prints `started`, then sleeps for ever);
//! `bench STATE ROUNDS` (milliseconds of a trivial step).

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use runtime::{Adopted, ContainerSpec, Ended, Native, ShimCommand};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["shim", "--serve", _] => return runtime::shim::serve(),
        ["shim", dir] => return runtime::shim::main(Path::new(dir)),
        ["agent", state, dir] => agent(Path::new(state), Path::new(dir)),
        ["bench", state, rounds] => bench(Path::new(state), rounds.parse().unwrap_or(20)),
        _ => Err("usage: shim DIR | agent STATE DIR | bench STATE ROUNDS".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn agent(state: &Path, dir: &Path) -> Done {
    let spec: ContainerSpec = serde_json::from_reader(std::io::stdin())?;
    let native = Native::open(state, ShimCommand::current())?;
    let _running = native.start(dir, &spec, &Vec::new())?;
    println!("started");
    loop {
        std::thread::park();
    }
}

fn bench(state: &Path, rounds: usize) -> Done {
    let spec: ContainerSpec = serde_json::from_reader(std::io::stdin())?;
    let native = Native::open(state, ShimCommand::current())?;
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut times = Vec::new();
    for round in 0..rounds + 3 {
        let dir = state.join(format!("bench-{round}"));
        let spec = ContainerSpec {
            id: format!("{}-{round}", spec.id),
            ..spec.clone()
        };
        let begun = Instant::now();
        let Adopted::Running(handle) = native.start(&dir, &spec, &Vec::new())? else {
            return Err("the directory is not fresh".into());
        };
        match tokio.block_on(async { handle.wait().await })? {
            Ended::Finished(record) if record.code == Some(0) => {}
            other => return Err(format!("{other:?}").into()),
        }
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        native.remove(&dir)?;
    }
    let mut times = times.split_off(3);
    times.sort_by(f64::total_cmp);
    println!(
        "min {:.1} ms, median {:.1} ms, max {:.1} ms",
        times[0],
        times[times.len() / 2],
        times[times.len() - 1]
    );
    Ok(())
}
