//! `--input k=v`, files, and standard input.

use std::{
    fs::File,
    io::{self, Read},
};

use serde_json::Value;
use types::{Object, Type, limits};

use crate::exit::Fault;

/// Inputs as given, typed by the plan: the text itself where a string is wanted, JSON elsewhere.
/// A name that the plan does not have goes along as text; the server says what is wrong with it.
pub(crate) fn typed(given: &[String], plan: Option<&Value>) -> Result<Object, Fault> {
    let mut inputs = Object::new();
    for pair in given {
        let (name, text) = pair
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Fault::usage(format!("--input {pair:?}: write it as NAME=VALUE")))?;
        let declared = plan.and_then(|plan| plan["inputs"].get(name));
        let ty: Option<Type> = declared.and_then(|input| serde_json::from_value(input["type"].clone()).ok());
        if inputs
            .insert(name.to_owned(), value(name, text, ty.as_ref())?)
            .is_some()
        {
            return Err(Fault::usage(format!("--input {name} is given twice")));
        }
    }
    Ok(inputs)
}

/// One value of a type.
pub(crate) fn value(name: &str, text: &str, ty: Option<&Type>) -> Result<Value, Fault> {
    match ty {
        None | Some(Type::String) => Ok(text.into()),
        Some(ty) => serde_json::from_str(text).map_err(|error| {
            let example = match ty {
                Type::List(_) => r#"'["a","b"]'"#,
                Type::Map(_) => r#"'{"key":"value"}'"#,
                Type::Bool => "true",
                Type::Json => r#"'"a text"'"#,
                _ => "7",
            };
            Fault::usage(format!("--input {name}: expected {ty} as JSON: {error}"))
                .hint(format!("for example --input {name}={example}"))
        }),
    }
}

/// A file's bytes, or those of standard input for `-`; at most one more than the given number is read.
pub(crate) fn read_most(path: &str, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = most as u64 + 1;
    if path == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// A file's bytes, or those of standard input for `-`; of at most the given number.
pub(crate) fn read(path: &str, most: usize) -> Result<Vec<u8>, Fault> {
    let bytes =
        read_most(path, most).map_err(|error| Fault::usage(format!("{path} cannot be read: {error}")))?;
    if bytes.len() > most {
        return Err(Fault::usage(format!("{path} is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// A definition's text.
pub(crate) fn definition(path: &str) -> Result<String, Fault> {
    String::from_utf8(read(path, limits::DEFINITION_BYTES)?)
        .map_err(|error| Fault::usage(format!("{path} is not UTF-8: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn plan() -> Value {
        json!({"inputs": {"n": {"type": "int"}, "who": {"type": "string"}, "l": {"type": {"list": "string"}}}})
    }

    fn of(pairs: &[&str]) -> Result<Object, Fault> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        typed(&pairs, Some(&plan()))
    }

    #[test]
    fn values_are_read_by_their_declared_type() {
        let inputs = of(&["n=3", "who=7", "l=[\"a\",\"b\"]", "other=x=y"]).unwrap();
        assert_eq!(
            Value::Object(inputs),
            json!({"n": 3, "who": "7", "l": ["a", "b"], "other": "x=y"})
        );
    }

    #[test]
    fn what_cannot_be_read_names_the_input_and_an_example() {
        let fault = of(&["l=a"]).unwrap_err();
        assert_eq!(fault.exit as u8, 2);
        assert!(
            fault.to_string().contains("list<string>") && fault.to_string().contains("--input l="),
            "{fault}"
        );
        assert!(of(&["novalue"]).is_err() && of(&["=x"]).is_err() && of(&["n=1", "n=2"]).is_err());
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused_not_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs_err::write(&path, "12345").unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(read(path, 5).unwrap(), b"12345");
        assert!(read(path, 4).unwrap_err().message.contains("larger than 4 bytes"));
        assert!(
            read("/nonexistent/x", 4)
                .unwrap_err()
                .message
                .contains("/nonexistent/x")
        );
    }
}
