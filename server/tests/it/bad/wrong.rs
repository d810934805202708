//! What can be wrong with a field, and what the answer must be.

use prost_reflect::{FieldDescriptor, Kind, MethodDescriptor};
use serde_json::{Value, json};

use super::{raw, rows::Is, schema};

/// What must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    /// INVALID_ARGUMENT that names this path, if one is given.
    Bad(Option<String>),
    /// NOT_FOUND.
    Missing,
    /// Anything but a defect.
    Fine,
}

impl Expect {
    /// The deadline of a call: what is wrong is answered, also where what is right would have no end.
    pub(crate) fn patience(&self, path: &str) -> &'static str {
        match self {
            Self::Bad(_) | Self::Missing => raw::LONG,
            Self::Fine => raw::patience(path),
        }
    }
}

/// For each field of a method each wrong value: what it is for people, the message, and what must come back.
pub(crate) fn requests(
    method: &MethodDescriptor,
    fields: &[(&str, Is)],
    good: &Value,
) -> Vec<(String, Vec<u8>, Expect)> {
    let mut requests = Vec::new();
    for (name, is) in fields {
        let field = method.input().get_field_by_name(name).unwrap();
        for (value, expect) in values(*is, &field) {
            let mut request = good.clone();
            // A oneof has one of its fields.
            if let Some(one) = field.containing_oneof() {
                for other in one.fields() {
                    request.as_object_mut().unwrap().remove(other.name());
                }
            }
            let shown: String = value.to_string().chars().take(60).collect();
            request[*name] = value;
            let body = schema::encode(method.input(), &request);
            requests.push((format!("{name} = {shown}"), body, expect));
        }
    }
    requests
}

const UNKNOWN: &str = "01j0000000000000000000000z";

fn texts() -> Vec<String> {
    [
        "\0",
        "a\0b",
        "\u{202e}gnp.exe",
        "é\u{1F525}\u{300}",
        "' OR 1=1 --",
        "../../etc/passwd",
        "${{ inputs.x }}",
        "%s%n\r\nX-Header: y",
        "\u{feff}",
    ]
    .map(str::to_owned)
    .into()
}

fn huge() -> String {
    "x".repeat(600_000)
}

fn malformed(prefix: &str) -> Vec<String> {
    let other = if prefix == "run" { "inc" } else { "run" };
    let mut ids = texts();
    ids.extend([
        "x".to_owned(),
        prefix.to_owned(),
        format!("{prefix}_"),
        format!("{other}_{UNKNOWN}"),
        format!("{prefix}_{}", UNKNOWN.to_uppercase()),
        format!("{prefix}-{UNKNOWN}"),
        format!("{prefix}_{UNKNOWN} "),
        format!("{prefix}_{UNKNOWN}0"),
        format!("{prefix}_{}", "u".repeat(26)),
        huge(),
    ]);
    ids
}

/// Wrong values for a field of a kind, each with what must come back.
pub(crate) fn values(is: Is, field: &FieldDescriptor) -> Vec<(Value, Expect)> {
    let name = field.name().to_owned();
    let bad = || Expect::Bad(Some(name.clone()));
    let all = |texts: Vec<String>, expect: Expect| -> Vec<(Value, Expect)> {
        texts
            .into_iter()
            .map(|text| (json!(text), expect.clone()))
            .collect()
    };
    match is {
        Is::Id(prefix) => {
            let mut wrong = all(malformed(prefix), bad());
            wrong.push((json!(""), bad()));
            wrong.push((json!(format!("{prefix}_{UNKNOWN}")), Expect::Missing));
            wrong
        }
        Is::IdFilter(prefix) => {
            let mut wrong = all(malformed(prefix), bad());
            wrong.push((json!(format!("{prefix}_{UNKNOWN}")), Expect::Fine));
            wrong
        }
        Is::Ids(prefix) => {
            let one = malformed(prefix).into_iter().take(12);
            let first = Expect::Bad(Some(format!("{name}[0]")));
            let mut wrong: Vec<_> = one.map(|id| (json!([id]), first.clone())).collect();
            let known = format!("{prefix}_{UNKNOWN}");
            wrong.push((json!([known, "x"]), Expect::Bad(Some(format!("{name}[1]")))));
            wrong.push((
                json!(vec![known.clone(); 65]),
                if prefix == "lse" { Expect::Fine } else { bad() },
            ));
            wrong.push((json!([known]), Expect::Fine));
            wrong
        }
        Is::Name => {
            let mut wrong = all(texts(), Expect::Missing);
            wrong.extend(all(vec!["nobody".to_owned(), huge()], Expect::Missing));
            wrong.push((json!(""), bad()));
            wrong
        }
        Is::Word(empty) => {
            let mut wrong = all(texts(), bad());
            wrong.extend(all(vec!["x".to_owned(), huge()], bad()));
            wrong.push((json!(""), if empty { Expect::Fine } else { bad() }));
            wrong
        }
        Is::Text(most, required) => {
            let mut wrong = all(vec!["x".repeat(most + 1), huge()], bad());
            wrong.push((json!("x".repeat(most)), Expect::Fine));
            wrong.push((json!(""), if required { bad() } else { Expect::Fine }));
            wrong.extend(all(texts(), Expect::Fine));
            wrong
        }
        Is::Json => {
            let deep = "[".repeat(100_000);
            let mut wrong = all(
                ["[", "3", "null", "\"x\"", "{\"a\"}", "{}x", "\0", &deep]
                    .map(str::to_owned)
                    .into(),
                bad(),
            );
            wrong.push((
                json!("{\"nobody\": 1}"),
                Expect::Bad(Some(format!("{name}.nobody"))),
            ));
            wrong.push((
                json!(format!("{{\"x\": {}1{}}}", "[".repeat(120), "]".repeat(120))),
                Expect::Bad(Some(format!("{name}.x"))),
            ));
            wrong
        }
        Is::Source | Is::Compiles => {
            let expect = || match is {
                Is::Source => Expect::Fine,
                _ => bad(),
            };
            let mut wrong = all(texts(), expect());
            let sources = ["", "x", "{", "name: 1\nsteps: 3\n", "a: &a [*a]", "steps:\n\t- x"];
            wrong.extend(all(sources.map(str::to_owned).into(), expect()));
            wrong.push((json!("#".repeat(1024 * 1024 + 1)), expect()));
            wrong.push((json!("[".repeat(600_000)), expect()));
            wrong.push((json!("- x\n".repeat(250_000)), expect()));
            wrong
        }
        Is::Payload => ["{", "[]", "3", "\0", "not json"]
            .map(|text| (json!(data_encoding::BASE64.encode(text.as_bytes())), bad()))
            .into(),
        Is::Enum => {
            let path = if field.is_list() {
                format!("{name}[0]")
            } else {
                name
            };
            let value = |n: i32| if field.is_list() { json!([n]) } else { json!(n) };
            [99, -1, i32::MAX, i32::MIN]
                .map(|n| (value(n), Expect::Bad(Some(path.clone()))))
                .into()
        }
        Is::Cursor => {
            let mut wrong = all(texts(), bad());
            let cursors = [
                "x",
                "-1",
                "+1",
                "01",
                "1.0",
                "18446744073709551616",
                "99999999",
                " 1",
            ];
            wrong.extend(all(cursors.map(str::to_owned).into(), bad()));
            wrong.push((json!(huge()), bad()));
            wrong
        }
        Is::Free => extremes(field)
            .into_iter()
            .map(|value| (value, Expect::Fine))
            .collect(),
    }
}

/// The extremes of a type.
fn extremes(field: &FieldDescriptor) -> Vec<Value> {
    let mut values: Vec<Value> = match field.kind() {
        Kind::String => {
            let mut values: Vec<Value> = texts().into_iter().map(Value::from).collect();
            values.extend([json!(""), json!(huge())]);
            values
        }
        Kind::Bytes => vec![json!(""), json!(data_encoding::BASE64.encode(&[0xff; 70_000]))],
        Kind::Bool => vec![json!(true), json!(false)],
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Enum(_) => {
            vec![json!(i32::MIN), json!(-1), json!(i32::MAX)]
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => vec![json!(i64::MIN), json!(-1), json!(i64::MAX)],
        Kind::Uint32 | Kind::Fixed32 => vec![json!(0), json!(u32::MAX)],
        Kind::Uint64 | Kind::Fixed64 => vec![json!(0), json!(u64::MAX)],
        Kind::Float | Kind::Double => vec![json!(0), json!("NaN")],
        Kind::Message(inner) => {
            // Each of its fields at its extremes, and none.
            let mut values = vec![json!({})];
            for part in inner.fields() {
                let name = part.name().to_owned();
                let nested = matches!(part.kind(), Kind::Message(_));
                let parts = if nested { vec![json!({})] } else { extremes(&part) };
                let parts = parts.into_iter().filter(|part| !part.is_array());
                values.extend(parts.map(|value| {
                    let value = if part.is_list() { json!([value]) } else { value };
                    json!({ name.clone(): value })
                }));
            }
            values
        }
    };
    if field.is_list() {
        let many = vec![values[0].clone(); 2_000];
        values = values.into_iter().map(|value| json!([value])).collect();
        values.push(json!(many));
    }
    values
}
