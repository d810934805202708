//! Expressions: parsed, checked and evaluated within their budgets, twice with the same result; what may be absent or
//! mistyped is an error with a code that does not tell a value.

use serde_json::json;
use types::{Object, Value, limits};
use workflow::{Expr, NeedsStatus, Scope, SourceFile, Template, compile, render_text};

use crate::CATALOGUE;

const SECRET: &str = "s3cret-of-an-outsider";

/// # Panics
/// When a property does not hold.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let expr = Expr(text.to_owned());
    for scope in [scope(), Scope::default()] {
        let value = expr.eval(&scope);
        assert_eq!(value, expr.eval(&scope), "the same scope, the same value");
        match &value {
            Ok(value) => bounded(value),
            Err(error) => {
                assert!(error.code.starts_with("FH07"), "{error:?}");
                assert!(
                    text.contains(SECRET) || !error.message.contains(SECRET),
                    "{error:?}"
                );
            }
        }
        let text = Template::Concat(vec![Template::Literal("a ".into()), Template::Expr(expr.clone())]);
        if let Ok(value) = text.eval(&scope) {
            bounded(&value);
            assert!(value.is_string(), "text with an expression in it is text");
        }
    }
    checked(text);
}

fn bounded(value: &Value) {
    let bytes = serde_json::to_string(value)
        .expect("a value has a JSON form")
        .len();
    assert!(bytes <= limits::VALUE_BYTES, "{bytes} bytes");
}

/// The same text in a definition, where the checker sees it.
fn checked(text: &str) {
    let step = json!({
        "foreach": "${{ inputs.hosts }}",
        "image": "host",
        "run": "true",
        "env": { "X": format!("${{{{ {text} }}}}") },
        "when": text,
    });
    let definition = json!({
        "name": "fuzzed",
        "on": { "alert": { "when": text } },
        "inputs": { "hosts": { "type": "list<string>", "default": ["a"] }, "n": { "type": "int", "default": 1 } },
        "steps": { "one": { "image": "host", "run": "true" }, "two": step },
    });
    let source = SourceFile::new("fuzzed.json", definition.to_string());
    let compiled = compile(&source, &CATALOGUE);
    let _ = render_text(&compiled.diagnostics, &source, true);
    if let Some(on) = compiled.plan.and_then(|plan| plan.on_alert)
        && let Some(when) = on.when
        && let Ok(value) = when.eval(&scope())
    {
        assert!(
            value.is_boolean(),
            "a `when` that compiles is a condition, and gave {value}"
        );
    }
}

fn scope() -> Scope {
    let roots = json!({
        "inputs": { "hosts": ["a", "b"], "n": 1, "who": "ada" },
        "trigger": { "alert": alert() },
        "alert": alert(),
        "steps": { "one": { "outcome": "succeeded", "outputs": {} } },
        "each": { "value": "web-1", "index": 0 },
    });
    let roots: Object = serde_json::from_value(roots).expect("an object");
    Scope {
        roots,
        needs: NeedsStatus {
            succeeded: true,
            ..NeedsStatus::default()
        },
    }
}

fn alert() -> Value {
    let body = json!({
        "id": "7", "title": SECRET, "severity": "high", "hosts": ["web-1"], "tags": ["env:prod", "team:pay"],
    });
    let read =
        incident::normalise(incident::Source::Generic, None, body.to_string().as_bytes()).expect("an alert");
    serde_json::to_value(read.alert).expect("an alert has a JSON form")
}
