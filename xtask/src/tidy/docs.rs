//! docs/language.md leaves out no key, no function and no name of the language.

use crate::sh;

fn read(path: &str) -> String {
    std::fs::read_to_string(sh::root().join(path)).unwrap()
}

/// The words in quotes between two places of a source.
fn words(path: &str, from: &str, to: &str) -> Vec<String> {
    let source = read(path);
    let (_, list) = source
        .split_once(from)
        .unwrap_or_else(|| panic!("{path} has no {from}"));
    let (list, _) = list.split_once(to).unwrap();
    let words = list.split('"').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[test]
fn the_reference_of_the_language_is_complete() {
    let reference = read("docs/language.md");
    let mut lacking = Vec::new();
    let mut asked = 0;
    for (path, from) in [
        ("workflow/src/spec/step.rs", "const KEYS: "),
        ("workflow/src/spec/step.rs", "const PLANNED: "),
        ("workflow/src/spec/workflow.rs", "const KEYS: "),
        ("workflow/src/spec/workflow.rs", "const PLANNED: "),
    ] {
        for key in words(path, from, "];") {
            asked += 1;
            if !reference.contains(&format!("`{key}`")) {
                lacking.push(key);
            }
        }
    }
    for root in words("workflow/src/check/infer.rs", "const ROOTS: ", "];") {
        asked += 1;
        if !reference.contains(&format!("`{root}.")) && !reference.contains(&format!("`{root}`")) {
            lacking.push(root);
        }
    }
    // Each row of the functions begins with the name and the function.
    let functions = read("workflow/src/expr/functions.rs");
    let (_, table) = functions.split_once("const TABLE: ").unwrap();
    let (table, _) = table.split_once("\n};").unwrap();
    let lines: Vec<&str> = table.lines().map(str::trim).collect();
    let names = lines.iter().filter_map(|line| {
        let line = line.trim_start_matches('(');
        line.strip_prefix('"')?.split_once("\",").map(|(name, _)| name)
    });
    for name in names.filter(|name| name.chars().all(|c| c.is_ascii_alphabetic() || c == '_')) {
        asked += 1;
        if !reference.contains(&format!("{name}(")) {
            lacking.push(name.to_owned());
        }
    }
    assert!(asked > 60, "{asked}");
    assert!(lacking.is_empty(), "docs/language.md does not have {lacking:?}");
}
