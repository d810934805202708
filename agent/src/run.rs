//! Puts an agent together and lets it run.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use node::{clock, tasks::Tasks};
use runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use types::limits;

use crate::{
    Config, Grant, choose,
    context::Context,
    data_dir::DataDir,
    error::{AgentError, tried},
    heartbeat::Heartbeat,
    idle, image_store,
    janitor::Janitor,
    link::{Dial, Server, Tcp},
    logs::Shipper,
    mask::SECRET_MIN_BYTES,
    registries::Registries,
    runtimes::{Runtimes, Usable},
    secrets::{Kept, Masks, SECRET_BYTES, Secrets},
    session::Session,
    spool::Spool,
    supervisor::{Parts, Supervisor},
};

/// Events on their way to the supervisor.
const INBOX: usize = 1_024;
/// How long tasks may take to end.
const LEAVE: Duration = Duration::from_secs(2);

/// Runs an agent until `shutdown` is cancelled. Steps in containers go on running then, and the next agent on this data
/// directory finds them; actions in flight are given three seconds.
///
/// # Errors
/// The configuration or the data directory cannot be used, or the spool cannot be written any more.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), AgentError> {
    run_in(Surroundings::default(), config, shutdown).await
}

/// What an agent reaches the world by.
pub struct Surroundings {
    /// How the server is reached.
    pub dial: Arc<dyn Dial>,
    /// What runs containers; none for what the configuration names.
    pub runtime: Option<Arc<dyn Runtime>>,
}

impl Default for Surroundings {
    /// This host.
    fn default() -> Self {
        Self {
            dial: Arc::new(Tcp),
            runtime: None,
        }
    }
}

/// Runs an agent as [`run()`] does, in other surroundings than this host.
///
/// # Errors
/// As [`run()`].
pub async fn run_in(
    surroundings: Surroundings,
    config: Config,
    shutdown: CancellationToken,
) -> Result<(), AgentError> {
    let server = Server::new(&config.server, surroundings.dial)?;
    let keeps_images = config.shim.is_some();
    let keep = config.file.keep;
    let context = Arc::new(context(config, server.clone(), surroundings.runtime).await?);
    let spool = Spool::open(&context.dir.spool(), clock::wall())?;
    let over = CancellationToken::new();
    let _on_drop = over.clone().drop_guard();
    let tasks = Tasks::new();
    let (events, inbox) = mpsc::channel(INBOX);
    let (every, pace) = watch::channel(Duration::from_millis(limits::HEARTBEAT_MS));
    let (busy, rest) = watch::channel(false);
    let (channel, channels) = watch::channel(None);
    let (shipper, logs) = Shipper::new(Arc::clone(&context), server.clone(), events.clone());
    let mut supervisor = Supervisor::new(Parts {
        context: Arc::clone(&context),
        spool,
        inbox,
        events: events.clone(),
        logs,
        every,
        busy,
        tasks: tasks.clone(),
        over: over.clone(),
    });
    supervisor.recover().await?;
    node::notify::ready(&format!("agent {} of {}", context.name, context.id));
    tasks.spawn("logs", over.clone(), shipper.run());
    tasks.spawn("idle", over.clone(), idle::give_back(rest));
    let janitor = Janitor {
        context: Arc::clone(&context),
        events: events.clone(),
    };
    tasks.spawn("janitor", over.clone(), janitor.run());
    if keeps_images {
        tasks.spawn(
            "images",
            over.clone(),
            image_store::tidy(context.dir.images(), keep),
        );
    }
    let keeper = Arc::clone(&context);
    tasks.spawn(
        "secrets",
        over.clone(),
        async move { keeper.secrets.keep().await },
    );
    let heartbeat = Heartbeat {
        id: context.id.clone(),
        instance: context.instance.clone(),
        events: events.clone(),
        channel: channels,
        every: pace,
    };
    tasks.spawn("heartbeat", over.clone(), heartbeat.run());
    let session = Session {
        context: Arc::clone(&context),
        server,
        events,
        channel,
    };
    tasks.spawn("session", over.clone(), session.run());
    // A task like those it talks with: what it says to one of them needs no other thread to wake.
    let supervisor = AbortOnDropHandle::new(tokio::spawn(supervisor.run(shutdown)));
    let ended = supervisor.await.map_err(|_| AgentError::Panicked).flatten();
    over.cancel();
    if !tasks.ended(LEAVE).await {
        tracing::warn!("some tasks of the agent did not end in time");
    }
    ended
}

async fn context(
    mut config: Config,
    server: Server,
    given: Option<Arc<dyn Runtime>>,
) -> Result<Context, AgentError> {
    check(&config)?;
    let dir = DataDir::open(&config.data_dir)?;
    let id = dir.agent_id()?;
    let boot = clock::boot_id().map_err(tried("cannot read the boot id"))?;
    let mut entropy = [0; 10];
    getrandom::fill(&mut entropy)
        .map_err(|error| tried("no randomness for this process's name")(std::io::Error::other(error)))?;
    let instance = data_encoding::HEXLOWER.encode(&entropy);
    let masks = Arc::new(Masks::new());
    for (n, secret) in config.vendors.secrets().iter().enumerate() {
        masks.learn(&format!("connection {n}"), secret);
    }
    let mut policy = config.file.policy.clone();
    config.allow.iter().for_each(|grant| grant.widen(&mut policy));
    let secrets = Arc::new(Secrets::new(
        config.secrets.clone(),
        &config.file,
        Arc::clone(&masks),
    ));
    let kept = Kept::open(&id);
    let registries = Registries::new(
        config.file.registries.clone(),
        config.registries.credentials.clone(),
        kept.file("registries.json"),
    );
    config.registries.credentials = registries.credentials();
    let runtimes = match given {
        Some(runtime) => Runtimes::new(vec![Usable::new(runtime).await])
            .ok_or_else(|| "it was started without a runtime".to_owned()),
        None => choose::runtimes(&config, &dir, &id, &secrets).await?,
    };
    match &runtimes {
        Ok(runtimes) => tracing::info!(%id, name = config.name, runtime = runtimes.names(), "agent"),
        Err(why) => {
            tracing::warn!(%id, name = config.name, why, "agent without a runtime: it takes actions only")
        }
    }
    Ok(Context {
        id,
        server,
        name: config.name,
        labels: config.labels,
        capacity: config.capacity,
        dir,
        instance,
        boot,
        grants: Grant::of(&policy)
            .into_iter()
            .chain(config.allow.iter().copied())
            .collect(),
        policy,
        places: config.file.places,
        tmp_bytes: config.file.tmp_bytes,
        secrets,
        masks,
        kept,
        registries,
        actions: config.actions,
        vendors: config.vendors,
        leftovers_removed: AtomicU64::new(0),
        logs_waiting_bytes: config.file.logs_waiting_bytes,
        log_bytes_waiting: AtomicU64::new(0),
        log_bytes_given_up: AtomicU64::new(0),
        runtimes,
    })
}

fn check(config: &Config) -> Result<(), AgentError> {
    if config.capacity == 0 {
        return Err(AgentError::Config("capacity: must be at least 1".to_owned()));
    }
    for (name, secret) in &config.secrets {
        match secret.expose().len() {
            0 => return Err(AgentError::Config(format!("secret {name}: is empty"))),
            length if length > SECRET_BYTES => {
                let why =
                    format!("secret {name}: {length} bytes, at most {SECRET_BYTES} can be kept out of logs");
                return Err(AgentError::Config(why));
            }
            length if length < SECRET_MIN_BYTES => {
                tracing::warn!(
                    name,
                    "this secret is shorter than {SECRET_MIN_BYTES} bytes: it is not masked in logs"
                );
            }
            _ => {}
        }
    }
    Ok(())
}
