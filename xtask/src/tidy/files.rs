//! Rules for single files.

use std::path::{Path, PathBuf};

use crate::sh;

/// No source file is longer; most are far shorter.
const LINES: usize = 800;

/// Every file of the project that git would keep, by its path inside.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![sh::root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !matches!(name.as_str(), "target" | "node_modules" | ".git" | ".firehall") {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(sh::root()).unwrap().to_path_buf());
            }
        }
    }
    assert!(
        found.len() > 200,
        "the project has more files than {}",
        found.len()
    );
    found
}

/// Sources with what they say.
fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| (path.clone(), read(&path)))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(sh::root().join(path)).unwrap()
}

fn is(path: &Path, name: &str) -> bool {
    path == Path::new(name)
}

#[test]
fn no_source_is_long() {
    let long: Vec<_> = sources()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES)
        .collect();
    assert!(long.is_empty(), "longer than {LINES} lines: {long:?}");
}

#[test]
fn no_test_is_ignored_and_nothing_is_left_to_do() {
    // Put together here, so that this file does not hold them.
    let never = [
        ["#[ig", "nore"].concat(),
        ["todo", "!("].concat(),
        ["unimplemen", "ted!("].concat(),
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
    ];
    let found: Vec<_> = sources()
        .flat_map(|(path, text)| {
            let words = never.iter().filter(|word| text.contains(word.as_str()));
            words
                .map(|word| format!("{}: {word}", path.display()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn nothing_leans_on_what_lies_beside_the_checkout() {
    let outside = [["../sha", "red/"].concat(), ["/wo", "rk/"].concat()];
    let found: Vec<_> = files()
        .into_iter()
        .filter(|path| !is(path, ".ci/run") && !is(path, "Cargo.lock"))
        .filter_map(|path| {
            std::fs::read_to_string(sh::root().join(&path))
                .ok()
                .map(|text| (path, text))
        })
        .filter(|(_, text)| outside.iter().any(|word| text.contains(word)))
        .map(|(path, _)| path)
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_clippy_rules_and_the_bans_say_why() {
    let clippy: toml::Table = toml::from_str(&read(Path::new("clippy.toml"))).unwrap();
    let methods = clippy["disallowed-methods"].as_array().unwrap();
    assert!(!methods.is_empty());
    for method in methods {
        let reason = method
            .get("reason")
            .and_then(toml::Value::as_str)
            .unwrap_or_default();
        assert!(!reason.is_empty(), "{method} has no reason");
    }
}

#[test]
fn every_promise_says_what_holds_it() {
    let promises = crate::promises::read().unwrap();
    assert!(promises.promise.len() >= 15);
}
