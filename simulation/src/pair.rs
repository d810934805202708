//! A server and the host of one agent on one runtime, whose time goes on by itself as soon as nobody has anything to do, with a
//! [`Cable`] between them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use object_store::memory::InMemory;
use server::store::Store;
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use types::{RunId, RunOutcome};

use crate::{
    cable::Cable, disk::Disk, hosts, judge, machine, net::Listener, record::Record, user, world::Outcome,
    yard::Yard,
};

/// The agent's host.
pub const AGENT: &str = "web-1";
/// Connections that wait to be accepted.
const BACKLOG: usize = 64;

/// Both, and what lies between them.
pub struct Pair<'a> {
    /// What happened.
    pub record: Record,
    /// Between the agent and the server.
    pub cable: Cable,
    disk: Arc<Disk>,
    objects: Arc<InMemory>,
    yard: Yard,
    dir: &'a Path,
}

impl<'a> Pair<'a> {
    /// Lets a server run that keeps this definition, its clocks going on by `slice`, and does this with it; then judges all
    /// runs. What it says is in the summary.
    pub fn live(
        dirs: &'a [TempDir; 3],
        definition: String,
        slice: Duration,
        work: impl AsyncFnOnce(&Self) -> Result<String, String>,
    ) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return Outcome::failed(format!("no runtime: {error}")),
        };
        let (dialled, accepted) = mpsc::channel(BACKLOG);
        let record = Record::default();
        let pair = Self {
            cable: Cable::to(dialled),
            disk: Arc::new(Disk::new(record.clone(), false)),
            objects: Arc::default(),
            yard: Yard::new(AGENT, record.clone(), false),
            dir: dirs[0].path(),
            record,
        };
        let clock = async {
            loop {
                sleep(slice).await;
                machine::set(machine::elapsed() + slice, Duration::ZERO);
            }
        };
        let said = runtime.block_on(async {
            let config = hosts::server(definition, Arc::clone(&pair.objects), dirs[2].path());
            let listener = Listener(Mutex::new(accepted));
            let disk: Arc<Disk> = Arc::clone(&pair.disk);
            tokio::spawn(server::run_on(
                listener,
                config,
                disk,
                CancellationToken::new(),
                || (),
            ));
            tokio::select! {
                biased;
                () = clock => Err("the clock stopped".to_owned()),
                said = work(&pair) => said,
            }
        });
        drop(runtime);
        let world = judge::World {
            record: &pair.record,
            store: pair.disk.as_ref(),
            objects: pair.objects.as_ref(),
        };
        let (summary, judged) = judge::judge(&world, pair.record.runs().len(), &[]);
        let (said, violation) = match said {
            Ok(said) => (said, judged),
            Err(why) => (String::new(), Some(why)),
        };
        Outcome {
            lines: match violation {
                Some(_) => pair.record.lines(),
                None => Vec::new(),
            },
            summary: format!("{said}; {summary}, {} s simulated", machine::elapsed().as_secs()),
            violation,
        }
    }

    /// An agent with a directory of this name.
    #[must_use]
    pub fn agent(&self, dir: &str) -> Agent {
        let surroundings = agent::Surroundings {
            dial: Arc::new(self.cable.clone()),
            runtime: Some(Arc::new(self.yard.clone())),
        };
        let (dir, leave) = (self.dir.join(dir), CancellationToken::new());
        let config = hosts::agent(AGENT, dir.clone());
        let task = tokio::spawn(agent::run_in(surroundings, config, leave.clone()));
        Agent { dir, leave, task }
    }

    /// Starts another run, by a cable of its own.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub async fn start(&self) -> Result<RunId, String> {
        let run = user::start(&self.cable.beside(), self.record.runs().len()).await?;
        let run: RunId = run.parse().map_err(|error| format!("no run's id: {error}"))?;
        self.record.acknowledged(run.clone());
        Ok(run)
    }

    /// How a run ended, once it has and nothing is left of its attempts on this agent's host.
    #[must_use]
    pub fn ended(&self, run: &RunId, agent: &Agent) -> Option<RunOutcome> {
        let head = self.disk.run(run).now_or_never().and_then(Result::ok).flatten();
        let ended = head.and_then(|head| head.outcome)?;
        let mut attempts = std::fs::read_dir(agent.dir.join("attempts"))
            .into_iter()
            .flatten();
        (self.yard.left().is_empty() && attempts.next().is_none()).then_some(ended)
    }
}

/// An agent that runs.
pub struct Agent {
    dir: PathBuf,
    leave: CancellationToken,
    task: JoinHandle<Result<(), agent::AgentError>>,
}

impl Agent {
    /// Lets it leave, and waits for that.
    ///
    /// # Errors
    /// It ended otherwise.
    pub async fn leave(self) -> Result<(), String> {
        self.leave.cancel();
        let ended = self.task.await;
        ended
            .map_err(|error| format!("the agent: {error}"))?
            .map_err(|error| format!("the agent: {error}"))
    }
}
