//! `tests/promises.toml`: every promise with the tests that hold it, checked against the tests that exist.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::sh;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promises {
    pub(crate) promise: Vec<Promise>,
}

/// One promise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promise {
    /// In words, as the README may say it.
    pub(crate) text: String,
    pub(crate) state: State,
    /// What is missing; required unless proven.
    #[serde(default)]
    pub(crate) missing: String,
    /// `binary-id::test::name`, as nextest lists them.
    #[serde(default)]
    pub(crate) tests: Vec<String>,
}

/// How far a promise is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Proven,
    Partial,
    NotYet,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Partial => "partial",
            Self::NotYet => "not yet",
        }
    }
}

/// Reads and checks the file by itself.
pub(crate) fn read() -> Result<Promises> {
    let path = sh::root().join("tests/promises.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let promises: Promises = toml::from_str(&text).context("tests/promises.toml")?;
    for promise in &promises.promise {
        match promise.state {
            State::Proven | State::Partial if promise.tests.is_empty() => {
                bail!("{:?} is {} without a test", promise.text, promise.state.as_str())
            }
            State::Partial | State::NotYet if promise.missing.is_empty() => {
                bail!(
                    "{:?} is {} and does not say what is missing",
                    promise.text,
                    promise.state.as_str()
                )
            }
            _ => {}
        }
    }
    Ok(promises)
}

/// Prints the table, and fails when it names a test that does not exist.
pub(crate) fn run() -> Result<()> {
    let promises = read()?;
    let exist = existing()?;
    let mut absent = Vec::new();
    for promise in &promises.promise {
        println!("{:<8} {}", promise.state.as_str(), promise.text);
        if !promise.missing.is_empty() {
            println!("         missing: {}", promise.missing);
        }
        for test in &promise.tests {
            let there = exist.contains(test);
            println!("         {} {test}", if there { "-" } else { "NO SUCH TEST" });
            if !there {
                absent.push(test.as_str());
            }
        }
    }
    if absent.is_empty() {
        return Ok(());
    }
    bail!(
        "tests/promises.toml names tests that do not exist:\n  {}",
        absent.join("\n  ")
    )
}

/// Every test of the workspace, the long ones included.
fn existing() -> Result<BTreeSet<String>> {
    let listed = sh::cargo(&[
        "nextest",
        "list",
        "--workspace",
        "--profile",
        "full",
        "--message-format",
        "json",
    ])
    .read()?;
    let listed: serde_json::Value = serde_json::from_str(&listed).context("nextest's list")?;
    let suites = listed["rust-suites"]
        .as_object()
        .context("nextest's list has no suites")?;
    let mut names = BTreeSet::new();
    for (binary, suite) in suites {
        let cases = suite["testcases"].as_object();
        names.extend(
            cases
                .into_iter()
                .flatten()
                .map(|(name, _)| format!("{binary}::{name}")),
        );
    }
    Ok(names)
}
