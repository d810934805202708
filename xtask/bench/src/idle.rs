//! Row 11: the memory of processes that have nothing to do.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use proto::v1::{self, agent_service_client::AgentServiceClient, session_down, session_up};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Endpoint};
use types::{AgentId, Timestamp};

use crate::{
    stack::{PATIENCE, Stack},
    table::{Row, Series},
};

/// Agents that are added in a round, each with a connection and a session of its own.
const ADDED: usize = 40;
const KIB: f64 = 1_024.0;

pub(crate) fn measure(rounds: usize) -> Result<Vec<Row>> {
    let mut stack = Stack::start(false)?;
    stack.agent("one", &[], &[])?;
    // Both have said Hello and found their rest: an agent with nothing to do gives memory back after five seconds.
    std::thread::sleep(Duration::from_secs(8));
    let mut server = Series::new("server, one agent connected, idle: resident");
    let mut agent = Series::new("agent, idle: resident");
    let mut private = Series::new("agent, idle: of it private");
    server.push(stack.resident_kib("server")? / KIB);
    agent.push(stack.resident_kib("one")? / KIB);
    private.push(stack.private_kib("one")? / KIB);
    let mut each = Series::new("server, more for each idle agent: resident");
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut sessions = Vec::new();
    for round in 0..=rounds {
        let before = stack.resident_kib("server")?;
        for n in 0..ADDED {
            let number = round * ADDED + n;
            sessions.push(tokio.block_on(connect(&stack.address.to_string(), number))?);
        }
        settle();
        #[expect(clippy::cast_precision_loss, reason = "forty")]
        let grown = (stack.resident_kib("server")? - before) / ADDED as f64;
        if round > 0 {
            each.push(grown);
        }
    }
    let (s, a, e) = (server.median(), agent.median(), each.median());
    Ok(vec![
        Row {
            number: 11,
            what: format!(
                "memory of an idle server / an idle agent; {} agents connected in the end",
                sessions.len()
            ),
            series: vec![server, agent, private],
            unit: "MiB",
            goal: "≤ 40 / ≤ 15 MiB".to_owned(),
            figure: format!("{s:.1} / {a:.1} MiB"),
            met: s <= 40.0 && a <= 15.0,
        },
        Row {
            number: 11,
            what: "server memory for each further idle agent".to_owned(),
            series: vec![each],
            unit: "KiB",
            goal: "≤ 66 KiB".to_owned(),
            figure: format!("{e:.1} KiB"),
            met: e <= 66.0,
        },
    ])
}

fn settle() {
    std::thread::sleep(Duration::from_secs(1));
}

/// What keeps a session open.
type Session = (mpsc::Sender<v1::SessionUp>, Streaming<v1::SessionDown>);

/// An agent as the server sees it: it said Hello, was welcomed, and takes work.
async fn connect(address: &str, number: usize) -> Result<Session> {
    let mut entropy = [0; 10];
    entropy[..8].copy_from_slice(&number.to_le_bytes());
    let id = AgentId::new(Timestamp::from_unix_ms(1), entropy);
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let (up, ups) = mpsc::channel(4);
    let hello = v1::Hello {
        agent_id: id.to_string(),
        name: format!("idle-{number}"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: 1,
        capacity: 4,
        runtimes: vec!["native".to_owned()],
        dial: 1,
        ..v1::Hello::default()
    };
    for message in [
        session_up::Message::Hello(hello),
        session_up::Message::Credits(v1::Credits { total: 4 }),
    ] {
        let message = Some(message);
        up.send(v1::SessionUp { message })
            .await
            .context("no room for Hello")?;
    }
    let mut client = AgentServiceClient::new(channel);
    let mut down = client.session(ReceiverStream::new(ups)).await?.into_inner();
    let first = tokio::time::timeout(PATIENCE, down.message()).await??;
    match first.and_then(|down| down.message) {
        Some(session_down::Message::Welcome(_)) => Ok((up, down)),
        other => bail!("no welcome: {other:?}"),
    }
}
