//! What only a store on disk can get wrong.

mod crash;
mod full;
mod group;
mod open;
mod plans;
mod power;

use std::{path::Path, process::Command};

use super::{SqliteOptions, SqliteStore};

async fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, SqliteOptions::default()).await.unwrap()
}

/// Runs one test of this binary again, as a process of its own.
fn again(module: &str, test: &str) -> Vec<String> {
    let (_, path) = module.split_once("::").unwrap();
    let binary = std::env::current_exe().unwrap().display().to_string();
    [
        binary,
        "--exact".to_owned(),
        format!("{path}::{test}"),
        "--nocapture".to_owned(),
    ]
    .into()
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}
