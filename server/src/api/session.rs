//! One agent's stream.
//!
//! ```text
//! agent ── Hello(dial, inventory) ──▶ gate ──▶ registry ──▶ each run with a lease there: Inventory
//!       ◀── Welcome ── (reconciled)
//!       ── Credits ──▶ registry: offers may come          ◀── Offer, Stop, Forget, Ack ── runs' tasks
//!       ── Report ───▶ the run's task: decide, append, then Ack
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::stream::BoxStream;
use proto::v1::{self, session_down::Message as Down, session_up::Message as Up};
use protocol::{Held, server};
use tokio_stream::StreamExt;
use tonic::{Status, Streaming};
use types::{AgentId, LeaseToken, Policy, SessionId, limits};

use super::{
    convert, errors,
    reports::reported,
    stream::{Out, answer},
};
use crate::{
    Core,
    agents::{Close, Facts, Introduction, Inventory, Opened},
    clock::entropy,
    runs::{Ask, RunError},
    store::{AgentRow, StoreError},
};

/// The protocol's number.
const PROTOCOL: u32 = 1;
/// How long Hello may take after the call.
const HELLO: Duration = Duration::from_secs(10);
/// What one Hello may hold.
const INVENTORY: usize = 100_000;
/// Bytes of an agent's name, and of each name in its lists.
const NAME_BYTES: usize = 200;
const VERSION_BYTES: usize = 100;
/// What it says of its host's limits.
const LIMITS_BYTES: usize = 1_000;
/// Entries of each of its lists.
const LIST: usize = 1_000;
/// Acknowledgements after which a session is renewed: each leaves a tombstone at the agent, which only a later session
/// lets go, and an inventory must fit into one message.
const ACKS: usize = 4_096;
/// A session's age after which it is renewed, and what is added at random so that agents do not all come at once.
const AGE: Duration = Duration::from_secs(3_600);
const JITTER_S: u64 = 1_800;
/// Messages that wait for the agent to read.
const AHEAD: usize = 64;

type Inventories = BTreeMap<LeaseToken, (Held, Option<v1::AttemptRef>)>;

/// Answers with the stream at once; the work goes on in a task of its own.
pub(super) fn serve(
    core: Core,
    up: Streaming<v1::SessionUp>,
) -> BoxStream<'static, Result<v1::SessionDown, Status>> {
    answer(AHEAD, |out| async move {
        let ended = session(core, up, &out).await;
        if let Err(status) = &ended {
            tracing::debug!(%status, "a session ended");
        }
        ended
    })
}

async fn session(
    core: Core,
    mut up: Streaming<v1::SessionUp>,
    out: &Out<v1::SessionDown>,
) -> Result<(), Status> {
    let first = tokio::select! {
        first = tokio::time::timeout(HELLO, up.message()) => {
            first.map_err(|_| Status::deadline_exceeded("no Hello within 10 seconds"))??
        }
        () = core.shutdown.cancelled() => return Err(stopping()),
    };
    let Some(Up::Hello(hello)) = first.and_then(|up| up.message) else {
        return Err(errors::invalid(
            "message",
            "the first message of a session is Hello",
        ));
    };
    let agent: AgentId = convert::id(&hello.agent_id, "hello.agent_id")?;
    if hello.protocol != PROTOCOL {
        return Err(other_protocol(&agent, &hello));
    }
    let session = SessionId::new(core.clock.now(), entropy());
    let (opened, held) = match open(&core, &agent, &session, hello).await? {
        Hello::Taken(opened, held) => (opened, held),
        Hello::Stale(last) => {
            tracing::warn!(%agent, last, "stale dial: an older Hello, or two agents with one identity");
            return send(out, Down::StaleDial(v1::StaleDial { last })).await;
        }
    };
    tracing::info!(%agent, %session, "agent connected");
    let ended = welcomed(&core, &agent, &session, up, opened, held, out).await;
    core.agents.closed(&agent, &session);
    tracing::info!(%agent, %session, "agent disconnected");
    ended
}

/// Too old or too new, with its name, its version, and which of the two is to be updated.
fn other_protocol(agent: &AgentId, hello: &v1::Hello) -> Status {
    // It was not checked: what is shown is short and on one line.
    let brief = |text: &str, most: usize| {
        text.chars()
            .filter(|c| !c.is_control())
            .take(most)
            .collect::<String>()
    };
    let older = if hello.protocol < PROTOCOL {
        "the agent"
    } else {
        "the server"
    };
    let why = format!(
        "agent {} ({agent}, Firehall {}) speaks protocol {}, this server (Firehall {}) speaks {PROTOCOL}: update {older}",
        brief(&hello.name, NAME_BYTES),
        brief(&hello.version, VERSION_BYTES),
        hello.protocol,
        env!("CARGO_PKG_VERSION"),
    );
    tracing::warn!(%agent, why, "an agent of another version is refused");
    Status::failed_precondition(why)
}

/// What became of a Hello.
enum Hello {
    Taken(Opened, Inventories),
    /// Its dial is not above this one.
    Stale(u64),
}

/// Takes the Hello: the session is the agent's own from now on.
async fn open(core: &Core, agent: &AgentId, session: &SessionId, hello: v1::Hello) -> Result<Hello, Status> {
    if hello.inventory.len() > INVENTORY {
        return Err(errors::invalid(
            "hello.inventory",
            format_args!("more than {INVENTORY} leases"),
        ));
    }
    let mut held = Inventories::new();
    for item in &hello.inventory {
        let token: LeaseToken = convert::id(&item.token, "inventory.token")?;
        held.insert(token, (convert::held(item.phase)?, item.attempt.clone()));
    }
    if core.agents.is_another(agent, &hello.instance).await {
        tracing::warn!(%agent, name = hello.name, "refused: another process of this agent is connected");
        return Err(Status::already_exists(format!(
            "another process of agent {agent} is connected and answers: does a copy of its data directory run?"
        )));
    }
    let dial = hello.dial;
    let introduction = introduction(hello, &held)?;
    let row = AgentRow {
        id: agent.clone(),
        name: introduction.name.clone(),
        version: introduction.facts.version.clone(),
        labels: introduction.labels.clone(),
        facts: serde_json::to_string(&introduction.facts)
            .map_err(|error| errors::defect("an agent's facts cannot be written", error))?,
        seen_at: core.clock.now(),
    };
    match core.store.agent_session(row, dial).await {
        Ok(None) => {}
        Ok(Some(last)) => return Ok(Hello::Stale(last)),
        Err(StoreError::Invalid(why)) => return Err(errors::invalid("hello.dial", why)),
        Err(error) => return Err(errors::store_status(&error)),
    }
    Ok(match core.agents.open(agent, session.clone(), introduction) {
        Some(opened) => Hello::Taken(opened, held),
        // A later Hello came while this one was being stored.
        None => Hello::Stale(dial),
    })
}

/// What an agent says of itself is kept, listed and shown.
fn check(hello: &v1::Hello) -> Result<(), Status> {
    let name = &hello.name;
    if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
        let why = format!("1 to {NAME_BYTES} bytes without control characters");
        return Err(errors::invalid("hello.name", why));
    }
    if hello.version.len() > VERSION_BYTES {
        return Err(errors::invalid(
            "hello.version",
            format_args!("at most {VERSION_BYTES} bytes"),
        ));
    }
    if hello.instance.len() > VERSION_BYTES {
        return Err(errors::invalid(
            "hello.instance",
            format_args!("at most {VERSION_BYTES} bytes"),
        ));
    }
    if hello.limits.len() > LIMITS_BYTES {
        return Err(errors::invalid(
            "hello.limits",
            format_args!("at most {LIMITS_BYTES} bytes"),
        ));
    }
    let actions = hello.actions.iter().map(|action| action.name.as_str());
    let texts = |list: &[String]| (list.len(), list.iter().map(String::len).max().unwrap_or(0));
    for (field, (count, longest)) in [
        ("labels", (hello.labels.len(), 0)),
        (
            "actions",
            (hello.actions.len(), actions.map(str::len).max().unwrap_or(0)),
        ),
        ("runtimes", texts(&hello.runtimes)),
        ("runtime_offers", (hello.runtime_offers.len(), 0)),
        ("secrets", texts(&hello.secrets)),
        ("connections", texts(&hello.connections)),
        ("grants", texts(&hello.grants)),
    ] {
        if count > LIST || longest > NAME_BYTES {
            let why = format!("at most {LIST} entries of at most {NAME_BYTES} bytes");
            return Err(errors::invalid(format!("hello.{field}"), why));
        }
    }
    for offered in &hello.runtime_offers {
        let (count, longest) = texts(&offered.words);
        if count > LIST || longest.max(offered.runtime.len()) > NAME_BYTES {
            let why = format!("at most {LIST} words of at most {NAME_BYTES} bytes");
            return Err(errors::invalid("hello.runtime_offers", why));
        }
    }
    Ok(())
}

fn introduction(hello: v1::Hello, held: &Inventories) -> Result<Introduction, Status> {
    check(&hello)?;
    let facts = Facts {
        version: hello.version,
        capacity: hello.capacity,
        offers: hello
            .runtime_offers
            .into_iter()
            .map(|one| (one.runtime, one.words.into_iter().collect()))
            .collect(),
        runtimes: hello.runtimes,
        actions: hello
            .actions
            .into_iter()
            .map(|action| (action.name, action.digest))
            .collect(),
        secrets: hello.secrets,
        connections: hello.connections,
        grants: hello.grants,
        limits: hello.limits,
        policy: policy(&hello.policy_json)?,
    };
    Ok(Introduction {
        name: hello.name,
        labels: convert::labels(hello.labels)?,
        facts,
        dial: hello.dial,
        instance: hello.instance,
        answers_probes: hello.answers_probes,
        crashed: hello.crashed,
        held: Arc::new(
            held.iter()
                .map(|(token, (held, _))| (token.clone(), *held))
                .collect(),
        ),
    })
}

/// What its operator lets steps ask for; parts of a newer version are left out, for it is the agent that refuses.
fn policy(json: &str) -> Result<Option<Arc<Policy>>, Status> {
    let wrong = |why: String| errors::invalid("hello.policy_json", why);
    match json {
        "" => Ok(None),
        _ if json.len() > limits::POLICY_BYTES => {
            Err(wrong(format!("at most {} bytes", limits::POLICY_BYTES)))
        }
        json => {
            let policy = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
            Ok(Some(Arc::new(policy)))
        }
    }
}

/// Reconciles, says Welcome, then carries messages until one side ends it.
async fn welcomed(
    core: &Core,
    agent: &AgentId,
    session: &SessionId,
    up: Streaming<v1::SessionUp>,
    opened: Opened,
    held: Inventories,
    out: &Out<v1::SessionDown>,
) -> Result<(), Status> {
    let inventory: Inventory = Arc::new(
        held.iter()
            .map(|(token, (held, _))| (token.clone(), *held))
            .collect(),
    );
    reconcile(core, agent, session, &inventory, opened.crashed).await?;
    let welcome = v1::Welcome {
        session_id: session.to_string(),
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        heartbeat_ms: u32::try_from(limits::HEARTBEAT_MS).unwrap_or(u32::MAX),
    };
    send(out, Down::Welcome(welcome)).await?;
    for message in strangers(core, agent, held) {
        send(out, message).await?;
    }
    carry(core, agent, session, up, opened, out).await
}

/// Every run with a lease at this agent hears what the agent holds, before anything is offered.
async fn reconcile(
    core: &Core,
    agent: &AgentId,
    session: &SessionId,
    held: &Inventory,
    crashed: bool,
) -> Result<(), Status> {
    let leases = core.agents.leases_at(agent);
    let runs: BTreeSet<_> = leases.iter().map(|(_, lease)| &lease.run).collect();
    for run in runs {
        let ask = Ask::Inventory {
            agent: agent.clone(),
            session: session.clone(),
            held: Arc::clone(held),
            crashed,
        };
        match core.runs.ask(run, ask).await {
            Ok(()) => {}
            // A run that cannot go on must not keep its agent from all others.
            Err(RunError::Store(error @ (StoreError::Corrupt(_) | StoreError::Invalid(_)))) => {
                tracing::error!(%agent, %run, %error, "an agent's inventory did not reach a run");
            }
            Err(error @ (RunError::Defect(_) | RunError::GivenUp(_))) => {
                tracing::error!(%agent, %run, %error, "an agent's inventory did not reach a run");
                if matches!(error, RunError::Defect(_)) {
                    core.runs.unheard(run, agent);
                }
            }
            Err(error) => return Err(errors::run_status(&error)),
        }
    }
    Ok(())
}

/// What to say of what it holds that no run has a lease of.
fn strangers(core: &Core, agent: &AgentId, held: Inventories) -> Vec<Down> {
    let leases = core.agents.leases_at(agent);
    let known: BTreeSet<&LeaseToken> = leases.iter().map(|(token, _)| token).collect();
    let message = |(token, (held, attempt)): (LeaseToken, (Held, Option<v1::AttemptRef>))| {
        Some(
            match server::stranger::<LeaseToken, AgentId, SessionId>(token, held)? {
                server::Send::Stop(token) => {
                    let run = attempt.as_ref().map_or("", |attempt| attempt.run_id.as_str());
                    tracing::warn!(%agent, %token, run, "an agent runs what this history does not know: it is stopped");
                    Down::Stop(v1::Stop {
                        attempt,
                        token: token.to_string(),
                        reason: "not a live lease".to_owned(),
                    })
                }
                server::Send::Forget(token) => Down::Forget(v1::Forget {
                    token: token.to_string(),
                }),
                server::Send::Offer(_) | server::Send::Ack(_) => return None,
            },
        )
    };
    // Of a run that could not be loaded for a defect nobody knows the leases yet: a moment's defect ends no work.
    let waits = |attempt: &Option<v1::AttemptRef>| {
        // Of one without a name it may be.
        if attempt.is_none() {
            return core.runs.any_unowned();
        }
        let run = attempt.as_ref().and_then(|attempt| attempt.run_id.parse().ok());
        run.is_some_and(|run| {
            let waits = core.runs.is_unowned(&run);
            if waits {
                core.runs.unheard(&run, agent);
            }
            waits
        })
    };
    held.into_iter()
        .filter(|(token, (_, attempt))| !known.contains(token) && !waits(attempt))
        .filter_map(message)
        .collect()
}

/// Messages both ways until one side ends it.
async fn carry(
    core: &Core,
    agent: &AgentId,
    session: &SessionId,
    mut up: Streaming<v1::SessionUp>,
    mut opened: Opened,
    out: &Out<v1::SessionDown>,
) -> Result<(), Status> {
    let jitter = u64::from(entropy()[0]) * JITTER_S / 256;
    let old = tokio::time::sleep(AGE + Duration::from_secs(jitter));
    tokio::pin!(old);
    let mut acks = 0;
    loop {
        tokio::select! {
            down = opened.down.recv() => match down {
                Some(down) => {
                    acks += usize::from(matches!(down.message, Some(Down::Ack(_))));
                    tokio::select! {
                        sent = out.send(down) => sent?,
                        () = opened.end.cancelled() => return Err(closed(&opened)),
                        () = core.shutdown.cancelled() => return Err(stopping()),
                    }
                    if acks >= ACKS {
                        core.agents.close(agent, Close::Renew);
                    }
                }
                None => return Err(closed(&opened)),
            },
            message = up.next() => match message {
                None => return Ok(()),
                Some(message) => heard(core, agent, session, message?).await?,
            },
            () = &mut old => return Err(renew()),
            () = opened.end.cancelled() => return Err(closed(&opened)),
            () = core.shutdown.cancelled() => return Err(stopping()),
        }
    }
}

fn stopping() -> Status {
    errors::stopping()
}

fn renew() -> Status {
    Status::unavailable("the session is renewed: connect again")
}

fn closed(opened: &Opened) -> Status {
    let why = *opened
        .close
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match why {
        Some(Close::Slow) => Status::resource_exhausted("the agent does not read its messages"),
        Some(Close::Store) => Status::unavailable("the store cannot write now: say it again"),
        Some(Close::Unheard) => Status::unavailable("what was said of a run was not taken: say it again"),
        Some(Close::Renew) => renew(),
        Some(Close::Superseded) | None => Status::aborted("a newer session of this agent was opened"),
    }
}

async fn heard(core: &Core, agent: &AgentId, session: &SessionId, up: v1::SessionUp) -> Result<(), Status> {
    core.agents.heard(agent, session);
    match up.message {
        Some(Up::Credits(credits)) => {
            core.agents.grant(agent, session, credits.total);
            Ok(())
        }
        Some(Up::Report(report)) => reported(core, agent, session, report).await,
        Some(Up::Hello(_)) => Err(errors::invalid("hello", "Hello comes once in a session")),
        None => {
            tracing::warn!(%agent, "a message of a kind that this server does not know: update it");
            Ok(())
        }
    }
}

async fn send(out: &Out<v1::SessionDown>, message: Down) -> Result<(), Status> {
    let message = Some(message);
    Ok(out.send(v1::SessionDown { message }).await?)
}
