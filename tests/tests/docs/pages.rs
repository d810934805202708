//! The pages, a test each.

use std::collections::BTreeSet;

use crate::{
    data,
    markdown::{Page, root},
    session,
};

/// Every page of the project: at the root, in `docs/` and in `deploy/`.
pub(crate) fn all() -> BTreeSet<String> {
    let mut pages = BTreeSet::new();
    for folder in ["", "docs", "deploy"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                pages.insert(format!("{folder}/{name}").trim_start_matches('/').to_owned());
            }
        }
    }
    pages
}

fn check(name: &str) {
    session::run(&Page::read(name));
}

macro_rules! pages {
    ($($test:ident $name:literal)*) => {
        $(#[test]
        fn $test() {
            check($name);
        })*

        /// A page without a test would be believed without being read.
        #[test]
        fn every_page_with_command_lines_has_a_test() {
            let tested = BTreeSet::from([$($name.to_owned()),*]);
            let with_commands = all().into_iter().filter(|name| {
                let page = Page::read(name);
                page.blocks.iter().any(|block| matches!(block.fence.language.as_str(), "sh" | "console"))
            });
            assert_eq!(tested, with_commands.collect());
        }
    };
}

pages! {
    readme "README.md"
    adding_an_action "docs/adding-an-action.md"
    contributing "CONTRIBUTING.md"
    deploy "deploy/README.md"
    api "docs/api.md"
    datadog "docs/datadog.md"
    errors "docs/errors.md"
    http "docs/http.md"
    plan "docs/plan.md"
    queries "docs/queries.md"
    operating "docs/operating.md"
    slack "docs/slack.md"
    tutorial "docs/tutorial.md"
}

#[test]
fn definitions_compile_and_data_parses() {
    let complaints: Vec<String> = all()
        .iter()
        .flat_map(|name| data::complaints(&Page::read(name)))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split(" #").next().unwrap_or_default().trim_end()
}

/// What cannot be executed here is known by name and reason; `SNAPSHOTS=overwrite` writes the list anew.
#[test]
fn what_is_not_run_is_listed() {
    let mut list = String::new();
    for name in all() {
        for block in Page::read(&name).blocks {
            let first = code(block.text.lines().next().unwrap_or_default());
            if let Some(reason) = block.fence.word("skip") {
                list.push_str(&format!("{name}: {reason}: {first}\n"));
            } else if block.fence.language == "sh" {
                let cargo = block
                    .text
                    .lines()
                    .filter(|line| line.starts_with("cargo ") && !line.starts_with("cargo demo"));
                list.extend(cargo.map(|line| format!("{name}: looked up, not run: {}\n", code(line))));
                let units = block.text.lines().filter(|line| line.contains("systemctl "));
                list.extend(
                    units
                        .map(|line| format!("{name}: the unit's command, without systemd: {}\n", code(line))),
                );
            }
        }
    }
    print!("{list}");
    let assert = snapbox::Assert::new()
        .action_env("SNAPSHOTS")
        .normalize_paths(false);
    assert.eq(list, snapbox::file!["not-run.txt"].raw());
}
