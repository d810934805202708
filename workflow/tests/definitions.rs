#![allow(clippy::unwrap_used, reason = "tests")]
//! Definitions in `ok/` compile to the plan beside them; those in `err/` give exactly the text beside them.
//! `UPDATE_GOLDEN=1 cargo nextest run -p workflow` writes them anew.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Instant};

use workflow::{Code, SourceFile, compile, render_text};

mod support;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn definitions(name: &str) -> Vec<(PathBuf, SourceFile)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let text = path.to_string_lossy();
            text.ends_with(".yaml") || (text.ends_with(".json") && !text.ends_with(".plan.json"))
        })
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        (path, SourceFile::new(name, text))
    };
    files.into_iter().map(read).collect()
}

fn golden(path: &PathBuf, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(
        expected == actual,
        "{} differs; look, then UPDATE_GOLDEN=1.\n--- expected\n{expected}\n--- actual\n{actual}",
        path.display()
    );
}

#[test]
fn right_definitions_compile_to_their_plans() {
    let found = definitions("ok");
    assert!(found.len() >= 4);
    for (path, source) in found {
        let compiled = compile(&source, &support::catalogue());
        let shown = render_text(&compiled.diagnostics, &source, false);
        assert!(compiled.diagnostics.is_empty(), "{shown}");
        let plan = compiled.plan.unwrap();
        let json = serde_json::to_string_pretty(&plan).unwrap();
        let back: workflow::Plan = serde_json::from_str(&json).unwrap();
        assert_eq!(back, plan);
        golden(&path.with_extension("plan.json"), &format!("{json}\n"));
    }
}

#[test]
fn wrong_definitions_say_what_is_wrong() {
    let found = definitions("err");
    assert!(found.len() >= 80);
    for (path, source) in found {
        let started = Instant::now();
        let compiled = compile(&source, &support::catalogue());
        assert!(started.elapsed().as_millis() < 1_000, "{}", source.name);
        assert!(compiled.plan.is_none(), "{}", source.name);
        let codes: BTreeSet<&str> = compiled.diagnostics.iter().map(|d| d.code.as_str()).collect();
        let meant = source.name.get(..6).unwrap();
        assert!(
            codes.contains(meant) || !meant.starts_with("FH"),
            "{}: {codes:?}",
            source.name
        );
        for diagnostic in &compiled.diagnostics {
            assert!(diagnostic.span.end <= source.text.len());
        }
        let shown = render_text(&compiled.diagnostics, &source, false);
        golden(&path.with_extension("expected"), &shown);
        assert!(render_text(&compiled.diagnostics, &source, true).contains("\u{1b}["));
    }
}

/// Made in the tests below and in those of the binary, being too large for a file or not of a definition.
const ELSEWHERE: [Code; 4] = [Code::TooLarge, Code::TooMany, Code::Unreadable, Code::Encoding];

#[test]
fn each_code_has_a_fixture_and_a_page() {
    let pages =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md")).unwrap();
    let mut seen = BTreeSet::new();
    for (_, source) in definitions("err") {
        let compiled = compile(&source, &support::catalogue());
        seen.extend(compiled.diagnostics.into_iter().map(|d| d.code));
    }
    let mut texts = BTreeSet::new();
    for code in Code::ALL {
        let name = code.as_str();
        assert!(texts.insert(name), "{name} twice");
        assert!(
            pages.contains(&format!(
                "\n### {name}\n\n**{}.** {}\n",
                code.title(),
                code.help()
            )),
            "{name} has no page in docs/errors.md, or an old one: cargo xtask generate"
        );
        let example = code.example();
        for text in [example.wrong, example.right] {
            assert!(
                pages.contains(text.trim_end()),
                "{name}: docs/errors.md lacks its example"
            );
        }
        assert!(workflow::explain(name).is_some_and(|text| text.len() > 40));
        let evaluation = name.starts_with("FH07");
        assert!(
            evaluation || ELSEWHERE.contains(code) || seen.contains(code),
            "{name} has no fixture"
        );
    }
    assert_eq!(workflow::explain("FH9999"), None);
}

#[test]
fn a_large_file_is_refused_and_many_errors_are_counted() {
    let catalogue = support::catalogue();
    let codes = |text: String| -> Vec<Code> {
        let compiled = compile(&SourceFile::new("x", text), &catalogue);
        assert!(compiled.plan.is_none());
        compiled.diagnostics.iter().map(|d| d.code).collect()
    };
    assert_eq!(
        codes(" ".repeat(types::limits::DEFINITION_BYTES + 1)),
        [Code::TooLarge]
    );
    let many: String = (0..5_000).map(|n| format!("x{n}: 1\n")).collect();
    let found = codes(format!("name: t\nsteps: {{a: {{image: a, run: b}}}}\n{many}"));
    assert_eq!(found.len(), 201);
    assert_eq!(found.last(), Some(&Code::TooMany));
    // However many warnings there are, they leave the plan.
    let many: String = (0..300)
        .map(|n| format!("A{n}: \"{{{{ inputs.x }}}}\", "))
        .collect();
    let text = format!("name: t\ninputs: {{x: int}}\nsteps: {{a: {{image: a, run: b, env: {{{many}}}}}}}\n");
    let compiled = compile(&SourceFile::new("x", text), &catalogue);
    assert!(compiled.plan.is_some());
    assert_eq!(compiled.diagnostics.len(), 201);
    assert_eq!(
        compiled.diagnostics[200].message,
        "100 more warnings are not shown"
    );
    // And however many there are, the error behind them is said.
    let text = format!(
        "name: t\ninputs: {{x: int}}\nsteps:\n  a: {{image: a, run: b, env: {{{many}}}}}\n  b: {{image: a, run: b, needs: c}}\n"
    );
    let compiled = compile(&SourceFile::new("x", text), &catalogue);
    assert!(compiled.plan.is_none());
    let shown = &compiled.diagnostics;
    assert_eq!((shown.len(), shown[199].code), (201, Code::UnknownStep));
    assert_eq!(shown[199].help.as_deref(), Some("known: a, b"));
    assert_eq!(shown[200].message, "101 more warnings are not shown");
}

#[test]
fn a_description_of_several_lines_is_one_line_above_the_graph() {
    let text = "name: t\ndescription: |\n  one\n  two\nsteps: {a: {image: a, run: b}}\n";
    let compiled = compile(&SourceFile::new("x", text), &support::catalogue());
    let dot = workflow::dot(&compiled.plan.unwrap());
    assert!(dot.contains("label=\"t: one two\";"), "{dot}");
}

#[test]
fn ten_thousand_steps_compile_quickly() {
    let mut text = String::from("name: t\nsteps:\n  s0: {image: a, run: b, outputs: {x: int}}\n");
    for n in 1..types::limits::STEPS {
        text.push_str(&format!(
            "  s{n}: {{image: a, run: b, needs: s{}, outputs: {{x: int}}}}\n",
            n - 1
        ));
    }
    let started = Instant::now();
    let compiled = compile(&SourceFile::new("x", text), &support::catalogue());
    let took = started.elapsed();
    let plan = compiled.plan.unwrap();
    assert_eq!(plan.levels().len(), types::limits::STEPS);
    assert_eq!(plan.order().last(), Some(&"s9999"));
    // Linear: a quadratic one takes minutes in a debug build.
    assert!(took.as_secs() < 10, "{took:?}");
}
