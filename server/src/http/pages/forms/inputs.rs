//! A workflow's inputs as fields, each by its type, and back.

use ::pages::form::{Field, Kind};
use types::{Object, Type, Value};
use workflow::Input;

use super::Submitted;
use crate::api::errors::Violation;

/// What the names of inputs have before them in a form.
pub(super) const PREFIX: &str = "input.";

/// Whether a form shows what an input has when nothing is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defaults {
    /// It stands in the field; what is taken out of it is not given.
    Filled,
    /// It is named beside the field; an empty one stands for it.
    Named,
}

/// The fields, by name.
pub(super) fn fields<'a>(
    inputs: impl IntoIterator<Item = (&'a String, &'a Input)>,
    defaults: Defaults,
) -> Vec<Field> {
    inputs
        .into_iter()
        .map(|(name, input)| field(name, input, defaults))
        .collect()
}

fn field(name: &str, input: &Input, defaults: Defaults) -> Field {
    let mut field = Field::new(&format!("{PREFIX}{name}"), name, kind(input));
    let mut help: Vec<String> = input.description.clone().into_iter().collect();
    help.push(match &input.ty {
        Type::List(item) if **item == Type::String => "One a line".to_owned(),
        Type::Json => "JSON".to_owned(),
        ty @ (Type::List(_) | Type::Map(_) | Type::Record { .. }) => format!("JSON, {ty}"),
        ty => ty.to_string(),
    });
    if let Some(default) = &input.default {
        match defaults {
            Defaults::Filled if chosen(input) => field.value = default.to_string(),
            Defaults::Filled => field.value = text(&input.ty, default),
            Defaults::Named => help.push(format!("empty: {default}")),
        }
    }
    field.required =
        input.default.is_none() && defaults == Defaults::Filled && !matches!(field.kind, Kind::One(_));
    field.help(help.join("; "))
}

fn kind(input: &Input) -> Kind {
    let choices = |values: &[Value]| {
        let none = (String::new(), "–".to_owned());
        let words = values
            .iter()
            .map(|value| (value.to_string(), text(&input.ty, value)));
        Kind::One(std::iter::once(none).chain(words).collect())
    };
    match &input.ty {
        _ if !input.one_of.is_empty() => choices(&input.one_of),
        Type::Bool => choices(&[Value::Bool(true), Value::Bool(false)]),
        Type::Int | Type::Float => Kind::Number,
        Type::String => Kind::Line,
        Type::List(_) => Kind::Lines(3),
        Type::Json | Type::Map(_) | Type::Record { .. } => Kind::Code(4),
    }
}

/// A value as it stands in its field.
fn text(ty: &Type, value: &Value) -> String {
    match (ty, value) {
        (Type::String, Value::String(text)) => text.clone(),
        (Type::List(item), Value::Array(items)) if **item == Type::String => {
            let lines = items.iter().map(|item| text(&Type::String, item));
            lines.collect::<Vec<_>>().join("\n")
        }
        (_, value) => value.to_string(),
    }
}

/// Whether it is chosen from options; the value of an option is JSON.
fn chosen(input: &Input) -> bool {
    !input.one_of.is_empty() || input.ty == Type::Bool
}

/// What was given, by name; a field that is not of its input's type is named. Whether a value is allowed is the service's to say.
pub(super) fn read<'a>(
    inputs: impl IntoIterator<Item = (&'a String, &'a Input)>,
    defaults: Defaults,
    sent: &Submitted,
) -> Result<Object, Vec<Violation>> {
    let (mut given, mut wrong) = (Object::new(), Vec::new());
    for (name, input) in inputs {
        let values = sent.all(&format!("{PREFIX}{name}"));
        let Some(entered) = values.first() else { continue };
        match value(input, entered, defaults) {
            Ok(Some(value)) => drop(given.insert(name.clone(), value)),
            Ok(None) => {}
            Err(why) => wrong.push(Violation {
                field: format!("inputs_json.{name}"),
                why,
            }),
        }
    }
    if wrong.is_empty() { Ok(given) } else { Err(wrong) }
}

fn value(input: &Input, entered: &str, defaults: Defaults) -> Result<Option<Value>, String> {
    // Where the default stood in the field, an emptied text or list is one; else it is left to the default.
    let emptied = defaults == Defaults::Filled && input.default.is_some();
    let parsed = || serde_json::from_str(entered).map(Some);
    match &input.ty {
        _ if chosen(input) && entered.is_empty() => Ok(None),
        _ if chosen(input) => parsed().map_err(|error| format!("not one of the choices: {error}")),
        Type::String if entered.is_empty() && !emptied => Ok(None),
        Type::String => Ok(Some(Value::String(entered.replace("\r\n", "\n")))),
        Type::List(item) if **item == Type::String => {
            let lines = entered.lines().map(str::trim).filter(|line| !line.is_empty());
            let items: Vec<Value> = lines.map(Value::from).collect();
            Ok((!items.is_empty() || emptied).then_some(Value::Array(items)))
        }
        _ if entered.trim().is_empty() => Ok(None),
        Type::Int | Type::Float => parsed().map_err(|_| format!("{entered:?} is not a number")),
        Type::Json | Type::Bool | Type::List(_) | Type::Map(_) | Type::Record { .. } => {
            parsed().map_err(|error| format!("not JSON: {error}"))
        }
    }
}
