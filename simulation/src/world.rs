//! One seed's world from its beginning to its judgement.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use object_store::memory::InMemory;
use server::store::Store;
use tempfile::TempDir;
use tokio::sync::Mutex as Turn;
use tokio_util::sync::CancellationToken;
use turmoil::Sim;

use crate::{
    disk::Disk,
    faults::{Blow, Faults, LATENCY},
    hosts::{self, SERVER},
    judge,
    kernel::{Kernel, Ports},
    machine,
    net::{Dialler, Listener},
    planted::{self, Planted},
    process::{Clocks, Life, Process},
    record::Record,
    user, work,
    yard::Yard,
};

/// The agents' hosts.
pub const AGENTS: [&str; 2] = ["web-1", "web-2"];
/// The network is looked at this often; each host goes on by milliseconds in between.
const TICK: Duration = Duration::from_millis(40);
/// Segments and connections that turmoil keeps for a socket: what was held for minutes comes at once.
const SEGMENTS: usize = 4_096;
/// Ticks between two looks whether all is over.
const LOOK: u32 = 25;
/// From the end of all faults until every run must have ended and nothing may be left.
const SETTLED: Duration = Duration::from_secs(240);
/// A shorter pause of the server begins no lease anew (`server/src/agents/listening.rs`).
const NOTICED: Duration = Duration::from_secs(4);
/// A debug build's futures are large.
const STACK_BYTES: usize = 64 * 1024 * 1024;

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

impl Outcome {
    /// It did not come to a judgement.
    pub(crate) const fn failed(why: String) -> Self {
        Self {
            lines: Vec::new(),
            summary: String::new(),
            violation: Some(why),
        }
    }
}

/// A panic anywhere is a violation, also in a task that another one restarts.
static PANICKED: AtomicBool = AtomicBool::new(false);
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Runs a seed.
///
/// # Panics
/// When the machine has no directory or no thread for it.
#[must_use]
pub fn run(seed: u64, planted: Option<Planted>) -> Outcome {
    on_a_thread(seed, move |dirs| World::new(seed, planted, dirs).run())
}

/// Runs a simulation of a seed, in directories of its own. Once in a process: tokio counts its runtimes, and the count is in
/// the draws of `select!`.
///
/// # Panics
/// When the machine has no directory or no thread for it.
pub(crate) fn on_a_thread(
    seed: u64,
    work: impl FnOnce(&[TempDir; 3]) -> Outcome + Send + 'static,
) -> Outcome {
    std::panic::set_hook(Box::new(|info| {
        PANICKED.store(true, Ordering::SeqCst);
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string();
    }));
    // Before the simulation: their names are drawn, and two processes of one seed must not meet.
    let dirs = [AGENTS[0], AGENTS[1], SERVER].map(|_| directory().expect("a directory"));
    let panicked = || {
        let text = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        Outcome::failed(format!("panicked: {text}"))
    };
    let outcome = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || {
            machine::enter(seed);
            work(&dirs)
        })
        .expect("a thread")
        .join();
    match outcome {
        Ok(outcome) if outcome.violation.is_some() || !PANICKED.load(Ordering::SeqCst) => outcome,
        _ => panicked(),
    }
}

/// In memory where there is such a place: a simulated disk has its own slowness.
fn directory() -> io::Result<TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

struct World<'a> {
    seed: u64,
    planted: Option<Planted>,
    record: Record,
    disk: Arc<Disk>,
    objects: Arc<InMemory>,
    yards: [Yard; 2],
    /// The agents', in their order, and the server's.
    dirs: &'a [TempDir; 3],
}

impl<'a> World<'a> {
    fn new(seed: u64, planted: Option<Planted>, dirs: &'a [TempDir; 3]) -> Self {
        let record = Record::default();
        let blind = planted == Some(Planted::NoAdoption);
        Self {
            seed,
            planted,
            disk: Arc::new(Disk::new(
                record.clone(),
                planted == Some(Planted::AnsweredNotStored),
            )),
            objects: Arc::default(),
            yards: AGENTS.map(|host| Yard::new(host, record.clone(), blind)),
            record,
            dirs,
        }
    }

    fn run(&self) -> Outcome {
        let mut faults = Faults::new(self.seed);
        let mut sim = turmoil::Builder::new()
            .rng_seed(self.seed)
            .tick_duration(TICK)
            .tcp_capacity(SEGMENTS)
            .simulation_duration(faults.until() + SETTLED + SETTLED)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(LATENCY)
            .build();
        let mut processes = vec![self.server(), self.agent(0), self.agent(1)];
        for process in &mut processes {
            if let Err(error) = process.start() {
                return Outcome::failed(format!("{} cannot be started: {error}", process.host));
            }
            let kernel = process.kernel.clone();
            sim.host(process.host, move || kernel.clone().run());
        }
        let waits = [300, 9_000, 14_000].map(Duration::from_millis);
        let record = self.record.clone();
        sim.client("user", async move {
            user::starts(waits.to_vec(), record).await;
            Ok(())
        });
        let broken = self.steps(&mut sim, &mut processes, &mut faults, waits.len());
        let elapsed = sim.elapsed();
        drop((processes, sim));
        let world = judge::World {
            record: &self.record,
            store: self.disk.as_ref(),
            objects: self.objects.as_ref(),
        };
        let (summary, judged) = judge::judge(&world, waits.len(), &self.left());
        Outcome {
            lines: self.record.lines(),
            summary: format!("{summary}, {} s simulated", elapsed.as_secs()),
            violation: broken.err().or(judged),
        }
    }

    /// Until all is over; what went wrong on the way.
    fn steps(
        &self,
        sim: &mut Sim<'_>,
        processes: &mut [Process],
        faults: &mut Faults,
        runs: usize,
    ) -> Result<(), String> {
        for tick in 0_u32.. {
            machine::set(sim.elapsed(), Duration::ZERO);
            sim.step().map_err(|error| format!("a host ended: {error}"))?;
            processes.iter_mut().try_for_each(|process| process.tick(TICK))?;
            if PANICKED.load(Ordering::SeqCst) {
                let text = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
                return Err(format!("a task panicked: {text}"));
            }
            machine::set(sim.elapsed(), Duration::ZERO);
            for (host, blow) in faults.apply(sim, &self.record) {
                if let Some(process) = processes.iter_mut().find(|process| process.host == host) {
                    let struck = self.strike(sim, process, blow);
                    struck.map_err(|error| format!("{host} cannot be started: {error}"))?;
                }
            }
            if sim.elapsed() > faults.until() && tick.is_multiple_of(LOOK) && self.is_over(runs) {
                return Ok(());
            }
            if sim.elapsed() > faults.until() + SETTLED {
                // The judge says what is not over.
                return Ok(());
            }
        }
        Ok(())
    }

    fn strike(&self, sim: &mut Sim<'_>, process: &mut Process, blow: Blow) -> io::Result<()> {
        match blow {
            Blow::Kill => {
                process.kill();
                sim.crash(process.host);
                self.spoil(process.host);
            }
            Blow::Start => {
                process.start()?;
                sim.bounce(process.host);
            }
            Blow::Stop(Clocks::GoOn) if self.planted == Some(Planted::PauseUnnoticed) => {
                process.stop(Clocks::Hidden);
            }
            Blow::Stop(clocks) => process.stop(clocks),
            Blow::Wake => {
                let missed = process.wake();
                if process.host == SERVER && missed >= NOTICED {
                    self.record.listens();
                }
            }
        }
        Ok(())
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
        for (yard, dir) in self.yards.iter().zip(self.dirs) {
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

    fn server(&self) -> Process {
        let (disk, record, objects) = (
            Arc::clone(&self.disk),
            self.record.clone(),
            Arc::clone(&self.objects),
        );
        let (planted, dir) = (self.planted, self.dirs[AGENTS.len()].path().to_owned());
        let software = move |ports: Ports| -> Life {
            let objects = match planted {
                Some(Planted::ArtifactsNotKept) => Arc::default(),
                _ => Arc::clone(&objects),
            };
            let config = hosts::server(work::definition(planted), objects, &dir);
            let listener = Listener(Turn::new(ports.accepted));
            let (disk, record) = (Arc::clone(&disk), record.clone());
            Box::pin(async move {
                let ready = || {
                    record.listens();
                    record.say(SERVER, "listens");
                };
                let ran = server::run_on(listener, config, disk, CancellationToken::new(), ready).await;
                ran.map_err(|error| error.to_string())
            })
        };
        Process::new(SERVER, Kernel::new(true), Box::new(software))
    }

    fn agent(&self, at: usize) -> Process {
        let (name, yard, record) = (AGENTS[at], self.yards[at].clone(), self.record.clone());
        let data_dir: PathBuf = self.dirs[at].path().join("agent");
        let software = move |ports: Ports| -> Life {
            let (yard, record) = (yard.clone(), record.clone());
            let config = hosts::agent(name, data_dir.clone());
            Box::pin(async move {
                record.say(name, "begins");
                let surroundings = agent::Surroundings {
                    dial: Arc::new(Dialler(ports.dials)),
                    runtime: Some(Arc::new(yard)),
                };
                let ran = agent::run_in(surroundings, config, CancellationToken::new()).await;
                ran.map_err(|error| error.to_string())
            })
        };
        Process::new(name, Kernel::new(false), Box::new(software))
    }
}
