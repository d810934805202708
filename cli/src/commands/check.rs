//! `firehall check FILE…`

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use terminal_size::{Width, terminal_size};
use workflow::{Code, FileReport, Look, Severity, SourceFile};

use crate::{
    definition::{self, Checked, Made},
    exit::{Done, Exit, Fault},
    out, text,
};

/// Check definitions with this binary's own actions, without a server.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Definitions; a folder stands for every .yaml, .yml and .json below it, `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Output for people, as JSON Lines (one object a file), or as SARIF 2.1.0 for code hosts
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One line a file
    Json,
    /// SARIF 2.1.0
    Sarif,
}

pub(crate) fn main(args: &CheckArgs) -> Done {
    let catalogue = ::actions::Registry::builtin().catalogue();
    let mut seen = BTreeSet::new();
    let mut told = Told::default();
    for argument in &args.files {
        match definition::files(argument) {
            Ok(files) => {
                for file in files {
                    if seen.contains(&file) {
                        continue;
                    }
                    for checked in definition::check(&file, &catalogue) {
                        if seen.insert(checked.source.name.clone()) {
                            told.file(checked, args.output)?;
                        }
                    }
                }
            }
            Err(refused) => told.file(refused.into(), args.output)?,
        }
    }
    told.end(args.output)
}

/// What has been found so far.
#[derive(Default)]
struct Told {
    files: usize,
    wrong: usize,
    errors: usize,
    codes: BTreeSet<Code>,
    sarif: Vec<workflow::Checked>,
}

impl Told {
    fn file(&mut self, checked: Checked, format: Format) -> Result<(), Fault> {
        self.files += 1;
        self.wrong += usize::from(checked.made.is_none());
        let errors = checked
            .diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error);
        self.errors += errors.count();
        self.codes.extend(checked.diagnostics.iter().map(|one| one.code));
        match format {
            Format::Text => show(&checked),
            Format::Json => out::json_line(&FileReport::new(&checked.source.name, &checked.diagnostics)),
            Format::Sarif => {
                self.sarif.push(workflow::Checked {
                    file: checked.source.name,
                    diagnostics: checked.diagnostics,
                });
                Ok(())
            }
        }
    }

    fn end(self, format: Format) -> Done {
        match format {
            Format::Text => self.total()?,
            Format::Json => {}
            Format::Sarif => out::json(&workflow::sarif(&self.sarif, env!("CARGO_PKG_VERSION")))?,
        }
        Ok(if self.wrong > 0 {
            Exit::Usage
        } else {
            Exit::Succeeded
        })
    }

    fn total(&self) -> Result<(), Fault> {
        if self.files > 1 {
            let (files, right) = (self.files, self.files - self.wrong);
            out::line(&format!(
                "{files} files: {right} ok, {} wrong with {}",
                self.wrong,
                errors(self.errors)
            ))?;
        }
        let codes: Vec<&str> = self.codes.iter().map(|code| code.as_str()).collect();
        match codes.as_slice() {
            [] => Ok(()),
            [one] => out::line(&format!("`firehall explain {one}` says more.")),
            [first, rest @ ..] => out::line(&format!(
                "`firehall explain {first}` says more; also of {}.",
                rest.join(", ")
            )),
        }
    }
}

/// Standard input, for people.
const STDIN: &str = "<stdin>";

fn show(checked: &Checked) -> Result<(), Fault> {
    let name = match checked.source.name.as_str() {
        "-" => STDIN.into(),
        name => text::line(name),
    };
    out::bytes(excerpts(checked, out::is_coloured()).as_bytes())?;
    let found = workflow::count(&checked.diagnostics);
    let what = match &checked.made {
        Some(Made::Workflow(plan)) => format!("{} with {}", plan.name, counted(plan.steps.len(), "step")),
        Some(Made::Action(signature)) => {
            format!("an action with {}", counted(signature.params.len(), "input"))
        }
        None if checked.diagnostics.is_empty() => {
            return out::line(&format!("{name}: an action that it uses is wrong"));
        }
        None => return out::line(&format!("{name}: {found}")),
    };
    let but = if checked.diagnostics.is_empty() {
        String::new()
    } else {
        format!("; {found}")
    };
    out::line(&format!("{name}: ok, {what}{but}"))
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// The diagnostics for people, as wide as the terminal is.
pub(crate) fn excerpts(checked: &Checked, color: bool) -> String {
    let terminal = || terminal_size().map(|(Width(columns), _)| usize::from(columns));
    let width = out::columns().or_else(terminal);
    let columns = width.unwrap_or(Look::PLAIN.columns).min(Look::PLAIN.columns);
    let look = Look { color, columns };
    if checked.source.name == "-" {
        let source = SourceFile::new(STDIN, checked.source.text.as_str());
        return workflow::render(&checked.diagnostics, &source, look);
    }
    workflow::render(&checked.diagnostics, &checked.source, look)
}

fn errors(count: usize) -> String {
    match count {
        1 => "1 error".to_owned(),
        n => format!("{n} errors"),
    }
}
