//! Standard output and error. A reader that goes away ends the command quietly; any other failure to write is one.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal, Write},
    sync::OnceLock,
};

use serde::Serialize;

use crate::{
    exit::{Exit, Fault},
    text,
};

/// What `-o` chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For people: a heading and a row for each thing, where there is more than one.
    Table,
    /// For programs: field names stay.
    Json,
}

/// What `--color` chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR or TERM=dumb says no; elsewhere when CLICOLOR_FORCE says so.
    Auto,
    /// Also where no terminal is.
    Always,
    /// Nowhere.
    Never,
}

static COLOURED: OnceLock<bool> = OnceLock::new();

/// Fixes for the whole process whether there are colours. The first word counts.
pub(crate) fn choose_colour(colour: Colour) {
    let _chosen = COLOURED.set(match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => by_environment(is_terminal(), &|name| env::var_os(name)),
    });
}

/// `NO_COLOR` (<https://no-color.org>) first, then `CLICOLOR_FORCE` (<https://bixense.com/clicolors>), then the terminal.
fn by_environment(terminal: bool, get: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let set = |name: &str| get(name).filter(|value| !value.is_empty());
    match (set("NO_COLOR"), set("CLICOLOR_FORCE")) {
        (Some(_), _) => false,
        (None, Some(force)) if force != "0" => true,
        (None, _) => terminal,
    }
}

/// Whether standard output is shown by a terminal that can be redrawn.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Columns that a line on standard output may have: `COLUMNS`, else the terminal's. None in a pipe or a file: nothing is
/// cut there.
pub(crate) fn columns() -> Option<usize> {
    let told = env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    let columns = match told {
        Some(columns) => columns,
        None if io::stdout().is_terminal() => usize::from(terminal_size::terminal_size()?.0.0),
        None => return None,
    };
    // A terminal of no width does not know it.
    (columns > 0).then_some(columns.max(COLUMNS_LEAST))
}

/// A narrower place is taken for one of this many columns.
const COLUMNS_LEAST: usize = 20;

/// Whether standard output is coloured.
pub(crate) fn is_coloured() -> bool {
    *COLOURED.get_or_init(|| by_environment(is_terminal(), &|name| env::var_os(name)))
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
    line(&text::json(&text))
}

/// A value as one line of JSON.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Fault> {
    let text = serde_json::to_string(value)
        .map_err(|error| Fault::failed(format!("the answer has no JSON form: {error}")))?;
    line(&text::json(&text))
}

/// A remark for people, on standard error. That it cannot be written is no reason to end.
pub(crate) fn note(text: &str) {
    let _unheard = writeln!(io::stderr().lock(), "{text}");
}
