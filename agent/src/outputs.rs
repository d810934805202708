//! What a step wrote as its outputs, checked against what it declared.

use std::collections::BTreeMap;

use types::{Object, OutputDecl, Type, Value, limits};

/// What is wrong with the outputs: one sentence that names the output and the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct OutputError(String);

type Declared = BTreeMap<String, OutputDecl>;

fn wrong<T>(text: impl Into<String>) -> Result<T, OutputError> {
    Err(OutputError(text.into()))
}

/// Reads the file `$FIREHALL_OUTPUT`: a line is `name=value` or one JSON object `{"name": …, "value": …}`. There is no
/// form over several lines, so that no text can forge one.
///
/// # Errors
/// The first line, or the first output, that is not as declared.
pub(crate) fn from_file(bytes: &[u8], declared: &Declared) -> Result<Object, OutputError> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let good = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        let line = bytes[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        return wrong(format!("$FIREHALL_OUTPUT, line {line}: not valid UTF-8"));
    };
    let mut outputs = Object::new();
    for (n, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let at = |error: OutputError| OutputError(format!("$FIREHALL_OUTPUT, line {}: {}", n + 1, error.0));
        let (name, value) = read_line(line, declared).map_err(at)?;
        if outputs.insert(name.clone(), value).is_some() {
            return wrong("it was written before")
                .map_err(|e| at(OutputError(format!("output {}: {}", shown(&name), e.0))));
        }
    }
    whole(outputs, declared, "$FIREHALL_OUTPUT")
}

/// Takes standard output as one JSON object of outputs.
///
/// # Errors
/// It is none, or an output is not as declared.
pub(crate) fn from_json(bytes: &[u8], declared: &Declared) -> Result<Object, OutputError> {
    if bytes.len() > limits::OUTPUTS_BYTES {
        return wrong(format!(
            "standard output: larger than {} bytes, the limit for outputs",
            limits::OUTPUTS_BYTES
        ));
    }
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return wrong(format!("standard output is not one JSON object: {error}")),
    };
    let Value::Object(outputs) = value else {
        return wrong("standard output is JSON, but not an object");
    };
    for (name, value) in &outputs {
        check(name, value, declaration(name, declared)?)?;
    }
    whole(outputs, declared, "standard output")
}

fn read_line(line: &str, declared: &Declared) -> Result<(String, Value), OutputError> {
    if line.trim_start().starts_with('{') {
        return read_object(line, declared);
    }
    let Some((name, text)) = line.split_once('=') else {
        return wrong("expected name=value, or an object {\"name\": …, \"value\": …}");
    };
    let ty = declaration(name, declared)?;
    let value = match read_text(text, ty) {
        Ok(value) => value,
        Err(why) => return wrong(format!("output {}: expected {ty}, {why}", shown(name))),
    };
    check(name, &value, ty)?;
    Ok((name.to_owned(), value))
}

fn read_object(line: &str, declared: &Declared) -> Result<(String, Value), OutputError> {
    let mut object: Object = match serde_json::from_str(line) {
        Ok(object) => object,
        Err(error) => return wrong(format!("not a JSON object: {error}")),
    };
    let (name, value) = (object.remove("name"), object.remove("value"));
    let (Some(Value::String(name)), Some(value), true) = (name, value, object.is_empty()) else {
        return wrong("expected an object with name and value and nothing else");
    };
    check(&name, &value, declaration(&name, declared)?)?;
    Ok((name, value))
}

fn declaration<'a>(name: &str, declared: &'a Declared) -> Result<&'a Type, OutputError> {
    match declared.get(name) {
        Some(output) => Ok(&output.ty),
        None if declared.is_empty() => wrong(format!(
            "output {} is not declared: the step declares none",
            shown(name)
        )),
        None => {
            let known: Vec<&str> = declared.keys().map(String::as_str).collect();
            wrong(format!(
                "output {} is not declared (declared: {})",
                shown(name),
                known.join(", ")
            ))
        }
    }
}

/// A text as a value of a type; the error says what was found, without the text.
fn read_text(text: &str, ty: &Type) -> Result<Value, String> {
    match ty {
        Type::String => Ok(Value::from(text)),
        Type::Bool => match text.trim() {
            "true" => Ok(Value::from(true)),
            "false" => Ok(Value::from(false)),
            _ => Err("found neither true nor false".to_owned()),
        },
        Type::Int => text
            .trim()
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| "found no whole number".to_owned()),
        Type::Float => match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::from(number)),
            _ => Err("found no number".to_owned()),
        },
        Type::Json | Type::List(_) | Type::Map(_) | Type::Record { .. } => {
            serde_json::from_str(text).map_err(|error| format!("found no JSON: {error}"))
        }
    }
}

fn check(name: &str, value: &Value, ty: &Type) -> Result<(), OutputError> {
    ty.check(value)
        .or_else(|error| wrong(format!("output {}: {error}", shown(name))))
}

fn whole(outputs: Object, declared: &Declared, from: &str) -> Result<Object, OutputError> {
    let missing = declared
        .iter()
        .find(|(name, output)| !output.optional && !outputs.contains_key(*name));
    if let Some((name, output)) = missing {
        return wrong(format!(
            "output {} ({}) is missing: the step did not write it to {from}",
            shown(name),
            output.ty
        ));
    }
    let size = serde_json::to_vec(&outputs).map_or(usize::MAX, |json| json.len());
    if size > limits::OUTPUTS_BYTES {
        return wrong(format!(
            "the outputs take {size} bytes together, the limit is {}",
            limits::OUTPUTS_BYTES
        ));
    }
    Ok(outputs)
}

/// A name for a message: it may be anything that a step wrote.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(60).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests;
