//! SARIF 2.1.0, the form in which code hosts take the findings of a checker:
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{Code, Diagnostic, Severity, Span};

/// A file that was checked.
#[derive(Debug)]
pub struct Checked {
    /// Its path as it was given; `-` is standard input.
    pub file: String,
    /// What was found.
    pub diagnostics: Vec<Diagnostic>,
}

/// One run of the checker over some files. `version` is the program's own.
#[must_use]
pub fn sarif(files: &[Checked], version: &str) -> Value {
    let found = files.iter().flat_map(|file| &file.diagnostics);
    let used: BTreeSet<Code> = found.map(|diagnostic| diagnostic.code).collect();
    let used: Vec<Code> = used.into_iter().collect();
    let results = files.iter().flat_map(|file| {
        let used = &used;
        file.diagnostics
            .iter()
            .map(move |diagnostic| result(&file.file, diagnostic, used))
    });
    let artifacts = files
        .iter()
        .map(|file| json!({ "location": { "uri": uri(&file.file) } }));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "firehall",
                "semanticVersion": version,
                "rules": used.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": true }],
            "artifacts": artifacts.collect::<Vec<_>>(),
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.as_str(),
        "shortDescription": { "text": code.title() },
        "fullDescription": { "text": code.help() },
        "help": { "text": format!("{}\n\n`firehall explain {}` shows an example.", code.help(), code.as_str()) },
    })
}

fn result(file: &str, diagnostic: &Diagnostic, rules: &[Code]) -> Value {
    let text = match &diagnostic.help {
        Some(help) => format!("{}\n{help}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    let mut result = json!({
        "ruleId": diagnostic.code.as_str(),
        "ruleIndex": rules.iter().position(|code| *code == diagnostic.code),
        "level": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": { "text": text },
        "locations": [location(file, &diagnostic.span, diagnostic.label.as_deref())],
    });
    if !diagnostic.labels.is_empty() {
        let related = diagnostic.labels.iter();
        result["relatedLocations"] = related
            .map(|label| location(file, &label.span, Some(&label.text)))
            .collect();
    }
    if let Some(suggestion) = &diagnostic.suggestion {
        result["fixes"] = json!([{
            "artifactChanges": [{
                "artifactLocation": { "uri": uri(file) },
                "replacements": [{
                    "deletedRegion": region(&suggestion.span),
                    "insertedContent": { "text": suggestion.replacement },
                }],
            }],
        }]);
    }
    result
}

fn location(file: &str, span: &Span, text: Option<&str>) -> Value {
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(file) },
            "region": region(span),
        },
    });
    if let Some(text) = text {
        location["message"] = json!({ "text": text });
    }
    location
}

fn region(span: &Span) -> Value {
    json!({
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    })
}

/// A path as a URI: relative to where the checker ran, or `file:` for an absolute one (RFC 3986, RFC 8089).
fn uri(file: &str) -> String {
    if file == "-" {
        return "stdin".to_owned();
    }
    let mut uri = String::new();
    if file.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in file.strip_prefix("./").unwrap_or(file).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
