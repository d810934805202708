//! The types of the language and their check against JSON values.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Value;

/// A type of the workflow language. Its text form is what a definition says: `list<string>`;
/// a record's is its name with its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `true`, `false`.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A number.
    Float,
    /// Unicode text.
    String,
    /// Any JSON value; always untrusted.
    Json,
    /// A list.
    List(Box<Type>),
    /// A map from text.
    Map(Box<Type>),
    /// An object with known fields.
    Record {
        /// Its name in messages.
        name: String,
        /// Its fields.
        fields: BTreeMap<String, Field>,
    },
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether it may be absent (or null).
    #[serde(default)]
    pub optional: bool,
}

/// Where a value does not have its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeError {
    /// The path in the value: `hosts[2]`, empty for the whole.
    pub path: String,
    /// What was expected.
    pub expected: String,
    /// What was found: a kind, never the value itself.
    pub found: &'static str,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for TypeError {}

impl Type {
    /// A list of this type.
    #[must_use]
    pub fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    /// A record of required fields; a name that ends in `?` marks an optional one.
    #[must_use]
    pub fn record<const N: usize>(name: &str, fields: [(&str, Self); N]) -> Self {
        let fields = fields
            .into_iter()
            .map(|(key, ty)| match key.strip_suffix('?') {
                Some(key) => (key.to_owned(), Field { ty, optional: true }),
                None => (key.to_owned(), Field { ty, optional: false }),
            })
            .collect();
        Self::Record {
            name: name.to_owned(),
            fields,
        }
    }

    /// Checks a value. A whole float counts as an int; an int counts as a float.
    ///
    /// # Errors
    /// The first place that does not fit.
    pub fn check(&self, value: &Value) -> Result<(), TypeError> {
        self.check_at(value, &mut String::new())
    }

    fn check_at(&self, value: &Value, path: &mut String) -> Result<(), TypeError> {
        let wrong = |path: &str| {
            Err(TypeError {
                path: path.to_owned(),
                expected: self.to_string(),
                found: kind_of(value),
            })
        };
        match (self, value) {
            (Self::Json, _)
            | (Self::Bool, Value::Bool(_))
            | (Self::String, Value::String(_))
            | (Self::Float, Value::Number(_)) => Ok(()),
            (Self::Int, Value::Number(n)) if n.is_i64() || n.is_u64() => Ok(()),
            (Self::List(item), Value::Array(items)) => items.iter().enumerate().try_for_each(|(i, v)| {
                let length = path.len();
                path.push_str(&format!("[{i}]"));
                let checked = item.check_at(v, path);
                path.truncate(length);
                checked
            }),
            (Self::Map(item), Value::Object(map)) => map
                .iter()
                .try_for_each(|(key, v)| at_key(path, key, |path| item.check_at(v, path))),
            (Self::Record { fields, .. }, Value::Object(map)) => {
                fields.iter().try_for_each(|(key, field)| {
                    at_key(path, key, |path| match map.get(key) {
                        None | Some(Value::Null) if field.optional => Ok(()),
                        None => Err(TypeError {
                            path: path.clone(),
                            expected: field.ty.to_string(),
                            found: "nothing",
                        }),
                        Some(v) => field.ty.check_at(v, path),
                    })
                })
            }
            _ => wrong(path),
        }
    }

    /// Whether each value of `other` is a value of this type.
    #[must_use]
    pub fn accepts(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Json, _) | (Self::Float, Self::Int) => true,
            (Self::List(a), Self::List(b)) | (Self::Map(a), Self::Map(b)) => a.accepts(b),
            (Self::Map(a), Self::Record { fields, .. }) => fields.values().all(|f| a.accepts(&f.ty)),
            (Self::Record { fields: wanted, .. }, Self::Record { fields: given, .. }) => {
                wanted.iter().all(|(key, field)| {
                    given.get(key).map_or(field.optional, |g| {
                        field.ty.accepts(&g.ty) && (field.optional || !g.optional)
                    })
                })
            }
            _ => self == other,
        }
    }
}

fn at_key<T>(path: &mut String, key: &str, run: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
    let result = run(path);
    path.truncate(length);
    result
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::String => f.write_str("string"),
            Self::Json => f.write_str("json"),
            Self::List(item) => write!(f, "list<{item}>"),
            Self::Map(item) => write!(f, "map<{item}>"),
            Self::Record { name, .. } => f.write_str(name),
        }
    }
}

/// Why a text is no type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeParseError(pub String);

impl fmt::Display for TypeParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown type {:?} (known: bool, int, float, string, json, list<…>, map<…>)",
            self.0
        )
    }
}

impl std::error::Error for TypeParseError {}

impl FromStr for Type {
    type Err = TypeParseError;
    /// Reads `bool`, `int`, `float`, `string`, `json`, `list<T>`, `map<T>`; at most 8 deep.
    fn from_str(text: &str) -> Result<Self, TypeParseError> {
        parse(text, 8).ok_or_else(|| TypeParseError(text.chars().take(80).collect()))
    }
}

fn parse(text: &str, depth: usize) -> Option<Type> {
    let text = text.trim();
    let inner = |prefix: &str| {
        text.strip_prefix(prefix)?
            .trim_start()
            .strip_prefix('<')?
            .strip_suffix('>')
    };
    Some(match text {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "float" => Type::Float,
        "string" => Type::String,
        "json" => Type::Json,
        _ if depth == 0 => return None,
        _ => match (inner("list"), inner("map")) {
            (Some(item), _) => Type::List(Box::new(parse(item, depth - 1)?)),
            (_, Some(item)) => Type::Map(Box::new(parse(item, depth - 1)?)),
            _ => return None,
        },
    })
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Text(String),
    List {
        list: Box<Type>,
    },
    Map {
        map: Box<Type>,
    },
    Record {
        record: String,
        fields: BTreeMap<String, Field>,
    },
}

impl Serialize for Type {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::List(item) => Stored::List { list: item.clone() },
            Self::Map(item) => Stored::Map { map: item.clone() },
            Self::Record { name, fields } => Stored::Record {
                record: name.clone(),
                fields: fields.clone(),
            },
            simple => Stored::Text(simple.to_string()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Text(text) => text.parse().map_err(serde::de::Error::custom)?,
            Stored::List { list } => Self::List(list),
            Stored::Map { map } => Self::Map(map),
            Stored::Record { record, fields } => Self::Record { name: record, fields },
        })
    }
}
