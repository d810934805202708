//! `firehall compile FILE`

use clap::{Args, ValueEnum};

use super::check::excerpts;
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

/// What Mermaid draws without being configured: `maxEdges` and `maxTextSize` of <https://mermaid.js.org/config/schema-docs/config.html>.
const MERMAID_EDGES: usize = 500;
const MERMAID_CHARS: usize = 50_000;

pub(crate) fn main(args: &CompileArgs) -> Done {
    let checked = definition::check(&args.file, &::actions::Registry::builtin().catalogue());
    let Some(plan) = checked.first().and_then(definition::Checked::plan) else {
        let wrong = || checked.iter().filter(|one| one.made.is_none());
        wrong().for_each(|one| out::note(excerpts(one, false).trim_end()));
        let all: Vec<_> = wrong().flat_map(|one| one.diagnostics.clone()).collect();
        let found = match all.as_slice() {
            [] => "it is an action; a workflow uses it by its folder".to_owned(),
            all => workflow::count(all),
        };
        return Err(Fault::usage(format!("{} is not compiled: {found}", args.file)));
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
            if edges > MERMAID_EDGES || chart.chars().count() > MERMAID_CHARS {
                out::note(&format!(
                    "firehall: {edges} edges, {} characters; Mermaid draws {MERMAID_EDGES} and {MERMAID_CHARS} unless \
                     `maxEdges` and `maxTextSize` are raised where it runs. `-o dot` has no such bound",
                    chart.chars().count()
                ));
            }
            out::bytes(chart.as_bytes())?;
        }
    }
    Ok(Exit::Succeeded)
}
