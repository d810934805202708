#![allow(clippy::unwrap_used, reason = "tests")]
//! Whatever the text, the compiler answers within a second, with a plan or with diagnostics, and never panics.

use std::time::Instant;

use proptest::prelude::*;
use workflow::{Diagnostic, FileReport, Severity, SourceFile, compile, dag, dot, mermaid, render_text};

mod support;

/// The same of a file's bytes.
fn answers_bytes(bytes: Vec<u8>) {
    match SourceFile::from_bytes("x", bytes) {
        Ok(source) => drop(answers(&source.text)),
        Err(refused) => {
            assert_eq!(refused.diagnostics.len(), 1);
            within(&refused.diagnostics, &refused.source);
            assert!(!render_text(&refused.diagnostics, &refused.source, true).is_empty());
        }
    }
}

/// Each place lies in the text, between characters, and its lines and columns say the same as its bytes.
fn within(diagnostics: &[Diagnostic], source: &SourceFile) {
    let lines: Vec<&str> = source.text.split('\n').collect();
    let byte = |line: usize, column: usize| {
        let before: usize = lines[..line - 1].iter().map(|line| line.len() + 1).sum();
        let here = lines[line - 1]
            .chars()
            .take(column - 1)
            .map(char::len_utf8)
            .sum::<usize>();
        before + here
    };
    for diagnostic in diagnostics {
        let labels = diagnostic.labels.iter().map(|label| &label.span);
        let fix = diagnostic.suggestion.iter().map(|suggestion| &suggestion.span);
        for span in std::iter::once(&diagnostic.span).chain(labels).chain(fix) {
            assert!(source.text.get(span.start..span.end).is_some(), "{diagnostic:?}");
            assert_eq!(byte(span.line, span.column), span.start, "{diagnostic:?}");
            assert_eq!(byte(span.end_line, span.end_column), span.end, "{diagnostic:?}");
        }
    }
}

fn answers(text: &str) -> Vec<&'static str> {
    let source = SourceFile::new("x", text);
    let started = Instant::now();
    let compiled = compile(&source, &support::catalogue());
    let shown = render_text(&compiled.diagnostics, &source, false);
    within(&compiled.diagnostics, &source);
    let json = serde_json::to_string(&FileReport::new("x", &compiled.diagnostics));
    assert!(json.is_ok_and(|json| !json.contains('\n')));
    assert!(
        started.elapsed().as_millis() < 2_000,
        "{} bytes: {:?}",
        text.len(),
        started.elapsed()
    );
    let errors = compiled
        .diagnostics
        .iter()
        .any(|one| one.severity == Severity::Error);
    assert_eq!(compiled.plan.is_none(), errors);
    assert!(
        !shown.chars().any(|c| c != '\n' && types::text::is_unsafe(c)),
        "a terminal must not obey a definition: {shown:?}"
    );
    if let Some(plan) = &compiled.plan {
        let pictures = dot(plan) + &mermaid(plan);
        assert!(!pictures.chars().any(|c| c != '\n' && types::text::is_unsafe(c)));
        assert!(serde_json::to_string(&dag(plan)).is_ok());
    }
    compiled.diagnostics.iter().map(|d| d.code.as_str()).collect()
}

#[test]
fn hostile_texts_get_one_clear_answer() {
    let nine = |name: &str, of: &str| format!("{name}: &{name} [{}]\n", [of; 9].join(", "));
    let mut laughs = String::from("name: t\na: &a [lol]\n");
    for (name, of) in ["b", "c", "d", "e", "f", "g", "h", "i"]
        .iter()
        .zip(["*a", "*b", "*c", "*d", "*e", "*f", "*g", "*h"])
    {
        laughs.push_str(&nine(name, of));
    }
    assert!(answers(&laughs).contains(&"FH0104"));
    assert_eq!(answers(&"[".repeat(100_000)), ["FH0108"]);
    assert_eq!(answers(&"{a: ".repeat(100_000)), ["FH0108"]);
    assert_eq!(answers(&"- ".repeat(100_000)).len(), 1);
    let nested: String = (0..500)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    assert_eq!(answers(&nested), ["FH0108"]);
    assert!(!answers(&"? ".repeat(100_000)).is_empty());
    assert!(!answers(&"a: b: c\n".repeat(1_000)).is_empty());
    assert!(!answers(&format!("name: {}\nsteps: {{}}", "x".repeat(900_000))).is_empty());
    assert!(!answers("name: \"\u{1b}[2Jx\"\nsteps: {}").is_empty());
    assert!(!answers("\u{feff}name: t\nsteps: {}").is_empty());
    assert_eq!(answers(""), ["FH0109"]);
    assert!(answers("name: t\r\nsteps:\r\n  a:\r\n    image: x\r\n    run: y\r\n").is_empty());
    assert!(!answers("*x").is_empty());
    assert!(!answers("name: t\nsteps: {a: {image: x, run: y, when: \"\"}}").is_empty());
}

#[test]
fn a_comprehension_over_a_large_list_is_bounded_in_time() {
    let items: Vec<i64> = (0..1_000).collect();
    let mut scope = workflow::Scope::default();
    scope
        .roots
        .insert("x".to_owned(), serde_json::to_value(&items).unwrap());
    let started = Instant::now();
    let kept = workflow::Expr("x.filter(i, x.filter == x || i in x && x == x)".to_owned()).eval(&scope);
    assert!(kept.is_err() || started.elapsed().as_secs() < 2);
    let doubled = workflow::Expr(format!("size({})", vec!["x"; 120].join(" + "))).eval(&scope);
    assert!(doubled.is_err() || doubled == Ok(120_000.into()));
    assert!(started.elapsed().as_secs() < 2);
}

/// Trees of the language's own words, which reach further than arbitrary text.
fn tree() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "name",
        "on",
        "alert",
        "when",
        "inputs",
        "steps",
        "a",
        "b-c",
        "uses",
        "with",
        "image",
        "run",
        "command",
        "env",
        "foreach",
        "follow",
        "needs",
        "outputs",
        "type",
        "default",
        "list<string>",
        "retry",
        "limit",
        "runs-on",
        "${{ steps.a.outputs.x }}",
        "${{ each.value }}",
        "${{ 1 + }}",
        "${{ trigger.alert.title }}",
        "5s",
        "[]",
        "{}",
        "incident/parse",
        "alert.severity == 'x'",
        "${{ default(steps.b_c.items, [])",
        "null",
        "1",
        "true",
        "~",
    ]);
    let leaf = word.clone().prop_map(serde_json::Value::from);
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|entries| {
                let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value));
                serde_json::Value::Object(entries.collect())
            }),
        ]
    })
    .prop_map(|value| value.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,300}") {
        answers(&text);
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        answers_bytes(bytes);
    }

    /// A definition with a few bytes put in anywhere: most of what people get wrong, and some of what attackers try.
    #[test]
    fn any_damage_is_answered(
        at in 0_usize..1_000,
        length in 0_usize..40,
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[]:,#&*!|>'\"%@`-? \n\t$\r\0".to_vec())], 0..12),
    ) {
        let mut text = include_bytes!("ok/containers.yaml").to_vec();
        let start = at % text.len();
        let end = (start + length).min(text.len());
        text.splice(start..end, bytes);
        answers_bytes(text);
    }

    #[test]
    fn any_yaml_like_text_is_answered(text in "[a-z:\\-\\[\\]{}&*!|>'\"#%@` \n\t,?0-9.$]{0,300}") {
        answers(&text);
    }

    #[test]
    fn any_tree_is_answered(tree in tree()) {
        answers(&tree);
        answers(&format!("{{\"name\": \"t\", \"steps\": {{\"a\": {tree}, \"b-c\": {tree}}}}}"));
    }

    #[test]
    fn any_expression_is_answered(text in "[a-z.()\\[\\]{}?:!=<>&|+*/%'\", 0-9\\-]{0,120}") {
        let value = serde_json::Value::from(format!("${{{{ {text} }}}}"));
        answers(&format!("{{\"name\": \"t\", \"steps\": {{\"a\": {{\"image\": \"x\", \"run\": \"y\", \"env\": {{\"A\": {value}}}}}}}}}"));
        let _ = workflow::Expr(text).eval(&workflow::Scope::default());
    }

    #[test]
    fn data_is_never_evaluated(data in "\\PC{0,200}|\\$\\{\\{ inputs\\.x \\}\\}") {
        let mut scope = workflow::Scope::default();
        scope.roots.insert("inputs".to_owned(), serde_json::json!({ "x": data }));
        let read = || workflow::Template::Expr(workflow::Expr("inputs.x".to_owned()));
        prop_assert_eq!(read().eval(&scope).unwrap(), serde_json::Value::from(data.clone()));
        let text = workflow::Template::Concat(vec![workflow::Template::Literal("<".into()), read()]);
        prop_assert_eq!(text.eval(&scope).unwrap(), serde_json::Value::from(format!("<{data}")));
        prop_assert_eq!(
            workflow::Expr("[inputs.x].map(v, v + inputs.x)[0]".to_owned()).eval(&scope).unwrap(),
            serde_json::Value::from(format!("{data}{data}"))
        );
    }
}
