#![allow(clippy::unwrap_used, reason = "tests")]
//! The examples that `firehall explain` and docs/errors.md show: the wrong one gives its code and nothing else, the
//! right one nothing. Those of command lines are held by the binary's own tests.

use serde_json::json;
use workflow::{Code, ExampleKind, Expr, Scope, SourceFile, compile, render_text};

mod support;

#[test]
fn each_wrong_definition_gives_its_code_alone_and_each_right_one_none() {
    let catalogue = support::catalogue();
    let mut held = 0;
    for code in Code::ALL {
        let example = code.example();
        assert!(
            !example.wrong.trim().is_empty() && !example.right.trim().is_empty(),
            "{code:?}"
        );
        if example.kind != ExampleKind::Definition {
            continue;
        }
        held += 1;
        let check = |text: &str| {
            let source = SourceFile::new("example.yaml", text);
            let found = compile(&source, &catalogue).diagnostics;
            let shown = render_text(&found, &source, false);
            (found.into_iter().map(|one| one.code).collect::<Vec<_>>(), shown)
        };
        let (codes, shown) = check(example.wrong);
        assert_eq!(codes, [*code], "{shown}");
        let (codes, shown) = check(example.right);
        assert!(codes.is_empty(), "{code:?}: {shown}");
    }
    assert!(held > 45);
}

#[test]
fn each_wrong_expression_gives_its_code_in_a_run() {
    let mut held = 0;
    for code in Code::ALL {
        let example = code.example();
        let ExampleKind::Expression(found) = example.kind else {
            continue;
        };
        held += 1;
        let roots = serde_json::from_str(found).unwrap_or_else(
            |_| json!({ "inputs": { "many": vec!["x"; 1_000], "long": "x".repeat(200_000) } }),
        );
        let scope = Scope {
            roots: roots.as_object().unwrap().clone(),
            ..Scope::default()
        };
        let eval = |text: &str| Expr(text.trim().to_owned()).eval(&scope);
        assert_eq!(eval(example.wrong).unwrap_err().code, code.as_str());
        let right = eval(example.right);
        assert!(right.is_ok(), "{code:?}: {right:?}");
    }
    assert_eq!(held, 7);
}
