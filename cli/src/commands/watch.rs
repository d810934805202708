//! `firehall watch RUN`

use clap::Args;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    live, out,
};

/// Follow one run to its end; the exit code tells its outcome.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    remote: Remote,
    /// The run's id
    run: String,
}

pub(crate) async fn main(args: WatchArgs) -> Done {
    let client = args.remote.connect().await?;
    follow(&client, &args.run, args.remote.output()).await
}

/// Follows a run and turns its outcome into an exit code.
pub(crate) async fn follow(client: &sdk::Client, run: &str, format: out::Format) -> Done {
    let live = live::follow(client, run, format).await?;
    Ok(live.ended.map_or(Exit::Failed, |end| end.outcome.into()))
}
