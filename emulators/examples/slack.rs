//! Serves the demo's Slack workspace: `cargo run -p emulators --example slack -- 127.0.0.1:8484`.

use std::{error::Error, net::SocketAddr};

use emulators::slack::{Config, serve};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args()
        .nth(1)
        .as_deref()
        .unwrap_or("127.0.0.1:8484")
        .parse()?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    let config = Config::demo();
    println!("page  http://{}/", listener.local_addr()?);
    println!(
        "api   http://{}/api (token {})",
        listener.local_addr()?,
        config.token
    );
    let stop = CancellationToken::new();
    let on_signal = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("cannot wait for ctrl-c: {error}");
        }
        on_signal.cancel();
    });
    serve(listener, config, stop).await?;
    Ok(())
}
