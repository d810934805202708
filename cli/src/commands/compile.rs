//! `firehall compile FILE`

use clap::{Args, ValueEnum};

use super::check::{errors, excerpts};
use crate::{
    definition,
    exit::{Done, Exit, Fault},
    out,
};

/// Print a definition's graph of steps, compiled with this binary's own actions, without a server.
#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// A definition; `-` for standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// As JSON, in Graphviz's language, or as a Mermaid flowchart
    #[arg(short, long, value_enum, default_value = "json")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// {name, steps: [{name, depends, …}]}
    Json,
    /// For `dot -Tsvg`
    Dot,
    /// For Markdown and mermaid.live
    Mermaid,
}

/// Edges that Mermaid draws without being configured: `maxEdges` of <https://mermaid.js.org/config/schema-docs/config.html>.
const MERMAID_EDGES: usize = 500;

pub(crate) fn main(args: &CompileArgs) -> Done {
    let checked = definition::check(&args.file, &::actions::Registry::builtin().catalogue());
    let Some(plan) = &checked.plan else {
        out::note(excerpts(&checked, false).trim_end());
        let errors = errors(checked.diagnostics.len());
        return Err(Fault::usage(format!("{} is not compiled: {errors}", args.file)));
    };
    match args.output {
        Format::Json => out::json(&workflow::dag(plan))?,
        Format::Dot => out::bytes(workflow::dot(plan).as_bytes())?,
        Format::Mermaid => {
            let chart = workflow::mermaid(plan);
            let edges = chart
                .lines()
                .filter(|line| line.contains("-->") || line.contains("-.->"))
                .count();
            if edges > MERMAID_EDGES {
                out::note(&format!(
                    "firehall: {edges} edges; Mermaid draws {MERMAID_EDGES} unless `maxEdges` is raised where it runs. \
                     `-o dot` has no such bound"
                ));
            }
            out::bytes(chart.as_bytes())?;
        }
    }
    Ok(Exit::Succeeded)
}
