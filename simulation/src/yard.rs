//! A host's container runtime: containers that last as long as they say, outlive their agent, and are kept by the name of
//! their attempt's directory. It also is the witness of every start.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use runtime::{
    ArtifactEnd, ArtifactRecord, Attached, AttemptDir, ContainerSpec, Ended, ExitRecord, Found, Runtime,
    RuntimeError, Secrets, Stray, StreamRecord,
};
use types::{AttemptKey, LeaseToken};

use crate::{
    machine,
    record::{Left, Record, Start},
    work,
};

/// How often a container is looked at by who waits for it.
const LOOK: Duration = Duration::from_millis(50);
/// The longest that the machine takes before and after a start: a crash may fall in between.
const SLOW_MS: u64 = 60;
/// From TERM to the end.
const GRACE: Duration = Duration::from_millis(300);

#[derive(Debug)]
struct Container {
    token: LeaseToken,
    began: Duration,
    ends: Duration,
    /// None: it is ended by a signal.
    code: Option<i32>,
    /// The names of what it leaves, and how large that is.
    leaves: (Vec<String>, Option<usize>),
    record: Option<ExitRecord>,
}

impl Container {
    fn left(&self) -> Vec<u8> {
        work::left(&self.token, self.leaves.1)
    }
}

impl From<Vec<u8>> for Left {
    fn from(left: Vec<u8>) -> Self {
        Self {
            bytes: left.len() as u64,
            sum: work::sum(&left),
        }
    }
}

/// One host's containers. Cheap to clone; outlives the agent's process.
#[derive(Debug, Clone)]
pub struct Yard {
    host: &'static str,
    containers: Arc<Mutex<BTreeMap<PathBuf, Container>>>,
    record: Record,
    /// The planted bug: what is there is not found again.
    blind: bool,
}

impl Yard {
    /// An empty one.
    #[must_use]
    pub fn new(host: &'static str, record: Record, blind: bool) -> Self {
        Self {
            host,
            containers: Arc::default(),
            record,
            blind,
        }
    }

    /// Containers that were not removed.
    #[must_use]
    pub fn left(&self) -> Vec<LeaseToken> {
        self.containers().values().map(|one| one.token.clone()).collect()
    }

    fn containers(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Container>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, dir: &Path, spec: &ContainerSpec) -> Result<(), RuntimeError> {
        let order = Order::of(spec)?;
        fs_err::create_dir_all(dir.join("run")).map_err(told)?;
        fs_err::write(dir.join("out"), format!("{} begins\n", order.token)).map_err(told)?;
        fs_err::write(dir.join("run/output"), format!("token={}\n", order.token)).map_err(told)?;
        let got = match spec.files.is_empty() {
            true => None,
            false => Some(work::sum(
                &fs_err::read(AttemptDir::new(dir).file(0)).map_err(told)?,
            )),
        };
        self.record.started(Start {
            host: self.host,
            token: order.token.clone(),
            attempt: order.attempt,
            code: None,
            stopped: false,
            got,
            left: None,
        });
        let began = machine::now();
        let container = Container {
            token: order.token,
            began,
            ends: began + order.lasts,
            code: Some(order.code),
            leaves: (
                spec.artifacts.iter().map(|one| one.name.clone()).collect(),
                order.leaves,
            ),
            record: None,
        };
        self.containers().insert(dir.to_owned(), container);
        Ok(())
    }

    fn find(&self, dir: &Path) -> Result<Found, RuntimeError> {
        Ok(match self.look(dir)? {
            Some(ended) => Found::Ended(ended),
            None => Found::Running(Box::new(Handle {
                yard: self.clone(),
                dir: dir.to_owned(),
            })),
        })
    }

    /// How it ended; none while it runs.
    fn look(&self, dir: &Path) -> Result<Option<Ended>, RuntimeError> {
        let mut containers = self.containers();
        let Some(container) = containers.get_mut(dir) else {
            return Ok(Some(Ended::NeverStarted(String::new())));
        };
        if machine::now() < container.ends {
            return Ok(None);
        }
        if container.record.is_none() {
            container.record = Some(bury(dir, container).map_err(told)?);
            let left = container.leaves.0.first().map(|_| container.left());
            self.record
                .ended(self.host, &container.token, container.code, left.map(Left::from));
        }
        Ok(container
            .record
            .clone()
            .map(|record| Ended::Finished(Box::new(record))))
    }
}

/// The files of an end.
fn bury(dir: &Path, container: &Container) -> std::io::Result<ExitRecord> {
    let mut out = fs_err::OpenOptions::new().append(true).open(dir.join("out"))?;
    writeln!(out, "{} ends", container.token)?;
    let record = ExitRecord {
        code: container.code,
        signal: container.code.is_none().then_some(15),
        stopped: container.code.is_none(),
        started: true,
        duration_ms: u64::try_from((container.ends - container.began).as_millis()).unwrap_or(u64::MAX),
        stdout: StreamRecord {
            bytes: out.metadata()?.len(),
            ..StreamRecord::default()
        },
        artifacts: keep(dir, container)?,
        ..ExitRecord::default()
    };
    fs_err::write(dir.join("exit.json"), serde_json::to_vec(&record)?)?;
    Ok(record)
}

/// What it leaves, one after the other.
fn keep(dir: &Path, container: &Container) -> std::io::Result<Vec<ArtifactRecord>> {
    let (mut kept, mut records) = (Vec::new(), Vec::new());
    for name in &container.leaves.0 {
        let left = container.left();
        records.push(ArtifactRecord {
            name: name.clone(),
            end: ArtifactEnd::Kept {
                offset: kept.len() as u64,
                bytes: left.len() as u64,
                sha256: work::sum(&left),
                is_directory: false,
            },
        });
        kept.extend(left);
    }
    if !records.is_empty() {
        fs_err::write(AttemptDir::new(dir).artifacts(), kept)?;
    }
    Ok(records)
}

fn told(error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError(error.to_string())
}

async fn slow() {
    tokio::time::sleep(Duration::from_millis(machine::random() % SLOW_MS)).await;
}

#[async_trait]
impl Runtime for Yard {
    fn name(&self) -> &'static str {
        "native"
    }

    fn refuses(&self, _: &ContainerSpec) -> Option<String> {
        None
    }

    async fn offers(&self) -> BTreeSet<&'static str> {
        BTreeSet::new()
    }

    async fn start(&self, dir: &Path, spec: ContainerSpec, _: Secrets) -> Result<Found, RuntimeError> {
        slow().await;
        let is_there = self.containers().contains_key(dir);
        if !is_there || self.blind {
            self.run(dir, &spec)?;
        }
        slow().await;
        self.find(dir)
    }

    async fn adopt(&self, dir: &Path) -> Result<Found, RuntimeError> {
        slow().await;
        if self.blind {
            return Ok(Found::Ended(Ended::NeverStarted(String::new())));
        }
        self.find(dir)
    }

    async fn stop(&self, dir: &Path) -> Result<(), RuntimeError> {
        slow().await;
        if let Some(container) = self.containers().get_mut(dir)
            && container.record.is_none()
            && machine::now() + GRACE < container.ends
        {
            container.ends = machine::now() + GRACE;
            container.code = None;
        }
        Ok(())
    }

    async fn remove(&self, dir: &Path) -> Result<(), RuntimeError> {
        slow().await;
        if self.look(dir)?.is_none() {
            return Err(RuntimeError("it runs".to_owned()));
        }
        self.containers().remove(dir);
        match fs_err::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(told(error)),
            _ => Ok(()),
        }
    }

    async fn strays(&self) -> Result<Vec<Stray>, RuntimeError> {
        slow().await;
        let containers = self.containers();
        let astray = containers.iter().filter(|(dir, _)| !dir.exists());
        let stray = |(_, container): (&PathBuf, &Container)| Stray {
            id: container.token.to_string(),
            what: "a container".to_owned(),
        };
        Ok(astray.map(stray).collect())
    }

    async fn clear(&self, stray: &Stray) -> Result<(), RuntimeError> {
        slow().await;
        self.containers().retain(|dir, container| {
            let goes = container.token.as_str() == stray.id && !dir.exists();
            if goes && container.record.is_none() {
                self.record.ended(self.host, &container.token, None, None);
            }
            !goes
        });
        Ok(())
    }
}

struct Handle {
    yard: Yard,
    dir: PathBuf,
}

#[async_trait]
impl Attached for Handle {
    async fn wait(&self) -> Result<Ended, RuntimeError> {
        loop {
            if let Some(ended) = self.yard.look(&self.dir)? {
                return Ok(ended);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What a step asks for: `work MILLISECONDS CODE [BYTES]`, the latter of what it leaves.
struct Order {
    token: LeaseToken,
    attempt: AttemptKey,
    lasts: Duration,
    code: i32,
    leaves: Option<usize>,
}

impl Order {
    fn of(spec: &ContainerSpec) -> Result<Self, RuntimeError> {
        let variable = |name: &str| {
            let found = spec.env.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        let parts = || {
            let script = spec.argv.last()?;
            let mut words = script.split_whitespace().skip(1);
            Some(Self {
                token: variable("FIREHALL_TOKEN")?.parse().ok()?,
                attempt: AttemptKey {
                    run: variable("FIREHALL_RUN_ID")?.parse().ok()?,
                    step: variable("FIREHALL_STEP")?.to_owned(),
                    index: variable("FIREHALL_INDEX").and_then(|index| index.parse().ok()),
                    attempt: variable("FIREHALL_ATTEMPT")?.parse().ok()?,
                },
                lasts: Duration::from_millis(words.next()?.parse().ok()?),
                code: words.next()?.parse().ok()?,
                leaves: words.next().and_then(|bytes| bytes.parse().ok()),
            })
        };
        parts().ok_or_else(|| RuntimeError(format!("no work: {:?}", spec.argv)))
    }
}
