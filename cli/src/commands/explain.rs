//! `firehall explain [CODE]`

use clap::{Args, ValueEnum};
use serde::Serialize;
use workflow::{Code, ExampleKind};

use crate::{
    exit::{Done, Exit, Fault},
    out,
};

/// Say what a diagnostic's code means and what to do; without a code, list them.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A code, such as FH0301, fh0301 or 0301
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// Output for people, or one line of JSON a code
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One line a code
    Json,
}

/// A code in JSON: `{code, title, help, kind, where, wrong, right}`. `kind` says what the examples are: `definition`,
/// `command` (lines of a shell) or `expression`; `where` is what an expression finds in its run, else null.
#[derive(Debug, Serialize)]
struct Page {
    code: &'static str,
    title: &'static str,
    help: &'static str,
    kind: &'static str,
    r#where: Option<&'static str>,
    wrong: &'static str,
    right: &'static str,
}

impl Page {
    fn of(code: Code) -> Self {
        let example = code.example();
        let (kind, found) = match example.kind {
            ExampleKind::Definition => ("definition", None),
            ExampleKind::Command => ("command", None),
            ExampleKind::Expression(found) => ("expression", Some(found)),
        };
        Self {
            code: code.as_str(),
            title: code.title(),
            help: code.help(),
            kind,
            r#where: found,
            wrong: example.wrong,
            right: example.right,
        }
    }
}

pub(crate) fn main(args: &ExplainArgs) -> Done {
    let asked = args.code.as_deref().map(find).transpose()?;
    match (asked, args.output) {
        (Some(code), Format::Json) => out::json_line(&Page::of(code))?,
        (Some(code), Format::Text) => out::line(&text(&Page::of(code)))?,
        (None, Format::Json) => {
            for code in Code::ALL {
                out::json_line(&Page::of(*code))?;
            }
        }
        (None, Format::Text) => {
            for code in Code::ALL {
                out::line(&format!("{}  {}", code.as_str(), code.title()))?;
            }
        }
    }
    Ok(Exit::Succeeded)
}

fn find(text: &str) -> Result<Code, Fault> {
    let name = text.trim().to_ascii_uppercase();
    let name = if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("FH{name}")
    } else {
        name
    };
    let found = Code::named(&name);
    found.ok_or_else(|| {
        let known = Code::ALL.iter().map(|code| code.as_str());
        let hint = match workflow::nearest(&name, known) {
            Some(near) => format!("did you mean {near}? `firehall explain` lists all"),
            None => "`firehall explain` lists all".to_owned(),
        };
        Fault::usage(format!("no diagnostic has the code {text}")).hint(hint)
    })
}

fn text(page: &Page) -> String {
    let inset = |text: &str| -> String {
        text.trim_end()
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect()
    };
    let found = page.r#where.map_or_else(String::new, |found| {
        format!("In a run with\n\n{}\n", inset(found))
    });
    format!(
        "{}: {}\n\n{}\n\n{found}Wrong:\n\n{}\nRight:\n\n{}",
        page.code,
        page.title,
        page.help,
        inset(page.wrong),
        inset(page.right).trim_end_matches('\n')
    )
}
