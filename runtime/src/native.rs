//! The agent's side: attempts by their directory.

use std::fs::{DirBuilder, File};
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use tokio::sync::watch;
use types::Secret;

use crate::attempt_dir::{AttemptDir, create_empty, empty, start_time};
use crate::cannot::{Cannot, cannot, looser};
use crate::cgroup::{self, Group, Layout};
use crate::forked::Forked;
use crate::forks::Forks;
use crate::go::Go;
use crate::ledger::{Ledger, Made};
use crate::shim::Job;
use crate::spares::Spares;
use crate::{
    ContainerSpec, ExitRecord, Image, ImageSource, Network, Rootfs, SpecError, egress, skeleton, spec, sys,
};

/// Secret environment: name and value.
pub type Secrets = Vec<(String, Secret)>;

/// How long a new shim may take to write its name into the lock file.
const SIGN: Duration = Duration::from_secs(5);
/// How long the processes of a dead shim may take to follow it.
const FOLLOW: Duration = Duration::from_secs(5);

/// The program that is executed as the shim; the attempt's directory is appended to its arguments.
#[derive(Debug, Clone)]
pub struct ShimCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments before the directory.
    pub args: Vec<String>,
}

impl ShimCommand {
    /// This very program as `… shim DIR`. By `/proc/self/exe`, so an agent whose file was replaced by an upgrade goes on
    /// with shims of its own version.
    #[must_use]
    pub fn current() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            args: vec!["shim".to_owned()],
        }
    }
}

/// The native runtime of one agent. Cheap to clone.
#[derive(Clone)]
pub struct Native {
    inner: Arc<Inner>,
    /// None: no images but the host's own system.
    pub(crate) images: Option<Arc<dyn ImageSource>>,
}

struct Inner {
    skeleton: PathBuf,
    shim: ShimCommand,
    forks: Forks,
    layout: Layout,
    ledger: Ledger,
    spares: Spares,
    /// Shims that this process executed: they are its children and must be waited for.
    children: Mutex<Vec<Child>>,
    /// Told of each wish to stop: one that waits for its image then looks for its own.
    stops: watch::Sender<()>,
}

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Native")
            .field("skeleton", &self.inner.skeleton)
            .finish_non_exhaustive()
    }
}

/// What a shim inherits beside the lock.
struct Inherited {
    log: File,
    secrets: File,
}

/// What became of a start.
enum Launched {
    /// A shim.
    Shim(OwnedFd),
    /// Nothing: somebody else's start was before it.
    Before(Adopted),
}

/// An attempt whose shim lives.
#[derive(Debug)]
pub struct Handle {
    native: Native,
    dir: AttemptDir,
    pidfd: OwnedFd,
    /// The image's lock until the shim has its own, and longer.
    _hold: Option<File>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With its record.
    Finished(Box<ExitRecord>),
    /// Certainly without executing anything: it may be started again. The shim's last words, if any.
    NeverStarted(String),
    /// It may have run, and nobody knows how it ended. Its processes are gone.
    Lost,
}

/// What was found in an attempt's directory.
#[derive(Debug)]
pub enum Adopted {
    /// Its shim lives.
    Running(Handle),
    /// It ended.
    Ended(Ended),
}

/// Why the runtime could not do it.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// The spec cannot be run.
    #[error("the step cannot be run here: {0}")]
    Spec(#[from] SpecError),
    /// This host has no cgroups that we can use.
    #[error("no usable cgroups: {0}")]
    Cgroups(String),
    /// It may not begin.
    #[error("it was made ready, and did not get leave to begin")]
    NotGiven,
    /// The attempt's shim lives: stop it first.
    #[error("the attempt is still running")]
    Running,
    /// The machine refused.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The cause.
        #[source]
        cause: io::Error,
    },
}

pub(crate) fn failed(what: &'static str) -> impl FnOnce(io::Error) -> NativeError {
    move |cause| NativeError::Io { what, cause }
}

impl Native {
    /// Opens the runtime on a directory of the agent's own (made 0700) and builds the root that all steps share. It has
    /// no images but the host's own system; see [`Native::with_images`].
    ///
    /// # Errors
    /// The directory cannot be written, or the host has no usable cgroups. [`Native::probe`] says more.
    pub fn open(state: &Path, shim: ShimCommand) -> Result<Self, NativeError> {
        let layout = cgroup::detect().map_err(NativeError::Cgroups)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state)
            .map_err(failed("cannot make the state directory"))?;
        let skeleton = skeleton::ensure(state).map_err(failed("cannot build the steps' root"))?;
        let skeleton = fs_err::canonicalize(skeleton).map_err(failed("cannot find the steps' root"))?;
        Ok(Self {
            inner: Arc::new(Inner {
                skeleton,
                forks: Forks::new(shim.clone()),
                shim,
                layout,
                ledger: Ledger::open(state).map_err(failed("cannot open the state directory"))?,
                spares: Spares::open(state.join("spare"))
                    .map_err(failed("cannot open the state directory"))?,
                children: Mutex::default(),
                stops: watch::Sender::new(()),
            }),
            images: None,
        })
    }

    /// The same with images.
    #[must_use]
    pub fn with_images(self, images: Arc<dyn ImageSource>) -> Self {
        Self {
            images: Some(images),
            ..self
        }
    }

    /// Wakes whoever waits for an image when somebody is stopped.
    pub(crate) fn stops(&self) -> watch::Receiver<()> {
        self.inner.stops.subscribe()
    }

    /// Starts an attempt in `dir`, which is made (0700) when it is missing; its parent must exist.
    ///
    /// Idempotent by the directory: one that runs is adopted, one that ended (or is lost) is returned as such, and
    /// nothing is started twice. Returns once the shim has all it needs; everything after that is in the record.
    /// Blocks for about a millisecond.
    ///
    /// # Errors
    /// The spec or a secret's name is refused, or no shim can be started: nothing has run then.
    pub fn start(&self, dir: &Path, spec: &ContainerSpec, secrets: &Secrets) -> Result<Adopted, NativeError> {
        self.start_on(dir, spec, None, secrets, Go::now())
    }

    /// As [`Native::start`], on an image's root, with the lock on it, when it may begin.
    ///
    /// # Errors
    /// As [`Native::start`]; or it may not begin.
    pub fn start_on(
        &self,
        dir: &Path,
        spec: &ContainerSpec,
        rootfs: Option<(Rootfs, File)>,
        secrets: &Secrets,
        go: Go,
    ) -> Result<Adopted, NativeError> {
        spec.validate()?;
        self.can(spec)?;
        for (name, value) in secrets {
            spec::validate_env(name, value.expose().as_bytes())?;
        }
        self.reap();
        if !self.inner.spares.take(dir) {
            make_attempt_dir(dir)?;
        }
        let files = AttemptDir::new(dir);
        let lock = match self.whose(&files)? {
            Whose::Ours(lock) => lock,
            Whose::Shim(pidfd) => return Ok(Adopted::Running(self.handle(&files, pidfd, None))),
        };
        empty(&lock).map_err(failed("cannot clear the lock file"))?;
        match self.ended(&files)? {
            Ended::NeverStarted(_) => {}
            ended => return Ok(Adopted::Ended(ended)),
        }
        // Noted before anything is made, and until all of it is gone.
        let made = self.inner.ledger.attempt(&spec.id);
        if made
            .map_err(failed("cannot read which cgroups were made"))?
            .is_some()
        {
            self.end_all(&spec.id, dir)?;
        }
        self.inner
            .ledger
            .note(&spec.id, dir, self.inner.layout.part())
            .map_err(failed("cannot note which cgroup is made"))?;
        if spec.network == Network::Egress {
            egress::ensure_rules().map_err(failed("cannot set the rules for network: egress"))?;
        }
        let (rootfs, hold) = rootfs.unzip();
        let job = self
            .prepare(&files, spec, rootfs.as_ref(), secrets)
            .map_err(failed("cannot start the shim"))?;
        if !go.given_blocking() {
            return Err(NativeError::NotGiven);
        }
        let started = self.launch(&files, lock, &job)?;
        failpoint::reach("create.spawned");
        match started {
            Launched::Shim(pidfd) => Ok(Adopted::Running(self.handle(&files, pidfd, hold))),
            Launched::Before(Adopted::Running(handle)) => Ok(Adopted::Running(Handle {
                _hold: hold,
                ..handle
            })),
            Launched::Before(ended) => Ok(ended),
        }
    }

    /// Whether this runtime can do at all what is asked.
    pub(crate) fn can(&self, spec: &ContainerSpec) -> Result<(), SpecError> {
        if matches!(spec.image, Image::Oci(_)) && self.images.is_none() {
            return Err(spec::fault(
                "image",
                "this agent keeps no images: it runs image: host only",
            ));
        }
        if spec.network == Network::Egress {
            egress::supported().map_err(|why| spec::fault("network", why))?;
        }
        match self.cannot().into_iter().find(|cannot| cannot.is_asked_by(spec)) {
            Some(Cannot { field, why, .. }) => Err(spec::fault(field, why)),
            None => Ok(()),
        }
    }

    /// What no step can have here as things are, whatever the agent's policy says.
    #[must_use]
    pub fn cannot(&self) -> Vec<Cannot> {
        cannot(&self.inner.layout)
    }

    /// Which limits do not hold a step as a whole here, for people; none where all do.
    #[must_use]
    pub fn looser(&self) -> Option<String> {
        looser(&self.inner.layout)
    }

    /// The files that the shim reads, and those that it inherits.
    fn prepare(
        &self,
        files: &AttemptDir,
        spec: &ContainerSpec,
        rootfs: Option<&Rootfs>,
        secrets: &Secrets,
    ) -> io::Result<Inherited> {
        let job = Job {
            spec: spec.clone(),
            skeleton: self.inner.skeleton.clone(),
            rootfs: rootfs.cloned(),
            layout: Some(self.inner.layout.clone()),
        };
        let json = serde_json::to_vec_pretty(&job)?;
        create_empty(&files.job())?.write_all(&json)?;
        Ok(Inherited {
            log: create_empty(&files.shim_log())?,
            secrets: in_memory(secrets)?,
        })
    }

    /// Forks the shim, or executes it. It inherits the lock as its standard input and the secrets as its standard output; its
    /// environment is empty.
    fn launch(&self, files: &AttemptDir, mut lock: File, with: &Inherited) -> Result<Launched, NativeError> {
        // Without root it may have to be found by its command line, whole as it is after it was executed.
        if matches!(self.inner.layout, Layout::V1 { .. } | Layout::V2 { .. }) {
            match self
                .inner
                .forks
                .fork(files.path(), [&lock, &with.secrets, &with.log])
            {
                Ok(pidfd) => return Ok(Launched::Shim(pidfd)),
                Err(error) => tracing::warn!(%error, "a shim cannot be forked: it is executed"),
            }
            // Only who holds the lock may start it: one that was forked all the same has it.
            drop(lock);
            match self.settle(files)? {
                Adopted::Ended(Ended::NeverStarted(_)) => {}
                other => return Ok(Launched::Before(other)),
            }
            let Some(again) = files.try_lock().map_err(failed("cannot lock the attempt"))? else {
                return self.settle(files).map(Launched::Before);
            };
            lock = again;
            lock.set_len(0).map_err(failed("cannot clear the lock file"))?;
        }
        let mut child = self
            .execute(files, lock, with)
            .map_err(failed("cannot start the shim"))?;
        let pidfd = sys::pidfd_open(child.id().cast_signed()).map_err(|error| {
            // Nobody could watch it. It has just begun and has made nothing yet; both fail only where it is gone.
            let _gone = child.kill();
            let _gone = child.wait();
            failed("cannot watch the shim")(error)
        })?;
        self.inner
            .children
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(child);
        Ok(Launched::Shim(pidfd))
    }

    fn execute(&self, files: &AttemptDir, lock: File, with: &Inherited) -> io::Result<Child> {
        let mut shim = Command::new(&self.inner.shim.program);
        shim.args(&self.inner.shim.args).arg(files.path()).env_clear();
        failpoint::pass_on(&mut shim);
        shim.current_dir("/")
            .stdin(Stdio::from(lock))
            .stdout(Stdio::from(with.secrets.try_clone()?))
            .stderr(Stdio::from(with.log.try_clone()?))
            .spawn()
    }

    /// What lives or lies in an attempt's directory, after a restart of the agent for instance.
    ///
    /// # Errors
    /// The directory cannot be read, or holds a record that is not one.
    pub fn adopt(&self, dir: &Path) -> Result<Adopted, NativeError> {
        let files = AttemptDir::new(dir);
        if !dir.exists() {
            return Ok(Adopted::Ended(Ended::NeverStarted(String::new())));
        }
        self.settle(&files)
    }

    /// Finds the living shim, or how it ended without one.
    fn settle(&self, files: &AttemptDir) -> Result<Adopted, NativeError> {
        match self.whose(files)? {
            Whose::Ours(_lock) => Ok(Adopted::Ended(self.ended(files)?)),
            Whose::Shim(pidfd) => Ok(Adopted::Running(self.handle(files, pidfd, None))),
        }
    }

    fn handle(&self, files: &AttemptDir, pidfd: OwnedFd, hold: Option<File>) -> Handle {
        Handle {
            native: self.clone(),
            dir: files.clone(),
            pidfd,
            _hold: hold,
        }
    }

    /// Takes the attempt's lock, or finds the living shim that has it. For a moment nobody may seem to: a process that this one
    /// forks meanwhile has a copy of the lock until it executes its program.
    fn whose(&self, files: &AttemptDir) -> Result<Whose, NativeError> {
        let deadline = crate::clock::boot() + SIGN;
        loop {
            if let Some(lock) = files.try_lock().map_err(failed("cannot lock the attempt"))? {
                return Ok(Whose::Ours(lock));
            }
            match find_shim(files).map_err(failed("cannot find the shim"))? {
                Shim::Alive(pidfd) => return Ok(Whose::Shim(pidfd)),
                // It was killed while it made the container: what it forked holds its lock and waits for ever.
                Shim::Dead => {
                    if let Some(id) = job_id(files) {
                        self.end_all(&id, files.path())?;
                    }
                }
                Shim::Unsigned => {}
            }
            if crate::clock::boot() >= deadline {
                let cause = io::Error::other("its lock is held, but no living shim has signed it");
                return Err(failed("cannot adopt the attempt")(cause));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How an attempt without a living shim ended; its lock is ours meanwhile.
    fn ended(&self, files: &AttemptDir) -> Result<Ended, NativeError> {
        if let Some(record) = files
            .exit_record()
            .map_err(failed("cannot read the exit record"))?
        {
            return Ok(Ended::Finished(Box::new(record)));
        }
        if files.started().exists() {
            if let Some(id) = job_id(files) {
                self.end_all(&id, files.path())?;
            }
            return Ok(Ended::Lost);
        }
        Ok(Ended::NeverStarted(
            std::fs::read_to_string(files.shim_log())
                .unwrap_or_default()
                .trim()
                .to_owned(),
        ))
    }

    /// Asks for an attempt's end: TERM, its grace, KILL, carried out by the shim. One that has not started yet will not;
    /// one that ended already is no error. Wait for the end as usual.
    ///
    /// # Errors
    /// The wish cannot be written or sent.
    pub fn stop(&self, dir: &Path) -> Result<(), NativeError> {
        let files = AttemptDir::new(dir);
        // First the wish, then the signal: a shim that has not signed yet reads the wish before it starts anything.
        File::create(files.stop()).map_err(failed("cannot write the stop wish"))?;
        self.inner.stops.send_replace(());
        if let Shim::Alive(pidfd) = find_shim(&files).map_err(failed("cannot find the shim"))? {
            sys::pidfd_signal(&pidfd, Signal::SIGTERM).map_err(failed("cannot signal the shim"))?;
        }
        Ok(())
    }

    /// Removes all that an ended attempt left: what lives in its cgroup, the cgroup, the directory. Nothing there is
    /// fine.
    ///
    /// # Errors
    /// It is still running, or something cannot be removed.
    pub fn remove(&self, dir: &Path) -> Result<(), NativeError> {
        self.reap();
        let files = AttemptDir::new(dir);
        if !dir.exists() {
            return Ok(());
        }
        let Whose::Ours(lock) = self.whose(&files)? else {
            return Err(NativeError::Running);
        };
        let id = job_id(&files);
        // What a lost one left is ended before its files go. How it ended does not matter any more, nor whether that can be read.
        if let Some(id) = &id {
            self.end_all(id, dir)?;
        }
        // One that cannot be emptied says why when it is removed.
        if !matches!(self.inner.spares.keep_dir(dir, &lock), Ok(true)) {
            fs_err::remove_dir_all(dir).map_err(failed("cannot remove the attempt's directory"))?;
        }
        match id {
            Some(id) => self
                .inner
                .ledger
                .forget(&id)
                .map_err(failed("cannot forget a cgroup")),
            None => Ok(()),
        }
    }

    /// An attempt's cgroup in every hierarchy that any step may use; none where processes are all that it has.
    fn group(&self, id: &str) -> Result<Option<Group>, NativeError> {
        let cannot_open = || failed("cannot open the cgroups");
        let layout = self.layout_of(id)?;
        if matches!(layout, Layout::None(_)) {
            return Ok(None);
        }
        let cpu = matches!(&layout, Layout::V1 { cpu: Some(_), .. });
        match Group::open(&layout, id, cpu) {
            // The part of another agent's life is gone, with all that was in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && layout != self.inner.layout => Ok(None),
            opened => opened.map(Some).map_err(cannot_open()),
        }
    }

    /// Where its cgroup was made: this agent may have been given another part than the one before it.
    fn layout_of(&self, id: &str) -> Result<Layout, NativeError> {
        let own = &self.inner.layout;
        let made = self.ledger().attempt(id);
        Ok(
            match made.map_err(failed("cannot read which cgroups were made"))? {
                Some(Made { part: Some(part), .. }) => Layout::Delegated(part),
                Some(Made { part: None, .. }) if matches!(own, Layout::Delegated(_)) => {
                    Layout::None("it was started without".to_owned())
                }
                _ => own.clone(),
            },
        )
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Ends what is left of an attempt whose shim is gone, and waits until it is.
    pub(crate) fn end_all(&self, id: &str, dir: &Path) -> Result<(), NativeError> {
        let Some(group) = self.group(id)? else {
            // Whatever else lived is in the pid namespace of one of these.
            let forked = self.forked(dir)?;
            return forked
                .end(FOLLOW)
                .map_err(failed("cannot end the step's processes"));
        };
        group
            .destroy(FOLLOW)
            .map_err(failed("cannot remove the step's cgroup"))
    }

    /// What an attempt without a directory still has, for people; none when nothing of it is there.
    pub(crate) fn remains(&self, id: &str, dir: &Path) -> Result<Option<String>, NativeError> {
        let Some(group) = self.group(id)? else {
            let count = self.forked(dir)?.count();
            return Ok((count > 0).then(|| format!("{count} processes")));
        };
        let lives = group.lives().map_err(failed("cannot look into a cgroup"))?;
        Ok(lives.map(|count| format!("a cgroup with {count} processes")))
    }

    fn forked(&self, dir: &Path) -> Result<Forked, NativeError> {
        Forked::of(&self.inner.shim, dir).map_err(failed("cannot look for processes"))
    }

    /// Waits for those of our shims that have ended, so that none stays a zombie.
    fn reap(&self) {
        let mut children = self.inner.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}

impl Handle {
    /// The attempt's files.
    #[must_use]
    pub fn dir(&self) -> &AttemptDir {
        &self.dir
    }

    /// Waits for the shim's end without polling. May be dropped and called again.
    ///
    /// # Errors
    /// The process cannot be watched, or its record cannot be read.
    pub async fn wait(&self) -> Result<Ended, NativeError> {
        let mut pidfd = self.pidfd.try_clone().map_err(failed("cannot watch the shim"))?;
        loop {
            sys::process_ended(&pidfd)
                .await
                .map_err(failed("cannot watch the shim"))?;
            self.native.reap();
            match self.native.settle(&self.dir)? {
                Adopted::Ended(ended) => return Ok(ended),
                // Somebody started it anew, which only one that never started allows.
                Adopted::Running(again) => pidfd = again.pidfd,
            }
        }
    }

    /// As [`Native::stop`].
    ///
    /// # Errors
    /// As [`Native::stop`].
    pub fn stop(&self) -> Result<(), NativeError> {
        self.native.stop(self.dir.path())
    }
}

/// Makes it, or finds it.
pub(crate) fn make_attempt_dir(dir: &Path) -> Result<(), NativeError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("cannot make the attempt's directory")(error))
        }
        _ => Ok(()),
    }
}

/// Who has an attempt's lock.
enum Whose {
    /// This process now.
    Ours(File),
    /// A living shim.
    Shim(OwnedFd),
}

/// Who the lock file names.
enum Shim {
    /// Nobody yet.
    Unsigned,
    /// A shim that is gone.
    Dead,
    /// A living one.
    Alive(OwnedFd),
}

fn find_shim(files: &AttemptDir) -> io::Result<Shim> {
    let Some(id) = files.shim_id()? else {
        return Ok(Shim::Unsigned);
    };
    let pidfd = match sys::pidfd_open(id.pid) {
        Ok(pidfd) => pidfd,
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(Shim::Dead),
        Err(error) => return Err(error),
    };
    // Compared after the descriptor was opened: from then on the number cannot lead to another process.
    if start_time(id.pid) == Some(id.start_time) {
        Ok(Shim::Alive(pidfd))
    } else {
        Ok(Shim::Dead)
    }
}

/// The attempt's id from `job.json`; none when it did not come that far.
fn job_id(files: &AttemptDir) -> Option<String> {
    let job: Job = serde_json::from_slice(&std::fs::read(files.job()).ok()?).ok()?;
    spec::validate_id(&job.spec.id).is_ok().then_some(job.spec.id)
}

/// Secrets go to the shim in memory only: no argument, no environment, no file.
fn in_memory(secrets: &Secrets) -> io::Result<File> {
    let plain: Vec<(&str, &str)> = secrets
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    let mut memory = File::from(memfd_create(c"firehall-secrets", MFdFlags::MFD_CLOEXEC)?);
    let mut json = serde_json::to_vec(&plain)?;
    memory.write_all(&json)?;
    json.fill(0);
    memory.rewind()?;
    Ok(memory)
}
