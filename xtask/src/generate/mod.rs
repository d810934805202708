//! Pages that are written by the program itself, and the check that nobody edited or forgot them.

use anyhow::{Context as _, Result, bail};

use crate::{error_index, promises, sh};

mod catalogue;
mod limits;
mod parts;

/// What to do with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

const HEAD: &str = "<!-- Written by `cargo xtask generate`; do not edit. -->\n\n";

pub(crate) fn run(mode: Mode) -> Result<()> {
    if mode == Mode::Write {
        sh::cargo(&["build", "--package", "cli"]).run()?;
    }
    let signatures = catalogue::signatures()?;
    let headed = |page: String| format!("{HEAD}{page}");
    let pages = [
        ("docs/actions.md", actions()?),
        ("docs/cli.md", reference(&[])?),
        ("docs/agent-toml.md", reference(&["--agent-toml"])?),
        ("docs/errors.md", format!("{HEAD}{}", error_index::page()?)),
        ("docs/promises.md", promises_page()?),
        ("docs/types.md", headed(catalogue::types(&signatures)?)),
        ("docs/limits.md", headed(limits::page()?)),
        (
            "docs/diagrams.md",
            parts::page("docs/diagrams.md", &[("the shipped runbook", parts::runbook()?)])?,
        ),
        (
            "docs/slack.md",
            parts::page("docs/slack.md", &[("scopes", catalogue::scopes(&signatures)?)])?,
        ),
    ];
    let mut stale = Vec::new();
    for (name, text) in pages {
        let path = sh::root().join(name);
        match mode {
            Mode::Write => {
                std::fs::write(&path, text).with_context(|| format!("cannot write {name}"))?;
                println!("wrote {name}");
            }
            Mode::Check if std::fs::read_to_string(&path).is_ok_and(|there| there == text) => {}
            Mode::Check => stale.push(name),
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!(
        "not as the program would write them: {}; run `cargo xtask generate`",
        stale.join(", ")
    )
}

/// A page on the built-in actions, as the binary itself describes them.
fn actions() -> Result<String> {
    let described = sh::Cmd::new(sh::firehall())
        .args(["--no-config", "actions", "--full"])
        .read()?;
    Ok(format!(
        "{HEAD}# Built-in actions\n\nWhat `uses:` may name, as `firehall actions NAME` prints it, each with the smallest \
         workflow that uses it.\n\n```text\n{}\n```\n",
        described.trim_end()
    ))
}

/// A reference, of the command line or of an agent's file, as the binary itself writes it.
fn reference(which: &[&str]) -> Result<String> {
    let described = sh::Cmd::new(sh::firehall())
        .args(["--no-config", "reference"])
        .args(which.iter().copied())
        .read()?;
    Ok(format!("{HEAD}{described}"))
}

fn promises_page() -> Result<String> {
    let mut page = format!("{HEAD}# Promises\n\n| state | promise | tests | missing |\n|---|---|---|---|\n");
    for promise in promises::read()?.promise {
        let tests: Vec<String> = promise.tests.iter().map(|test| format!("`{test}`")).collect();
        let (state, text) = (promise.state.as_str(), &promise.text);
        page.push_str(&format!(
            "| {state} | {text} | {} | {} |\n",
            tests.join("<br>"),
            promise.missing
        ));
    }
    Ok(page)
}
