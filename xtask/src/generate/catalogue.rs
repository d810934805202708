//! What the actions' signatures say beside docs/actions.md: the records that values can be, and Slack's scopes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::sh;

/// Every signature.
pub(super) fn signatures() -> Result<Value> {
    let told = sh::Cmd::new(sh::firehall())
        .args(["--no-config", "actions", "-o", "json"])
        .read()?;
    serde_json::from_str(&told).context("`firehall actions -o json` is no JSON")
}

/// The page on records: each with its fields, from the signatures that take or give it.
pub(super) fn types(signatures: &Value) -> Result<String> {
    let signatures = signatures.as_array().context("signatures are no list")?;
    let records: BTreeMap<&String, &Value> = signatures
        .iter()
        .filter_map(|signature| signature["types"].as_object())
        .flatten()
        .collect();
    let mut page = String::from(
        "# Records\n\nWhat the alert and the actions' parameters and outputs are made of, besides `bool`, `int`, `float`, `string`, \
         `json`, `list<T>` and `map<T>`. A field that may be absent is marked with `?`: reading one says what to do without it \
         ([absence](language.md#absence)). Anything that an alert said is untrusted ([trust](language.md#trust)).\n",
    );
    for (name, fields) in &records {
        page.push_str(&format!("\n## {name}\n\n| field | type |\n|---|---|\n"));
        for (field, about) in fields.as_object().context("a record without fields")? {
            let mark = if about["optional"] == true { "?" } else { "" };
            let kind = about["type"].as_str().context("a field without a type")?;
            let of = kind
                .trim_start_matches(|c: char| c != '<')
                .trim_matches(['<', '>']);
            let of = if of.is_empty() { kind } else { of };
            let also = records.keys().find(|name| name.as_str() == of);
            let also = also.map_or(String::new(), |name| format!(", see [{name}](#{name})"));
            page.push_str(&format!("| `{field}{mark}` | `{kind}`{also} |\n"));
        }
    }
    anyhow::ensure!(!records.is_empty(), "no signature has a record");
    Ok(page)
}

/// Slack's scopes by the actions that ask for them.
pub(super) fn scopes(signatures: &Value) -> Result<String> {
    let mut table = String::from("| action | needs | better with |\n|---|---|---|\n");
    let words = |value: &Value| -> Vec<String> {
        let words = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        words
            .map(|word| format!("`{}`", word.replace('|', "` or `")))
            .collect()
    };
    let mut all = BTreeSet::new();
    for signature in signatures.as_array().context("signatures are no list")? {
        let name = signature["name"].as_str().unwrap_or_default();
        if signature["connection"] == "slack" {
            let (needs, better) = (words(&signature["scopes"]), words(&signature["optional_scopes"]));
            all.extend(needs.iter().chain(&better).cloned());
            table.push_str(&format!(
                "| `{name}` | {} | {} |\n",
                needs.join(", "),
                better.join(", ")
            ));
        }
    }
    anyhow::ensure!(!all.is_empty(), "no action asks for a scope of Slack");
    Ok(table)
}
