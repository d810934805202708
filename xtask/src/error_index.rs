//! docs/errors.md: a page for each code, as the binary explains it.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::sh;

const INTRODUCTION: &str = "# Diagnostics

Each diagnostic of a definition and each evaluation error of a run has a stable code; `firehall explain CODE` prints its
page. FH01: the file and its text; FH02: keys and values; FH03: names and the graph; FH04: expressions; FH05: types and
absence; FH06: trust; FH07: evaluation in a run. A link to a code is `errors.md#fh0301`.

Every error of a file is said in one pass, at most 200, and what only follows from another is not. `firehall check` ends
with 0 when every file compiles and with 2 otherwise; a file that cannot be read stops no other.

## For programs

`firehall check -o json` prints JSON Lines: an object a file, in the order of the command line.

| field | what |
|---|---|
| `file` | the path as it was given; `-` is standard input |
| `diagnostics` | what was found, in the order of the text; empty when nothing is wrong |

| field of a diagnostic | what |
|---|---|
| `code` | one of those below; never reused |
| `severity` | `error`, or `warning`: the definition compiles, and probably not to what was meant |
| `line`, `column` | where it begins, from 1, columns in characters; 1 and 1 where the whole file is meant |
| `end_line`, `end_column` | the place after its last character |
| `message` | what is wrong |
| `help` | what to do, or null |
| `label` | a few words on that place, or null |
| `labels` | other places that have to do with it: `{line, column, end_line, end_column, text}` |
| `fix` | what probably is right, or null: `{line, column, end_line, end_column, replacement}` |

Fields are added, never changed. `firehall check -o sarif` prints the same as
[SARIF 2.1.0](https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html) for code hosts.

## Codes

";

/// The page.
pub(crate) fn page() -> Result<String> {
    let lines = sh::Cmd::new(sh::firehall())
        .args(["--no-config", "explain", "-o", "json"])
        .read()?;
    let codes: Vec<Value> = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("firehall explain -o json")?;
    let mut page = INTRODUCTION.to_owned();
    for code in &codes {
        let [name, title] = ["code", "title"].map(|field| text(code, field));
        page.push_str(&format!("- [{name}](#{}): {title}\n", name.to_lowercase()));
    }
    for code in &codes {
        page.push_str(&section(code)?);
    }
    Ok(page)
}

fn text<'a>(code: &'a Value, field: &str) -> &'a str {
    code[field].as_str().unwrap_or_default()
}

fn section(code: &Value) -> Result<String> {
    let [name, title, help, wrong, right] =
        ["code", "title", "help", "wrong", "right"].map(|field| text(code, field));
    let language = match text(code, "kind") {
        "definition" => "yaml",
        "command" => "sh",
        _ => "text",
    };
    let mut section = format!("\n### {name}\n\n**{title}.** {help}\n\n");
    if let Some(found) = code["where"].as_str() {
        section.push_str(&format!("In a run with\n\n```text\n{found}\n```\n\n"));
    }
    // What the documents' test needs to know: which code it must get. A wrong command ends with 2.
    let claim = match language {
        "yaml" => format!(" wrong={name}"),
        "sh" => " exit=2".to_owned(),
        _ => String::new(),
    };
    for (word, claim, example) in [("Wrong", claim.as_str(), wrong), ("Right", "", right)] {
        section.push_str(&format!(
            "{word}:\n\n```{language}{claim}\n{}\n```\n\n",
            example.trim_end()
        ));
    }
    let more = fixtures(name)?;
    if more.is_empty() {
        section.truncate(section.trim_end().len());
        section.push('\n');
    } else {
        section.push_str(&format!("More: {}.\n", more.join(", ")));
    }
    Ok(section)
}

/// Wrong definitions of the tests that are named after the code; the text that they give stands beside them.
fn fixtures(code: &str) -> Result<Vec<String>> {
    let folder = sh::root().join("workflow/tests/err");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with(code) && name.ends_with(".yaml") {
            names.push(format!("[{name}](../workflow/tests/err/{name})"));
        }
    }
    names.sort();
    Ok(names)
}
