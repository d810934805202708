#![allow(clippy::unwrap_used, reason = "tests")]
//! What expressions give, each error code, and agreement with the `cel` crate where both have a meaning.

use serde_json::json;
use types::{Value, limits};

use crate::{Expr, NeedsStatus, Scope, Template};

fn scope() -> Scope {
    let roots = json!({
        "inputs": { "n": 3, "s": "Größe: 7 µs", "f": 2.5, "list": ["b", "a"], "big": 9_007_199_254_740_993_i64, "nil": null },
        "steps": { "a": { "outputs": { "host": "web-1", "evil": "x; rm -rf /" }, "items": [{ "ok": true }, { "ok": false }] } },
    });
    let Value::Object(roots) = roots else {
        unreachable!()
    };
    Scope {
        roots,
        needs: NeedsStatus {
            succeeded: true,
            ..NeedsStatus::default()
        },
    }
}

fn eval(text: &str) -> Result<Value, &'static str> {
    Expr(text.to_owned()).eval(&scope()).map_err(|error| error.code)
}

#[test]
fn values() {
    let cases = [
        ("inputs.n + 1", json!(4)),
        ("-inputs.n", json!(-3)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("7 / 2 * 2 + 7 % 4", json!(9)),
        ("1 + 1.5", json!(2.5)),
        ("inputs.big", json!(9_007_199_254_740_993_i64)),
        ("inputs.big == 9007199254740992.0", json!(false)),
        ("1 == 1.0 && 2 > 1.5 && 1.5 < 2", json!(true)),
        ("'a' + \"b\" + r'\\n'", json!("ab\\n")),
        ("'\\u00e9\\n\\''", json!("é\n'")),
        ("[1, 2] + [3]", json!([1, 2, 3])),
        ("{'a': [1], 'b': {}}", json!({ "a": [1], "b": {} })),
        ("{'a': 1}['a'] + [5, 6][1]", json!(7)),
        (
            "'a' in inputs.list && 'z' in {'z': 1} && !(4 in [1])",
            json!(true),
        ),
        ("true ? 1 : 2", json!(1)),
        ("false || inputs.n == 3 && true", json!(true)),
        (
            "has(inputs.n) && !has(inputs.nope) && !has(inputs.nil) && !has(steps.b.outputs.x)",
            json!(true),
        ),
        (
            "default(steps.b.outputs.x, 5) + default(inputs.nil, 1) + default(inputs.n, 1 / 0)",
            json!(9),
        ),
        ("default(size(steps.b.items), 0)", json!(0)),
        ("size(inputs.s) + inputs.list.size()", json!(13)),
        (
            "join(inputs.list, ', ') + [1, true, 'x'].join('')",
            json!("b, a1truex"),
        ),
        ("inputs.list.map(x, x + '!')", json!(["b!", "a!"])),
        ("steps.a.items.filter(i, i.ok).size()", json!(1)),
        ("inputs.list.exists(x, x == 'a')", json!(true)),
        ("[].all(x, false)", json!(true)),
        ("slug('  Größe: 7 µs -- DB_1!  ')", json!("gr-e-7-s-db-1")),
        ("one_of(inputs.n, [1, 2, 3])", json!(3)),
        ("agent_host(steps.a.outputs.host)", json!("web-1")),
        ("string(1.5) + string(2) + string(true)", json!("1.52true")),
        ("int('42') + int(3.9) + int(-3.9)", json!(42)),
        ("double('1.5') + float(1)", json!(2.5)),
        ("' x-y '.trim().split('-')", json!(["x", "y"])),
        ("'aXa'.replace('a', 'b').upperAscii().lowerAscii()", json!("bxb")),
        (
            "'abc'.startsWith('ab') && 'abc'.endsWith('c') && 'abc'.contains('b')",
            json!(true),
        ),
        (
            "succeeded() && !failed() && !degraded() && !cancelled() && always()",
            json!(true),
        ),
        // As in CEL, the deciding side absorbs the other's error.
        ("1 / 0 == 1 || true", json!(true)),
        ("[0, 1].exists(x, 1 / x == 1)", json!(true)),
        ("steps.a.outputs.evil", json!("x; rm -rf /")),
    ];
    for (text, expected) in cases {
        assert_eq!(eval(text), Ok(expected), "{text}");
    }
}

#[test]
fn each_error_has_its_code() {
    let deep = format!("{}1{}", "(".repeat(60), ")".repeat(60));
    let long = "1+".repeat(limits::EXPRESSION_BYTES);
    let cases = [
        ("FH0701", "1 +"),
        ("FH0701", ""),
        ("FH0701", "'open"),
        ("FH0701", "nope(1)"),
        ("FH0701", "[1].map(a, [1].map(b, b))"),
        ("FH0701", "a.map(x)"),
        ("FH0701", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!true"),
        ("FH0701", deep.as_str()),
        ("FH0701", long.as_str()),
        ("FH0702", "inputs.nope"),
        ("FH0702", "steps.b.outputs.x"),
        ("FH0702", "inputs.nil.x"),
        ("FH0702", "inputs.list[2]"),
        ("FH0702", "inputs.list[-1]"),
        ("FH0702", "nothing"),
        ("FH0703", "inputs.n.x"),
        ("FH0703", "inputs.n + 'x'"),
        ("FH0703", "inputs.s < 1"),
        ("FH0703", "inputs.s && true"),
        ("FH0703", "size(1)"),
        ("FH0703", "{'a': 1, 'a': 2}"),
        ("FH0703", "string([])"),
        ("FH0704", "1 / 0"),
        ("FH0704", "1 % 0"),
        ("FH0704", "9223372036854775807 + 1"),
        ("FH0704", "-9223372036854775808 / -1"),
        ("FH0704", "1e308 * 10.0"),
        ("FH0704", "0.0 / 0.0"),
        ("FH0704", "int('x')"),
        ("FH0704", "double('NaN')"),
        ("FH0706", "slug('…')"),
        ("FH0706", "one_of('x', ['y'])"),
        ("FH0706", "agent_host('-oProxyCommand=x')"),
        ("FH0706", "agent_host('a b')"),
    ];
    for (code, text) in cases {
        assert_eq!(eval(text), Err(code), "{text}");
    }
}

#[test]
fn results_and_work_are_bounded() {
    let mut scope = scope();
    let large = "\u{1}".repeat(limits::VALUE_BYTES / 3);
    scope.roots.insert("big".to_owned(), json!(large));
    let code = |text: &str| {
        Expr(text.to_owned())
            .eval(&scope)
            .map_err(|error| error.code)
            .err()
    };
    assert_eq!(code("big"), Some("FH0707"), "each \\u0001 is six bytes of JSON");
    assert_eq!(code("size(big)"), None);
    assert_eq!(code("big + big + big + big"), Some("FH0707"));
    assert_eq!(
        code(&format!("size({})", vec!["big"; 30].join(" + "))),
        Some("FH0705")
    );
    assert_eq!(code("big.replace('', big)"), Some("FH0705"));
    let many = Template::List(vec![Template::Expr(Expr("big.trim()".to_owned())); 2]);
    assert_eq!(many.eval(&scope).unwrap_err().code, "FH0707");
}

#[test]
fn templates_keep_types_and_make_text() {
    let expr = |text: &str| Template::Expr(Expr(text.to_owned()));
    let literal = |text: &str| Template::Literal(text.into());
    assert_eq!(expr("inputs.n").eval(&scope()), Ok(json!(3)));
    let text = Template::Concat(vec![
        literal("n="),
        expr("inputs.n"),
        literal(" f="),
        expr("inputs.f"),
        expr("true"),
    ]);
    assert_eq!(text.eval(&scope()), Ok(json!("n=3 f=2.5true")));
    let list = Template::Concat(vec![literal("x"), expr("inputs.list")]);
    assert_eq!(list.eval(&scope()).unwrap_err().code, "FH0703");
    let error = Expr("inputs.s + 1".to_owned()).eval(&scope()).unwrap_err();
    assert!(
        !error.to_string().contains("Größe"),
        "an error must not carry a value: {error}"
    );
}

/// Our reading of CEL against the crate's. What we leave out or mean otherwise stands in the module's comment.
#[test]
fn it_agrees_with_cel() {
    let texts = [
        "1 + 2 * 3 - 4 / 2 % 3",
        "-(-3) - -4",
        "1 < 2 == true",
        "true || false && false",
        "!true || !false",
        "1 == 1 ? 'a' : 2 == 2 ? 'b' : 'c'",
        "[1, 2, 3][1] + {'a': 4}['a']",
        "2 in [1, 2] && !('x' in {'y': 1})",
        "[1, 2, 3].filter(x, x > 1).size()",
        "[1, 2, 3].map(x, x * x)[2]",
        "[1, 2, 3].all(x, x > 0)",
        "[1].exists(x, x == 1)",
        "size('größe') + size([1]) + size({'a': 1})",
        "'a\\tb\\x41\\u00e9' + r'\\t'",
        "'abc'.startsWith('a') && 'abc'.contains('bc') && 'abc'.endsWith('c')",
        "has({'a': 1}.a) && !has({'a': 1}.b)",
        "1.5 + 2.25 > 3.0",
        "-7 / 2 + -7 % 2",
        "'b' > 'a' && 'Z' < 'a'",
        "1 / 0 == 1 || true",
        "9223372036854775807 - 1",
        "double(3) / 2.0",
        "int('12') + int(3.7)",
        "[1, [2, 'x']] == [1, [2, 'x']] && {'a': 1} == {'a': 1}",
        "[[1], [2]] + [[3]] == [[1], [2], [3]]",
        "true ? [1] : []",
    ];
    for text in texts {
        let ours = Expr(text.to_owned()).eval(&Scope::default()).unwrap();
        let program = cel::Program::compile(text).unwrap();
        let theirs = program.execute(&cel::Context::default()).unwrap();
        assert_eq!(ours, plain(theirs), "{text}");
    }
    for text in [
        "1 +", "a b", "[1, 2", "'open", "1 ? 2", "{1 2}", "a..b", "&& true", "()", "x in",
    ] {
        assert!(Expr(text.to_owned()).eval(&Scope::default()).is_err(), "{text}");
        assert!(cel::Program::compile(text).is_err(), "{text}");
    }
}

fn plain(value: cel::Value) -> Value {
    match value {
        cel::Value::Bool(value) => json!(value),
        cel::Value::Int(value) => json!(value),
        cel::Value::UInt(value) => json!(value),
        cel::Value::Float(value) => json!(value),
        cel::Value::String(value) => json!(value.as_str()),
        cel::Value::Null => Value::Null,
        cel::Value::List(items) => items.iter().cloned().map(plain).collect(),
        other => panic!("not compared here: {other:?}"),
    }
}

/// A generous bound on a debug build; a release build takes about a microsecond.
#[test]
fn evaluation_is_quick() {
    let scope = scope();
    let expr =
        Expr("has(steps.a.outputs.host) ? steps.a.outputs.host : default(inputs.s, 'none')".to_owned());
    let started = std::time::Instant::now();
    for _ in 0..1_000 {
        expr.eval(&scope).unwrap();
    }
    let each = started.elapsed() / 1_000;
    println!("{each:?} an evaluation");
    assert!(each.as_micros() < 1_000, "{each:?}");
}
