//! `firehall put FILE|RUNBOOK`

use clap::Args;
use serde_json::{Value, json};
use types::{Object, Type};

use crate::{
    args::Remote,
    exit::{Done, Exit, Fault},
    input, local, out, splice,
};

/// Keep a definition under its name: alerts start the newest version.
#[derive(Debug, Args)]
#[command(after_long_help = "Alerts start the newest version from now on.

Examples:
  firehall put disk-check.yaml
  firehall put incident-response --default 'responders=[\"ann@example.com\"]'

With -o json: {name, version, changed}.")]
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
        None => (args.what.clone(), local::definition(&args.what)?),
    };
    let client = args.remote.connect().await?;
    let source = if args.defaults.is_empty() {
        source
    } else {
        with_defaults(&client, &file, &source, &args.defaults).await?
    };
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
    runbooks::ALL
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, source)| *source)
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

/// The definition with other defaults: their values are replaced in its text, everything else stays as it is.
///
/// # Errors
/// For an input that has no default in the definition, and a value of another type.
pub(crate) fn replace_defaults(
    source: &str,
    plan: Option<&Value>,
    defaults: &Object,
) -> Result<String, Fault> {
    let mut text = source.to_owned();
    for (name, value) in defaults {
        let declared = plan.and_then(|plan| plan["inputs"].get(name));
        if let Some(ty) =
            declared.and_then(|input| serde_json::from_value::<Type>(input["type"].clone()).ok())
        {
            ty.check(value)
                .map_err(|error| Fault::usage(format!("--default {name}: {error}")))?;
        }
        let place = splice::find(&text, &["inputs", name, "default"])
            .map_err(Fault::usage)?
            .ok_or_else(|| {
                Fault::usage(format!(
                    "--default {name}: the definition has no such input with a default of its own"
                ))
            })?;
        text.replace_range(place, &value.to_string());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SOURCE: &str = "\
# é, to tell characters from bytes
name: w
inputs:
  who: { type: list<string>, default: [a] } # why
  n:
    type: int
    default: 3
  many:
    type: list<string>
    default:
      - x
      - y
    # ] of many

  more: { type: list<string>,
    default: [ # of ] more
      \"]\" ] } # ]
  bare: { type: string }
steps:
  default: { image: host, run: 'echo \"inputs: $Y\"' }
";

    fn plan() -> Value {
        let list = json!({"type": {"list": "string"}});
        json!({"inputs": {"who": list, "many": list, "more": list, "n": {"type": "int"}, "bare": {"type": "string"}}})
    }

    fn replaced(defaults: Value) -> Result<String, Fault> {
        replace_defaults(SOURCE, Some(&plan()), defaults.as_object().unwrap())
    }

    #[test]
    fn only_the_default_changes() {
        let text = replaced(json!({"who": ["b", "$(c) \"d\" é"], "n": 7})).unwrap();
        let expected = SOURCE
            .replace("default: [a]", r#"default: ["b","$(c) \"d\" é"]"#)
            .replace("default: 3", "default: 7");
        assert_eq!(text, expected);
    }

    #[test]
    fn several_lines_become_one_and_comments_stay() {
        let text = replaced(json!({"many": ["z"], "more": []})).unwrap();
        let expected = SOURCE
            .replace("- x\n      - y\n", "[\"z\"]\n")
            .replace("[ # of ] more\n      \"]\" ]", "[]");
        assert_eq!(text, expected);
    }

    #[test]
    fn a_wrong_name_or_type_is_refused() {
        for wrong in [
            json!({"nobody": 1}),
            json!({"bare": "b"}),
            json!({"who": "b"}),
            json!({"who": [1]}),
        ] {
            assert_eq!(replaced(wrong.clone()).unwrap_err().exit as u8, 2, "{wrong}");
        }
    }
}
