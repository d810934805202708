//! `firehall put FILE|RUNBOOK`

use clap::Args;
use serde_json::{Value, json};
use types::{Object, Type};

use crate::{
    args::Remote,
    exit::{Done, Exit, Fault},
    input, out,
};

/// Keep a definition under its name: alerts start the newest version.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    remote: Remote,
    /// A definition's file, `-` for standard input, or the name of a shipped runbook
    #[arg(value_name = "FILE|RUNBOOK")]
    what: String,
    /// Keep it with another default of an input, for the runs that alerts start. Repeatable
    #[arg(long = "default", value_name = "NAME=VALUE")]
    defaults: Vec<String>,
}

pub(crate) async fn main(args: PutArgs) -> Done {
    let (file, source) = match shipped(&args.what) {
        Some(source) => (format!("{}.yaml", args.what), source.to_owned()),
        None => (args.what.clone(), input::definition(&args.what)?),
    };
    let client = args.remote.connect().await?;
    let source = if args.defaults.is_empty() { source } else { with_defaults(&client, &file, &source, &args.defaults).await? };
    let (name, version, changed) = client.put_workflow(&file, &source).await?;
    if args.remote.json() {
        out::json(&json!({ "name": name, "version": version, "changed": changed }))?;
    } else if changed {
        out::line(&format!("{name} {version}"))?;
    } else {
        out::line(&format!("{name} {version} (was there already)"))?;
    }
    Ok(Exit::Succeeded)
}

/// A runbook of this binary.
pub(crate) fn shipped(name: &str) -> Option<&'static str> {
    runbooks::ALL.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

async fn with_defaults(
    client: &sdk::Client,
    file: &str,
    source: &str,
    defaults: &[String],
) -> Result<String, Fault> {
    let plan = super::run::plan_of(client, file, source).await?;
    let defaults = input::typed(defaults, plan.as_ref())?;
    replace_defaults(source, plan.as_ref(), &defaults)
}

/// The definition with other defaults, in its JSON form: every value as it was, only comments are gone.
///
/// # Errors
/// For an input that the definition does not have, and a value of another type.
pub(crate) fn replace_defaults(source: &str, plan: Option<&Value>, defaults: &Object) -> Result<String, Fault> {
    let mut definition = yaml::to_json(source)?;
    for (name, value) in defaults {
        let declared = plan.and_then(|plan| plan["inputs"].get(name));
        let Some(input) = definition["inputs"].get_mut(name).and_then(Value::as_object_mut) else {
            return Err(Fault::usage(format!("the definition has no input {name:?}")));
        };
        if let Some(ty) = declared.and_then(|input| serde_json::from_value::<Type>(input["type"].clone()).ok()) {
            ty.check(value).map_err(|error| Fault::usage(format!("--default {name}: {error}")))?;
        }
        input.insert("default".to_owned(), value.clone());
    }
    serde_json::to_string_pretty(&definition).map_err(|error| Fault::failed(error.to_string()))
}

mod yaml {
    //! YAML read as JSON, for definitions that have compiled: no tags, no anchors, plain string keys.

    use saphyr::{LoadableYamlNode, Scalar, Yaml};
    use serde_json::Value;

    use crate::exit::Fault;

    pub(super) fn to_json(source: &str) -> Result<Value, Fault> {
        let documents = Yaml::load_from_str(source).map_err(|error| Fault::usage(format!("no YAML: {error}")))?;
        match documents.as_slice() {
            [only] => convert(only),
            _ => Err(Fault::usage("a definition is one document")),
        }
    }

    fn convert(node: &Yaml<'_>) -> Result<Value, Fault> {
        let odd = |what: &str| Fault::usage(format!("{what} cannot be kept with other defaults"));
        Ok(match node {
            Yaml::Value(Scalar::Null) => Value::Null,
            Yaml::Value(Scalar::Boolean(truth)) => (*truth).into(),
            Yaml::Value(Scalar::Integer(number)) => (*number).into(),
            Yaml::Value(Scalar::FloatingPoint(number)) => number.into_inner().into(),
            Yaml::Value(Scalar::String(text)) => text.as_ref().into(),
            Yaml::Sequence(items) => items.iter().map(convert).collect::<Result<_, _>>()?,
            Yaml::Mapping(entries) => {
                let mut object = types::Object::new();
                for (key, value) in entries {
                    let key = key.as_str().ok_or_else(|| odd("a key that is no text"))?;
                    object.insert(key.to_owned(), convert(value)?);
                }
                Value::Object(object)
            }
            _ => return Err(odd("an anchor, a tag or a bad value")),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SOURCE: &str = "name: w\ninputs:\n  who: { type: list<string>, default: [a] } # why\n  n: { type: int, default: 3 }\nsteps:\n  s:\n    image: host\n    run: |\n      echo \"x: $Y\"\n      printf '%s\\n' \"é\"\n    timeout: 1.5\n";

    #[test]
    fn only_the_default_changes() {
        let plan = json!({"inputs": {"who": {"type": {"list": "string"}}, "n": {"type": "int"}}});
        let defaults = json!({"who": ["b", "$(c) \"d\""]}).as_object().unwrap().clone();
        let replaced: Value =
            serde_json::from_str(&replace_defaults(SOURCE, Some(&plan), &defaults).unwrap()).unwrap();
        assert_eq!(replaced["inputs"]["who"], json!({"type": "list<string>", "default": ["b", "$(c) \"d\""]}));
        assert_eq!(replaced["inputs"]["n"]["default"], 3);
        assert_eq!(replaced["steps"]["s"]["run"], "echo \"x: $Y\"\nprintf '%s\\n' \"é\"\n");
        assert_eq!(replaced["steps"]["s"]["timeout"], 1.5);
    }

    #[test]
    fn a_wrong_name_or_type_is_refused() {
        let plan = json!({"inputs": {"who": {"type": {"list": "string"}}}});
        for wrong in [json!({"nobody": 1}), json!({"who": "b"}), json!({"who": [1]})] {
            let fault = replace_defaults(SOURCE, Some(&plan), wrong.as_object().unwrap()).unwrap_err();
            assert_eq!(fault.exit as u8, 2, "{wrong}");
        }
    }
}
