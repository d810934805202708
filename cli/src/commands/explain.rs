//! `firehall explain CODE`

use clap::Args;
use workflow::Code;

use crate::{
    exit::{Done, Exit, Fault},
    out,
};

/// Say what a diagnostic's code means and what to do.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A code, such as FH0301
    #[arg(value_name = "CODE")]
    code: String,
}

pub(crate) fn main(args: &ExplainArgs) -> Done {
    let Some(help) = workflow::explain(&args.code) else {
        let known = Code::ALL.iter().map(|code| code.as_str());
        let near = workflow::nearest(&args.code.to_ascii_uppercase(), known);
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        return Err(Fault::usage(format!(
            "no diagnostic has the code {}{hint}",
            args.code
        )));
    };
    let title = Code::ALL
        .iter()
        .find(|code| code.as_str().eq_ignore_ascii_case(&args.code));
    if let Some(code) = title {
        out::line(&format!("{}: {}\n", code.as_str(), code.title()))?;
    }
    out::line(help)?;
    Ok(Exit::Succeeded)
}
