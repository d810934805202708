//! `firehall completions SHELL`

use clap::Args;
use clap_complete::Shell;

use crate::{
    args,
    exit::{Done, Exit},
    out,
};

/// Print a script that completes commands, flags and their values in a shell.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall completions bash > /etc/bash_completion.d/firehall
  firehall completions zsh > \"${fpath[1]}/_firehall\"
  firehall completions fish > ~/.config/fish/completions/firehall.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn main(args: &CompletionsArgs) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "firehall", &mut script);
    out::bytes(&script)?;
    Ok(Exit::Succeeded)
}
