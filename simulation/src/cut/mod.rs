//! One short conversation of an agent with its server (hello, two steps, their logs, an artifact sent and got), again and
//! again, each time cut after one byte more. Both are the real ones, on one runtime whose time goes on by itself.

mod cable;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use object_store::memory::InMemory;
use server::store::Store;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use types::RunId;

pub use cable::{Cable, Carried, Cut, Way};

use crate::{
    disk::Disk,
    hosts, judge, machine,
    net::Listener,
    record::Record,
    user,
    work::WORKFLOW,
    world::{Outcome, on_a_thread},
    yard::Yard,
};

/// The agent's host.
const AGENT: &str = "web-1";
/// The clocks of libc go on by this.
const SLICE: Duration = Duration::from_millis(20);
/// How often it is looked how far a conversation is.
const LOOK: Duration = Duration::from_millis(50);
/// Looks after which it must be over: two minutes.
const LOOKS: u32 = 2_400;
/// Connections that wait to be accepted.
const BACKLOG: usize = 64;
/// A conversation that is longer is none that was meant.
const LONGEST: u64 = 100_000;
/// Seed of all ids and draws.
const SEED: u64 = 28;

/// Two steps, the second of which gets what the first one left.
fn definition() -> String {
    format!(
        "name: {WORKFLOW}
steps:
  first:
    image: host
    run: work 40 0 100
    disconnect: 60s
    outputs: {{ token: string }}
    artifacts: {{ left: /tmp/left }}
  last:
    needs: first
    image: host
    env: {{ TOKEN: \"${{{{ steps.first.outputs.token }}}}\" }}
    files: {{ /data/left: {{ artifact: first.left }} }}
    run: work 40 0
    disconnect: 60s
    outputs: {{ token: string }}
"
    )
}

/// Which bytes are cut off, one conversation each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// The how manieth connection, from 0.
    pub connection: usize,
    /// Whose bytes are counted.
    pub way: Way,
    /// From one cut to the next, in bytes.
    pub step: usize,
}

/// Sweeps; without one, a conversation that is not cut. What was carried by a conversation that went through is in the last
/// line.
#[must_use]
pub fn run(sweep: Option<Sweep>) -> Outcome {
    on_a_thread(SEED, move |dirs| {
        let record = Record::default();
        let mut world = World {
            disk: Arc::new(Disk::new(record.clone(), false)),
            objects: Arc::default(),
            yard: Yard::new(AGENT, record.clone(), false),
            dir: dirs[0].path(),
            record,
            runs: 0,
        };
        world.run(sweep, dirs[2].path())
    })
}

struct World<'a> {
    record: Record,
    disk: Arc<Disk>,
    objects: Arc<InMemory>,
    yard: Yard,
    dir: &'a Path,
    runs: usize,
}

impl World<'_> {
    fn run(&mut self, sweep: Option<Sweep>, incoming: &Path) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return Outcome::failed(format!("no runtime: {error}")),
        };
        let clock = async {
            loop {
                sleep(SLICE).await;
                machine::set(machine::elapsed() + SLICE, Duration::ZERO);
            }
        };
        let swept = runtime.block_on(async {
            tokio::select! {
                biased;
                () = clock => Err("the clock stopped".to_owned()),
                swept = self.sweep(sweep, incoming) => swept,
            }
        });
        drop(runtime);
        let world = judge::World {
            record: &self.record,
            store: self.disk.as_ref(),
            objects: self.objects.as_ref(),
        };
        let (summary, judged) = judge::judge(&world, self.runs, &[]);
        let (cuts, violation) = match swept {
            Ok(cuts) => (cuts, judged),
            Err(why) => (String::new(), Some(why)),
        };
        // Each ran whole, and no doubt was one.
        let starts = self.record.starts().len();
        let violation = violation.or_else(|| {
            let whole = starts == 2 * self.runs && self.record.doubts().is_empty();
            (!whole).then(|| format!("{starts} starts of {} runs of two steps", self.runs))
        });
        Outcome {
            lines: match violation {
                Some(_) => self.record.lines(),
                None => Vec::new(),
            },
            summary: format!("{cuts}; {summary}, {} s simulated", machine::elapsed().as_secs()),
            violation,
        }
    }

    async fn sweep(&mut self, sweep: Option<Sweep>, incoming: &Path) -> Result<String, String> {
        let (dialled, accepted) = mpsc::channel(BACKLOG);
        let cable = Cable::to(dialled);
        let shutdown = CancellationToken::new();
        let config = hosts::server(definition(), Arc::clone(&self.objects), incoming);
        let listener = Listener(Mutex::new(accepted));
        let disk: Arc<Disk> = Arc::clone(&self.disk);
        tokio::spawn(server::run_on(listener, config, disk, shutdown, || ()));
        let Some(Sweep {
            connection,
            way,
            step,
        }) = sweep
        else {
            self.conversation(&cable, None).await?;
            let carried = cable.carried();
            let carried = carried
                .iter()
                .map(|one| format!("{} up {} down", one.up, one.down));
            return Ok(format!("carried: {}", carried.collect::<Vec<_>>().join(", ")));
        };
        for (cuts, after) in (0..LONGEST).step_by(step.max(1)).enumerate() {
            let cut = Cut {
                connection,
                way,
                after,
            };
            self.record.fault(format_args!("{cut:?}"));
            self.conversation(&cable, Some(cut)).await?;
            if !cable.is_cut() {
                return Ok(format!(
                    "connection {connection}, {way}: {cuts} cuts, one every {step} bytes, the last after {} bytes",
                    step * cuts.saturating_sub(1)
                ));
            }
        }
        Err(format!("a conversation of more than {LONGEST} bytes"))
    }

    /// An agent comes, does one run and goes; what must be is so at its end.
    async fn conversation(&mut self, cable: &Cable, cut: Option<Cut>) -> Result<(), String> {
        cable.begin(cut);
        let leave = CancellationToken::new();
        let agent = self.agent(cable, leave.clone());
        let run = user::start(&cable.beside(), self.runs).await?;
        let run: RunId = run.parse().map_err(|error| format!("no run's id: {error}"))?;
        self.record.acknowledged(run.clone());
        for look in 0.. {
            if self.is_over(&run) {
                break;
            }
            if look == LOOKS {
                return Err(format!("{run} is not over, after {cut:?}"));
            }
            sleep(LOOK).await;
        }
        self.runs += 1;
        leave.cancel();
        let ended = agent.await;
        ended
            .map_err(|error| format!("the agent: {error}"))?
            .map_err(|error| format!("the agent: {error}"))
    }

    fn agent(&self, cable: &Cable, leave: CancellationToken) -> JoinHandle<Result<(), agent::AgentError>> {
        let surroundings = agent::Surroundings {
            dial: Arc::new(cable.clone()),
            runtime: Some(Arc::new(self.yard.clone())),
        };
        let config = hosts::agent(AGENT, self.data_dir());
        tokio::spawn(agent::run_in(surroundings, config, leave))
    }

    /// Each conversation's agent is a new one: what its spool holds of others would have to be read each time.
    fn data_dir(&self) -> PathBuf {
        self.dir.join(self.runs.to_string())
    }

    /// It has ended, and nothing is left of its attempts.
    fn is_over(&self, run: &RunId) -> bool {
        let head = self.disk.run(run).now_or_never().and_then(Result::ok).flatten();
        let ended = head.is_some_and(|head| head.outcome.is_some());
        let mut attempts = std::fs::read_dir(self.data_dir().join("attempts"))
            .into_iter()
            .flatten();
        ended && self.yard.left().is_empty() && attempts.next().is_none()
    }
}
