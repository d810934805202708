//! `firehall check FILE…`

use clap::Args;
use serde_json::json;
use workflow::{Severity, SourceFile};

use crate::{
    exit::{Done, Exit},
    input, out,
};

/// Check definitions with this binary's own actions, without a server.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Definitions; `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Output for people or for programs
    #[arg(short, long, value_enum, default_value = "text")]
    output: out::Format,
}

pub(crate) fn main(args: &CheckArgs) -> Done {
    let catalogue = ::actions::Registry::builtin().catalogue();
    let mut answers = Vec::new();
    let mut wrong = false;
    for file in &args.files {
        let source = SourceFile {
            name: file.clone(),
            text: input::definition(file)?,
        };
        let compiled = workflow::compile(&source, &catalogue);
        let errors = compiled
            .diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count();
        wrong |= compiled.plan.is_none() || errors > 0;
        if args.output == out::Format::Json {
            let diagnostics: Vec<_> = compiled.diagnostics.iter().map(workflow::to_json).collect();
            let name = compiled.plan.as_ref().map(|plan| &plan.name);
            answers
                .push(json!({ "file": file, "ok": errors == 0, "name": name, "diagnostics": diagnostics }));
            continue;
        }
        if !compiled.diagnostics.is_empty() {
            let shown = workflow::render_text(&compiled.diagnostics, &source, out::is_coloured());
            out::bytes(shown.as_bytes())?;
        }
        match &compiled.plan {
            Some(plan) => out::line(&format!(
                "{file}: ok, {} with {} steps",
                plan.name,
                plan.steps.len()
            ))?,
            None => out::line(&format!(
                "{file}: {errors} {}",
                if errors == 1 { "error" } else { "errors" }
            ))?,
        }
    }
    if args.output == out::Format::Json {
        out::json(&answers)?;
    }
    Ok(if wrong { Exit::Usage } else { Exit::Succeeded })
}
