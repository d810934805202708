#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn declared(list: &[(&str, &str)]) -> Declared {
    list.iter()
        .map(|(name, ty)| {
            let optional = name.ends_with('?');
            (
                name.trim_end_matches('?').to_owned(),
                OutputDecl {
                    ty: ty.parse().unwrap(),
                    optional,
                },
            )
        })
        .collect()
}

fn error(text: &[u8], list: &[(&str, &str)]) -> String {
    from_file(text, &declared(list)).unwrap_err().to_string()
}

#[test]
fn every_type_is_read_in_both_forms() {
    let types = declared(&[
        ("b", "bool"),
        ("i", "int"),
        ("f", "float"),
        ("s", "string"),
        ("j", "json"),
        ("l", "list<int>"),
        ("m", "map<string>"),
        ("o?", "int"),
    ]);
    let expected =
        json!({"b": true, "i": -3, "f": 2.5, "s": "a = b ", "j": null, "l": [1, 2], "m": {"k": "v"}});
    let plain = "b=true\ni=-3\n\nf=2.5\ns=a = b \nj=null\nl=[1, 2]\nm={\"k\":\"v\"}";
    assert_eq!(
        Value::Object(from_file(plain.as_bytes(), &types).unwrap()),
        expected
    );
    let lines: Vec<String> = expected
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}).to_string())
        .collect();
    assert_eq!(
        Value::Object(from_file(lines.join("\n").as_bytes(), &types).unwrap()),
        expected
    );
    assert_eq!(
        Value::Object(from_json(expected.to_string().as_bytes(), &types).unwrap()),
        expected
    );
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, list, expected) in [
        (
            "a=1\nb=2\n",
            &[("a", "int")][..],
            r#"line 2: output "b" is not declared (declared: a)"#,
        ),
        (
            "b=2\n",
            &[],
            r#"line 1: output "b" is not declared: the step declares none"#,
        ),
        ("\n", &[("a", "int")], r#"output "a" (int) is missing"#),
        (
            "a=1\n\na=2\n",
            &[("a", "int")],
            r#"line 3: output "a": it was written before"#,
        ),
        (
            "a=x\n",
            &[("a", "int")],
            r#"line 1: output "a": expected int, found no whole number"#,
        ),
        ("a=1\n", &[("a", "bool")], "found neither true nor false"),
        ("a=inf\n", &[("a", "float")], "found no number"),
        (
            "a=[1,\"x\"]\n",
            &[("a", "list<int>")],
            r#"output "a": [1]: expected int, found string"#,
        ),
        ("just text\n", &[("a", "int")], "line 1: expected name=value"),
        (
            "{\"name\":\"a\"}\n",
            &[("a", "int")],
            "with name and value and nothing else",
        ),
        (
            "{\"name\":\"a\",\"value\":1,\"x\":2}\n",
            &[("a", "int")],
            "nothing else",
        ),
        (
            "{\"name\":\"a\",\"value\":\"1\"}\n",
            &[("a", "int")],
            "expected int, found string",
        ),
        ("{oh\n", &[("a", "int")], "line 1: not a JSON object"),
    ] {
        let error = error(text.as_bytes(), list);
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    assert!(error(b"a=1\n\xff\n", &[("a", "int")]).contains("line 2: not valid UTF-8"));
}

#[test]
fn too_much_is_refused() {
    let text = format!("a={}\n", "x".repeat(limits::OUTPUTS_BYTES));
    assert!(error(text.as_bytes(), &[("a", "string")]).contains("the limit is"));
    let json = json!({"a": "x".repeat(limits::OUTPUTS_BYTES)}).to_string();
    let types = declared(&[("a", "string")]);
    assert!(
        from_json(json.as_bytes(), &types)
            .unwrap_err()
            .to_string()
            .contains("larger than")
    );
    assert!(
        from_json(b"[1]", &types)
            .unwrap_err()
            .to_string()
            .contains("not an object")
    );
    assert!(from_json(b"{\"a\":\"x\"} trailing", &types).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_what_it_gives_is_as_declared(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let types = declared(&[("a?", "int"), ("b?", "list<string>"), ("c?", "string")]);
        if let Ok(outputs) = from_file(&bytes, &types) {
            for (name, value) in &outputs {
                prop_assert!(types[name].ty.check(value).is_ok());
            }
        }
        let _either = from_json(&bytes, &types);
    }

    #[test]
    fn any_text_comes_back_through_the_json_form_and_forges_no_line(text in any::<String>()) {
        let types = declared(&[("a", "string"), ("evil?", "string")]);
        let line = json!({"name": "a", "value": text}).to_string();
        let outputs = from_file(line.as_bytes(), &types).unwrap();
        prop_assert_eq!(outputs.len(), 1);
        prop_assert_eq!(outputs["a"].as_str(), Some(text.as_str()));
    }

    #[test]
    fn integers_and_lists_come_back(i in any::<i64>(), list in proptest::collection::vec(any::<String>(), 0..5)) {
        let types = declared(&[("i", "int"), ("l", "list<string>")]);
        let text = format!("i={i}\nl={}\n", json!(list));
        let outputs = from_file(text.as_bytes(), &types).unwrap();
        prop_assert_eq!(&outputs["i"], &json!(i));
        prop_assert_eq!(&outputs["l"], &json!(list));
    }
}
