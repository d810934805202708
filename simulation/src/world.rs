//! One seed's world from its beginning to its judgement.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use server::store::Store;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use turmoil::Sim;
use types::{Catalogue, Label, Labels};

use crate::{
    disk::Disk,
    faults::{Faults, LATENCY, UNTIL},
    judge, machine,
    net::{Dialler, Listener, PORT},
    planted::{self, Planted},
    record::Record,
    user,
    yard::Yard,
};

/// The agents' hosts.
pub const AGENTS: [&str; 2] = ["web-1", "web-2"];
/// The workflow that the user starts.
pub const WORKFLOW: &str = "work";
/// The network is looked at this often; each host goes on by milliseconds in between.
const TICK: Duration = Duration::from_millis(20);
/// Ticks between two looks whether all is over.
const LOOK: u32 = 25;
/// From the end of all faults until every run must have ended and nothing may be left.
const SETTLED: Duration = Duration::from_secs(240);
/// Attempts at once on an agent.
const CAPACITY: u32 = 3;
/// A debug build's futures are large.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What steps do: `first`, `fails` and `last` must never run twice, `asks` waits in doubt for its agent, `again` may be
/// run again.
fn definition(planted: Option<Planted>) -> String {
    let (fail, ask) = match planted {
        Some(Planted::ExpiryReruns) => ("rerun", "rerun"),
        _ => ("fail", "ask"),
    };
    format!(
        "name: {WORKFLOW}
steps:
  first:
    image: host
    run: work 4000 0
    disconnect: 15s
    if-lost: {fail}
    outputs: {{ token: string }}
  asks:
    image: host
    run: work 9000 0
    disconnect: 12s
    if-lost: {ask}
    outputs: {{ token: string }}
  fails:
    image: host
    run: work 1500 7
    disconnect: 30s
    allow-failure: true
  again:
    image: host
    run: work 5000 0
    disconnect: 4s
    if-lost: rerun
  many:
    foreach: ${{{{ [1, 2, 3, 4] }}}}
    needs: first
    image: host
    run: work 1200 0
    disconnect: 20s
    outputs: {{ token: string }}
  last:
    needs: [fails, many]
    image: host
    env: {{ TOKEN: \"${{{{ steps.first.outputs.token }}}}\" }}
    run: work 800 0
    disconnect: 20s
"
    )
}

/// How it went.
#[derive(Debug)]
pub struct Outcome {
    /// The record.
    pub lines: Vec<String>,
    /// What was seen, in a line.
    pub summary: String,
    /// What must never be, when it was.
    pub violation: Option<String>,
}

/// A panic anywhere is a violation, also in a task that another one restarts.
static PANICKED: AtomicBool = AtomicBool::new(false);
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Runs a seed. Once in a process: tokio counts its runtimes, and the count is in the draws of `select!`.
///
/// # Panics
/// When the machine has no directory or no thread for it.
#[must_use]
pub fn run(seed: u64, planted: Option<Planted>) -> Outcome {
    std::panic::set_hook(Box::new(|info| {
        PANICKED.store(true, Ordering::SeqCst);
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string();
    }));
    // Before the simulation: their names are drawn, and two processes of one seed must not meet.
    let dirs = AGENTS.map(|_| tempfile::tempdir().expect("a directory"));
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || {
            machine::enter(seed);
            World::new(seed, planted, dirs).run()
        })
        .expect("a thread")
        .join()
        .unwrap_or_else(|_| Outcome {
            lines: Vec::new(),
            summary: String::new(),
            violation: Some(format!(
                "panicked: {}",
                PANIC.lock().unwrap_or_else(PoisonError::into_inner)
            )),
        })
}

struct World {
    seed: u64,
    planted: Option<Planted>,
    record: Record,
    disk: Arc<Disk>,
    yards: [Yard; 2],
    dirs: [TempDir; 2],
}

impl World {
    fn new(seed: u64, planted: Option<Planted>, dirs: [TempDir; 2]) -> Self {
        let record = Record::default();
        let blind = planted == Some(Planted::NoAdoption);
        Self {
            seed,
            planted,
            disk: Arc::new(Disk::new(
                record.clone(),
                planted == Some(Planted::AnsweredNotStored),
            )),
            yards: AGENTS.map(|host| Yard::new(host, record.clone(), blind)),
            record,
            dirs,
        }
    }

    fn run(&self) -> Outcome {
        let mut sim = turmoil::Builder::new()
            .rng_seed(self.seed)
            .tick_duration(TICK)
            .simulation_duration(UNTIL + SETTLED + SETTLED)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(LATENCY)
            .build();
        self.server(&mut sim);
        for at in 0..AGENTS.len() {
            self.agent(&mut sim, at);
        }
        let waits = [300, 9_000, 14_000].map(Duration::from_millis);
        let record = self.record.clone();
        sim.client("user", async move {
            user::starts(waits.to_vec(), record).await;
            Ok(())
        });
        let broken = self.steps(&mut sim, waits.len());
        let elapsed = sim.elapsed();
        drop(sim);
        let (summary, judged) = judge::judge(&self.record, self.disk.as_ref(), waits.len(), &self.left());
        Outcome {
            lines: self.record.lines(),
            summary: format!("{summary}, {} s simulated", elapsed.as_secs()),
            violation: broken.or(judged),
        }
    }

    /// Until all is over; what went wrong on the way.
    fn steps(&self, sim: &mut Sim<'_>, runs: usize) -> Option<String> {
        let mut faults = Faults::new(self.seed);
        for tick in 0_u32.. {
            machine::set(sim.elapsed());
            if let Err(error) = sim.step() {
                return Some(format!("a process ended: {error}"));
            }
            if PANICKED.load(Ordering::SeqCst) {
                let text = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
                return Some(format!("a task panicked: {text}"));
            }
            for host in faults.apply(sim, &self.record) {
                self.spoil(host);
            }
            if sim.elapsed() > UNTIL && tick.is_multiple_of(LOOK) && self.is_over(runs) {
                return None;
            }
            if sim.elapsed() > UNTIL + SETTLED {
                // The judge says what is not over.
                return None;
            }
        }
        None
    }

    /// All runs have ended and nothing is left of any attempt.
    fn is_over(&self, runs: usize) -> bool {
        let ids = self.record.runs();
        let ended = |id| {
            let head = self.disk.run(id).now_or_never().and_then(Result::ok).flatten();
            head.is_some_and(|head| head.outcome.is_some())
        };
        ids.len() == runs && ids.iter().all(ended) && self.left().is_empty()
    }

    /// What is left of attempts.
    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (yard, dir) in self.yards.iter().zip(&self.dirs) {
            left.extend(yard.left().iter().map(|token| format!("container {token}")));
            let entries = std::fs::read_dir(dir.path().join("agent/attempts"));
            let names = entries.into_iter().flatten().flatten();
            left.extend(names.map(|entry| format!("directory {}", entry.file_name().display())));
        }
        left
    }

    /// What a planted bug does to the disk of an agent that was killed.
    fn spoil(&self, host: &str) {
        let Some(at) = AGENTS.iter().position(|agent| *agent == host) else {
            return;
        };
        let spool = self.dirs[at].path().join("agent/spool");
        match self.planted {
            Some(Planted::SpoolNotKept) => drop(std::fs::remove_file(spool)),
            Some(Planted::ResultDroppedWhenSent) => planted::drop_results(&spool),
            _ => {}
        }
    }

    fn server(&self, sim: &mut Sim<'_>) {
        let (disk, record) = (Arc::clone(&self.disk), self.record.clone());
        let seed = vec![("work.yaml".to_owned(), definition(self.planted))];
        sim.host("server", move || {
            let (disk, record, seed) = (Arc::clone(&disk), record.clone(), seed.clone());
            async move {
                let config = server::Config {
                    listen: ([127, 0, 0, 1], PORT).into(),
                    insecure: false,
                    webhook_secret: None,
                    catalogue: Catalogue::default(),
                    seed,
                    healthy_with_agents: 0,
                    artifacts: None,
                    public_hosts: vec!["server".to_owned()],
                };
                let listener = Listener::bind().await?;
                let ready = || record.say("server", "listens");
                server::run_on(listener, config, disk, CancellationToken::new(), ready).await?;
                Ok(())
            }
        });
    }

    fn agent(&self, sim: &mut Sim<'_>, at: usize) {
        let (name, yard, record) = (AGENTS[at], self.yards[at].clone(), self.record.clone());
        let data_dir: PathBuf = self.dirs[at].path().join("agent");
        sim.host(name, move || {
            let (yard, record) = (yard.clone(), record.clone());
            let config = config(name, data_dir.clone());
            async move {
                record.say(name, "begins");
                let surroundings = agent::Surroundings {
                    dial: Arc::new(Dialler),
                    runtime: Some(Arc::new(yard)),
                };
                agent::run_in(surroundings, config, CancellationToken::new()).await?;
                Ok(())
            }
        });
    }
}

fn config(name: &str, data_dir: PathBuf) -> agent::Config {
    let host: Option<Label> = format!("host={name}").parse().ok();
    agent::Config {
        server: format!("http://server:{PORT}"),
        data_dir,
        name: name.to_owned(),
        labels: Labels(host.into_iter().collect()),
        capacity: CAPACITY,
        allow: std::collections::BTreeSet::default(),
        file: agent::AgentFile::default(),
        secrets: std::collections::BTreeMap::default(),
        actions: actions::Registry::new([]),
        vendors: agent::Vendors::fixed(actions::Connections::default()),
        shim: None,
        registries: agent::RegistryAccess::default(),
        choice: agent::RuntimeChoice::Native,
        docker_host: None,
    }
}
