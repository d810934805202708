//! `firehall explain [CODE]`

use clap::Args;
use workflow::Code;

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
}

pub(crate) fn main(args: &ExplainArgs) -> Done {
    match &args.code {
        Some(text) => page(find(text)?)?,
        None => {
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
    let found = Code::ALL.iter().copied().find(|code| code.as_str() == name);
    found.ok_or_else(|| {
        let known = Code::ALL.iter().map(|code| code.as_str());
        let hint = match workflow::nearest(&name, known) {
            Some(near) => format!("did you mean {near}? `firehall explain` lists all"),
            None => "`firehall explain` lists all".to_owned(),
        };
        Fault::usage(format!("no diagnostic has the code {text}")).hint(hint)
    })
}

fn page(code: Code) -> Result<(), Fault> {
    out::line(&format!("{}: {}\n\n{}", code.as_str(), code.title(), code.help()))
}
