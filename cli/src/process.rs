//! What long-running commands share: how they are told to stop, and how they say where they listen.

use std::{io::Read, net::SocketAddr};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Fault;

/// How long a process lives.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Lifetime {
    /// Stop when standard input ends: a child does not outlive its parent
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

/// A token that INT, TERM, and the end of standard input where asked, cancel.
///
/// # Errors
/// When no handler can be set.
pub(crate) fn shutdown_on_signals(lifetime: Lifetime) -> Result<CancellationToken, Fault> {
    let token = CancellationToken::new();
    let failed = |error: std::io::Error| Fault::failed(format!("no signal handler: {error}"));
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        node::notify::stopping();
        stop.cancel();
    });
    if lifetime.until_stdin_closes {
        let stop = token.clone();
        // A thread of its own: a blocked read cannot be cancelled and must not hold the runtime.
        std::thread::spawn(move || {
            let mut sink = [0; 64];
            while matches!(std::io::stdin().lock().read(&mut sink), Ok(1..)) {}
            stop.cancel();
        });
    }
    Ok(token)
}

const LISTENING: &str = "listening on http://";

/// The first line on standard output of whatever listens.
pub(crate) fn listening(address: SocketAddr) -> String {
    format!("{LISTENING}{address}")
}

/// Reads that line.
pub(crate) fn address_in(line: &str) -> Option<SocketAddr> {
    line.trim_end().strip_prefix(LISTENING)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_survives_the_line() {
        let address = SocketAddr::from(([127, 0, 0, 1], 7911));
        assert_eq!(address_in(&format!("{}\n", listening(address))), Some(address));
        assert_eq!(address_in("listening on http://elsewhere"), None);
    }
}
