//! One agent's stream.
//!
//! ```text
//! agent ── Hello(dial, inventory) ──▶ gate ──▶ registry ──▶ each run with a lease there: Inventory
//!       ◀── Welcome ── (reconciled)
//!       ── Credits ──▶ registry: offers may come          ◀── Offer, Stop, Forget, Ack ── runs' tasks
//!       ── Report ───▶ the run's task: decide, append, then Ack
//! ```

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::stream::BoxStream;
use proto::v1::{self, session_down::Message as Down, session_up::Message as Up};
use protocol::{Held, server};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Status, Streaming};
use types::{AgentId, LeaseToken, SessionId, limits};

use super::convert;
use crate::{
    Core,
    agents::{Close, Facts, Inventory, Opened},
    clock::entropy,
    runs::{Ask, RunError},
    store::AgentRow,
};

/// The protocol's number.
const PROTOCOL: u32 = 1;
/// How long Hello may take after the call.
const HELLO: Duration = Duration::from_secs(10);
/// What one Hello may hold.
const INVENTORY: usize = 100_000;

type Answer = Result<v1::SessionDown, Status>;

/// Answers with the stream at once; the work goes on in a task of its own, as tonic's bidirectional call returns only
/// with the response's headers.
pub(super) fn serve(core: Core, up: Streaming<v1::SessionUp>) -> BoxStream<'static, Answer> {
    let (tx, rx) = mpsc::channel(64);
    tokio::spawn(async move {
        if let Err(status) = session(core, up, &tx).await {
            tracing::debug!(%status, "a session ended");
            // The agent may be gone already.
            drop(tx.send(Err(status)).await);
        }
    });
    Box::pin(ReceiverStream::new(rx))
}

async fn session(
    core: Core,
    mut up: Streaming<v1::SessionUp>,
    tx: &mpsc::Sender<Answer>,
) -> Result<(), Status> {
    let first = tokio::time::timeout(HELLO, up.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no Hello within 10 seconds"))??;
    let Some(Up::Hello(hello)) = first.and_then(|up| up.message) else {
        return Err(Status::invalid_argument(
            "the first message of a session is Hello",
        ));
    };
    let agent: AgentId = convert::id(&hello.agent_id, "hello.agent_id")?;
    if hello.protocol != PROTOCOL {
        return Err(Status::failed_precondition(format!(
            "agent {} speaks protocol {}, this server (Firehall {}) speaks {PROTOCOL}: update the older of the two",
            hello.name,
            hello.protocol,
            env!("CARGO_PKG_VERSION"),
        )));
    }
    let session = SessionId::new(core.clock.now(), entropy());
    let Some(opened) = open(&core, &agent, &session, hello, tx).await? else {
        return Ok(());
    };
    tracing::info!(%agent, %session, "agent connected");
    let welcome = v1::Welcome {
        session_id: session.to_string(),
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        heartbeat_ms: u32::try_from(limits::HEARTBEAT_MS).unwrap_or(u32::MAX),
    };
    let ended = match send(tx, Down::Welcome(welcome)).await {
        Ok(()) => carry(&core, &agent, &session, up, opened, tx).await,
        Err(status) => Err(status),
    };
    core.agents.closed(&agent, &session);
    tracing::info!(%agent, %session, "agent disconnected");
    ended
}

/// Takes the Hello and reconciles; none when its dial is stale (and the agent was told).
async fn open(
    core: &Core,
    agent: &AgentId,
    session: &SessionId,
    hello: v1::Hello,
    tx: &mpsc::Sender<Answer>,
) -> Result<Option<Opened>, Status> {
    if hello.inventory.len() > INVENTORY {
        return Err(Status::invalid_argument(format!(
            "inventory: more than {INVENTORY} leases"
        )));
    }
    let mut held = BTreeMap::new();
    for item in &hello.inventory {
        let token: LeaseToken = convert::id(&item.token, "inventory.token")?;
        held.insert(token, (convert::held(item.phase)?, item.attempt.clone()));
    }
    let labels = convert::labels(hello.labels)?;
    let facts = Facts {
        version: hello.version,
        capacity: hello.capacity,
        runtimes: hello.runtimes,
        actions: hello
            .actions
            .into_iter()
            .map(|action| (action.name, action.digest))
            .collect(),
        secrets: hello.secrets,
        connections: hello.connections,
        grants: hello.grants,
    };
    let row = AgentRow {
        id: agent.clone(),
        name: hello.name.clone(),
        version: facts.version.clone(),
        labels: labels.clone(),
        facts: serde_json::to_string(&facts).map_err(|error| Status::internal(error.to_string()))?,
        seen_at: core.clock.now(),
    };
    let stale = core
        .store
        .agent_session(row, hello.dial)
        .await
        .map_err(|error| super::store_status(&error))?;
    if let Some(last) = stale {
        tracing::warn!(%agent, dial = hello.dial, last, "stale dial: an older Hello, or two agents with one identity");
        send(tx, Down::StaleDial(v1::StaleDial { last })).await?;
        return Ok(None);
    }
    let inventory: Inventory = Arc::new(
        held.iter()
            .map(|(token, (held, _))| (token.clone(), *held))
            .collect(),
    );
    let opened = core.agents.open(
        agent,
        hello.name,
        labels,
        facts,
        session.clone(),
        Arc::clone(&inventory),
    );
    if let Err(status) = reconcile(core, agent, session, &inventory).await {
        core.agents.closed(agent, session);
        return Err(status);
    }
    strangers(core, agent, session, held);
    Ok(Some(opened))
}

/// Every run with a lease at this agent hears what the agent holds, before anything is offered.
async fn reconcile(
    core: &Core,
    agent: &AgentId,
    session: &SessionId,
    held: &Inventory,
) -> Result<(), Status> {
    let mut runs: Vec<_> = core
        .agents
        .leases_at(agent)
        .into_iter()
        .map(|(_, lease)| lease.run)
        .collect();
    runs.sort();
    runs.dedup();
    for run in runs {
        let ask = Ask::Inventory {
            agent: agent.clone(),
            session: session.clone(),
            held: Arc::clone(held),
        };
        core.runs
            .ask(&run, ask)
            .await
            .map_err(|error| super::run_status(&error))?;
    }
    Ok(())
}

/// What it holds that no run has a lease of.
fn strangers(
    core: &Core,
    agent: &AgentId,
    session: &SessionId,
    held: BTreeMap<LeaseToken, (Held, Option<v1::AttemptRef>)>,
) {
    let known: std::collections::BTreeSet<LeaseToken> = core
        .agents
        .leases_at(agent)
        .into_iter()
        .map(|(token, _)| token)
        .collect();
    for (token, (held, attempt)) in held.into_iter().filter(|(token, _)| !known.contains(token)) {
        let message = match server::stranger::<LeaseToken, AgentId, SessionId>(token, held) {
            Some(server::Send::Stop(token)) => Down::Stop(v1::Stop {
                attempt,
                token: token.to_string(),
                reason: "not a live lease".to_owned(),
            }),
            Some(server::Send::Forget(token)) => Down::Forget(v1::Forget {
                token: token.to_string(),
            }),
            Some(server::Send::Offer(_) | server::Send::Ack(_)) | None => continue,
        };
        core.agents.send(
            agent,
            Some(session),
            v1::SessionDown {
                message: Some(message),
            },
        );
    }
}

/// Messages both ways until one side ends it.
async fn carry(
    core: &Core,
    agent: &AgentId,
    session: &SessionId,
    mut up: Streaming<v1::SessionUp>,
    mut opened: Opened,
    tx: &mpsc::Sender<Answer>,
) -> Result<(), Status> {
    loop {
        tokio::select! {
            down = opened.down.recv() => match down {
                Some(down) => tx.send(Ok(down)).await.map_err(|_| Status::cancelled("the agent hung up"))?,
                None => return Ok(()),
            },
            message = up.next() => match message {
                None => return Ok(()),
                Some(message) => heard(core, agent, session, message?).await?,
            },
            () = opened.end.cancelled() => return Err(closed(&opened)),
            () = core.shutdown.cancelled() => return Err(Status::unavailable("the server is stopping")),
        }
    }
}

fn closed(opened: &Opened) -> Status {
    let why = *opened
        .close
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match why {
        Some(Close::Slow) => Status::resource_exhausted("the agent does not read its messages"),
        Some(Close::Store) => Status::unavailable("the store cannot write now: say it again"),
        Some(Close::Superseded) | None => Status::aborted("a newer session of this agent was opened"),
    }
}

async fn heard(core: &Core, agent: &AgentId, session: &SessionId, up: v1::SessionUp) -> Result<(), Status> {
    match up.message {
        Some(Up::Credits(credits)) => {
            core.agents.grant(agent, session, credits.total);
            Ok(())
        }
        Some(Up::Report(report)) => reported(core, agent, report).await,
        Some(Up::Hello(_)) => Err(Status::invalid_argument("Hello comes once in a session")),
        None => Err(Status::invalid_argument(
            "a message of an unknown kind: update the server",
        )),
    }
}

async fn reported(core: &Core, agent: &AgentId, report: v1::Report) -> Result<(), Status> {
    let token: LeaseToken = convert::id(&report.token, "report.token")?;
    let attempt = report.attempt.clone();
    let (run, at) = convert::attempt(report.attempt)?;
    if let Some(v1::report::Body::Declined(declined)) = &report.body
        && declined.reason() == v1::DeclineReason::NoSlot
    {
        core.agents.full(agent);
    }
    let body = convert::report(report.body)?;
    let terminal = body.word().is_terminal();
    let ask = Ask::Report {
        at,
        token: token.clone(),
        from: agent.clone(),
        body,
    };
    match core.runs.tell(&run, ask).await {
        Ok(()) => Ok(()),
        Err(RunError::NotFound(run)) => {
            // Of a history that this store does not have (a restored backup): nothing can use it, and the agent's
            // spool must not keep it for ever.
            tracing::error!(%agent, %run, %token, "a report of an unknown run");
            if terminal {
                let ack = Down::Ack(v1::Ack {
                    attempt,
                    token: token.to_string(),
                });
                core.agents
                    .send(agent, None, v1::SessionDown { message: Some(ack) });
            }
            Ok(())
        }
        Err(error) => Err(super::run_status(&error)),
    }
}

async fn send(tx: &mpsc::Sender<Answer>, message: Down) -> Result<(), Status> {
    let message = v1::SessionDown {
        message: Some(message),
    };
    tx.send(Ok(message))
        .await
        .map_err(|_| Status::cancelled("the agent hung up"))
}
