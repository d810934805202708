//! Standard output and error. A reader that goes away ends the command quietly; any other failure to write is one.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use serde::Serialize;

use crate::exit::{Exit, Fault};

/// What `-o` chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Whether standard output is shown by a terminal that can be redrawn.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether standard output is coloured: a terminal, and `NO_COLOR` (<https://no-color.org>) is unset or empty.
pub(crate) fn is_coloured() -> bool {
    is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn wrote(result: io::Result<()>) -> Result<(), Fault> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Fault::new(Exit::Pipe, ""),
        _ => Fault::failed(format!("standard output cannot be written: {error}")),
    })
}

/// Bytes, unchanged.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Fault> {
    let mut stdout = io::stdout().lock();
    wrote(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// A text and a line break.
pub(crate) fn line(text: &str) -> Result<(), Fault> {
    bytes(format!("{text}\n").as_bytes())
}

/// A value as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Fault> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Fault::failed(format!("the answer has no JSON form: {error}")))?;
    line(&text)
}

/// A remark for people, on standard error. That it cannot be written is no reason to end.
pub(crate) fn note(text: &str) {
    let _unheard = writeln!(io::stderr().lock(), "{text}");
}
