//! `firehall logs RUN [STEP]`

use clap::Args;
use sdk::{LogPiece, LogStream, LogsOf};
use types::AttemptKey;

use crate::{
    args::Connection,
    exit::{Done, Exit, Fault},
    out,
};

/// Print what steps wrote, unchanged. Nothing is added to standard output: remarks go to standard error.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Standard output has the bytes of the steps and nothing else; remarks go to standard error.

Examples:
  firehall logs run_01jx…                        all steps in order
  firehall logs run_01jx… checks --index 2 -f    one item, until it has ended
  firehall logs run_01jx… checks --stderr --attempt 1
  firehall logs run_01jx… checks --service db    what stood beside it"
)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    at: Connection,
    /// The run's id
    run: String,
    /// The step; all in order when not given
    step: Option<String>,
    /// Go on until the step has ended
    #[arg(short, long)]
    follow: bool,
    /// The try, from 1; the newest when not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// The item of a fan-out, from 0
    #[arg(long)]
    index: Option<u32>,
    /// Standard error instead of standard output
    #[arg(long)]
    stderr: bool,
    /// What this service of the step wrote, instead of the step itself
    #[arg(long, value_name = "NAME", requires = "step")]
    service: Option<String>,
}

pub(crate) async fn main(args: LogsArgs) -> Done {
    let client = args.at.connect().await?;
    let of = LogsOf {
        run: args.run,
        step: args.step.unwrap_or_default(),
        index: args.index,
        attempt: args.attempt.unwrap_or(0),
        stream: if args.stderr {
            LogStream::Stderr
        } else {
            LogStream::Stdout
        },
        follow: args.follow,
        service: args.service.unwrap_or_default(),
    };
    let mut last: Option<AttemptKey> = None;
    let mut print = |piece: LogPiece| -> Result<(), Fault> {
        if piece.attempt != last {
            // With more than one source the bytes need a name; alone they need none.
            if let (true, Some(attempt)) = (last.is_some() || of.step.is_empty(), &piece.attempt) {
                let source = match of.service.as_str() {
                    "" => String::new(),
                    name => format!(" service:{name}"),
                };
                out::note(&format!("==> {attempt}{source} <=="));
            }
            last.clone_from(&piece.attempt);
        }
        if piece.lost > 0 {
            out::note(&format!("firehall: {} bytes were dropped here", piece.lost));
        }
        out::bytes(&piece.data)?;
        if piece.end_unknown {
            out::note(
                "firehall: the end of this log is not known: what wrote it was killed, so bytes may be missing here",
            );
        }
        Ok(())
    };
    tokio::select! {
        done = client.logs(&of, &mut print) => done?,
        _ = tokio::signal::ctrl_c() => return Err(Fault::new(Exit::Interrupted, "")),
    }
    Ok(Exit::Succeeded)
}
