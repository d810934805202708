//! `firehall emulator slack`: a vendor's API with state, for the demo and for trying out.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use emulators::slack;
use tokio::net::TcpListener;

use crate::{
    exit::{Done, Exit, Fault},
    out,
    process::{self, Lifetime},
    telemetry::{self, LogArgs},
};

/// A vendor's API, faked with state.
#[derive(Debug, Args)]
pub(crate) struct EmulatorArgs {
    /// Which
    #[arg(value_enum)]
    vendor: Vendor,
    /// Where; loopback only, port 0 for any
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    listen: SocketAddr,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    lifetime: Lifetime,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Vendor {
    /// Slack's Web API
    Slack,
}

pub(crate) async fn main(args: EmulatorArgs) -> Done {
    telemetry::init(&args.log)?;
    let Vendor::Slack = args.vendor;
    if !args.listen.ip().is_loopback() {
        return Err(Fault::usage(format!(
            "{} is not loopback; the emulator has a public token",
            args.listen
        )));
    }
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Fault::failed(format!("cannot listen on {}: {error}", args.listen)))?;
    let address = listener
        .local_addr()
        .map_err(|error| Fault::failed(error.to_string()))?;
    let shutdown = process::shutdown_on_signals(args.lifetime)?;
    out::line(&process::listening(address))?;
    slack::serve(listener, slack::Config::demo(), shutdown)
        .await
        .map_err(|error| Fault::failed(format!("the emulator ended: {error}")))?;
    Ok(Exit::Succeeded)
}
