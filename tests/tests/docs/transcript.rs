//! Consoles: `$ command` and what it prints. What differs each time (ids, times, durations, the width of columns) is
//! made alike on both sides; `[..]` stands for any text within a line and `...` for any lines.

use std::sync::LazyLock;

use regex::Regex;
use snapbox::{Assert, IntoData as _};

/// A command of a console with what is shown below it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// Its line within the block, from 0.
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) shown: String,
}

/// Reads a console.
pub(crate) fn read(block: &str) -> Result<Vec<Exchange>, String> {
    let mut all: Vec<Exchange> = Vec::new();
    let mut continued = false;
    for (at, line) in block.lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            all.push(Exchange {
                line: at,
                command: command.to_owned(),
                shown: String::new(),
            });
            continued = true;
            continue;
        }
        let last = all.last_mut().ok_or("a console begins with `$ command`")?;
        match line.strip_prefix("> ") {
            Some(more) if continued => last.command.push_str(&format!("\n{more}")),
            _ => {
                continued = false;
                last.shown.push_str(line);
                last.shown.push('\n');
            }
        }
    }
    Ok(all)
}

static SAME: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\b(run|inc|agt|ses|alr|wfl|evt)_[0-9a-z]{20,}\b", "${1}_ID"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?Z?\b", "TIME"),
        (r"\b\d+(\.\d+)? ?(ms|s|min|h)\b", "DURATION"),
        (r"\b\d+\.\d{3}\b", "SECONDS"),
        // Milliseconds without a unit, in tables: behind the agent, which is named after the page's machine.
        (r"\blaptop +\d+\b", "laptop MS"),
        (r"[ \t]+", " "),
        (r"(?m)^ | $", ""),
    ]
    .map(|(pattern, with)| (Regex::new(pattern).unwrap(), with))
    .into()
});

fn alike(text: &str) -> String {
    let text = SAME.iter().fold(text.to_owned(), |text, (pattern, with)| {
        pattern.replace_all(&text, *with).into_owned()
    });
    format!("{}\n", text.trim_end())
}

/// Compares what a command printed with what the page shows; the difference if there is one.
pub(crate) fn compare(actual: &str, shown: &str) -> Result<(), String> {
    let (actual, shown) = (alike(actual), alike(shown));
    Assert::new()
        .normalize_paths(false)
        .try_eq(Some(&"what it printed"), actual.into_data(), shown.into_data())
        .map_err(|difference| difference.to_string())
}

#[test]
fn a_console_is_read() {
    let read = read("$ one \\\n> two\nout\n\n$ three\n").unwrap();
    assert_eq!(
        (read[0].command.as_str(), read[0].shown.as_str()),
        ("one \\\ntwo", "out\n\n")
    );
    assert_eq!((read[1].command.as_str(), read[1].shown.as_str()), ("three", ""));
    assert!(super::transcript::read("out\n$ one").is_err());
}

#[test]
fn only_what_differs_each_time_is_taken_as_alike() {
    let shown = "RUN   OUTCOME\nrun_01m8915a0thrn95jkz352ad6ch  succeeded in 47 ms\n...\n[..] last\n";
    let same = "RUN OUTCOME\nrun_01n8915a0thrn95jkz352ad6ch   succeeded in 1.2 s\nx\ny\nthe last\n";
    compare(same, shown).unwrap();
    let other = same.replace("succeeded", "failed");
    assert!(compare(&other, shown).is_err());
    assert!(compare("", "something\n").is_err());
    assert!(compare("something\n", "").is_err(), "what is printed is shown");
}
