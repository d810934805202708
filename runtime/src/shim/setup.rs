//! The shim's own process: what it inherits, and what it makes of itself.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, dup2_stdin, dup2_stdout, geteuid, setsid};

use crate::attempt_dir::{AttemptDir, empty, start_time};
use crate::cgroup::{self, Layout};
use crate::{ContainerSpec, Rootfs, sys};

/// Secrets arrive in one memory file; more than this is a mistake.
const SECRETS_BYTES: u64 = 16 * 1024 * 1024;

/// The shim's process and what it holds.
pub(super) struct Shim {
    /// The attempt's directory by a descriptor: it stays reachable whatever is mounted over its path.
    pub dir: AttemptDir,
    /// The same by its path.
    pub path: PathBuf,
    _dir: OwnedFd,
    /// The lock; held until this process ends.
    _lock: File,
    /// SIGTERM (the wish to stop) and SIGCHLD.
    pub signals: SignalFd,
    /// What to run.
    pub spec: ContainerSpec,
    /// Secret environment, name and value.
    pub secrets: Vec<(String, String)>,
    /// Where the shared root is.
    pub skeleton: PathBuf,
    /// The image, when it does not run on the host's own system.
    pub rootfs: Option<Rootfs>,
    /// Where its group is made.
    pub layout: Layout,
    /// Whether it is an ordinary user's: it does with namespaces of its own what root does without.
    pub rootless: bool,
}

impl Shim {
    /// Where the program starts: where the step says, else where the image says, else where it may write.
    pub(super) fn workdir(&self) -> &str {
        let says = self.rootfs.as_ref().map(|rootfs| rootfs.workdir.as_str());
        let image = says.filter(|dir| dir.starts_with('/') && *dir != "/");
        self.spec.workdir.as_deref().or(image).unwrap_or("/tmp")
    }
}

/// `job.json`.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Job {
    pub spec: ContainerSpec,
    pub skeleton: PathBuf,
    #[serde(default)]
    pub rootfs: Option<Rootfs>,
    /// Where the step's group is made. None in what versions wrote that had each shim look for itself.
    #[serde(default)]
    pub layout: Option<Layout>,
}

pub(super) fn setup(dir: &Path) -> io::Result<Shim> {
    // Signals first: a stop that comes early waits, it does not kill the shim.
    let signals = block_signals()?;
    let lock = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut memory = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    // A core dump or a debugger would show the secrets.
    prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setsid()?;
    prctl::set_child_subreaper(true)?;
    umask(Mode::from_bits_truncate(0o022));
    let handle = OwnedFd::from(fs_err::File::open(dir)?.into_file());
    let path = fs_err::canonicalize(dir)?;
    let dir = AttemptDir::new(format!("/proc/self/fd/{}", handle.as_raw_fd()));
    chdir("/")?;
    sign(&lock)?;
    let job: Job = serde_json::from_slice(&std::fs::read(dir.job())?).map_err(io::Error::other)?;
    memory.rewind()?;
    let mut text = Vec::new();
    memory.take(SECRETS_BYTES).read_to_end(&mut text)?;
    let secrets = serde_json::from_slice(&text)
        .map_err(|_| io::Error::other("the secrets are not in the memory file"))?;
    text.fill(0);
    Ok(Shim {
        dir,
        path,
        _dir: handle,
        _lock: lock,
        signals,
        spec: job.spec,
        secrets,
        skeleton: job.skeleton,
        rootfs: job.rootfs,
        layout: match job.layout {
            Some(layout) => layout,
            None => cgroup::detect().map_err(io::Error::other)?,
        },
        rootless: !geteuid().is_root(),
    })
}

/// Writes who we are into the lock file, so that an agent that adopts knows whom to signal.
fn sign(mut lock: &File) -> io::Result<()> {
    let pid = std::process::id();
    let start =
        start_time(pid.cast_signed()).ok_or_else(|| io::Error::other("/proc/self/stat has no start time"))?;
    empty(lock)?;
    lock.rewind()?;
    lock.write_all(format!("{pid} {start}\n").as_bytes())
}

fn block_signals() -> io::Result<SignalFd> {
    let mut all = SigSet::all();
    // Ours to crash by.
    for signal in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGFPE,
        Signal::SIGABRT,
    ] {
        all.remove(signal);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), None)?;
    sys::close_from(3, None)?;
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGTERM);
    wanted.add(Signal::SIGCHLD);
    Ok(SignalFd::with_flags(
        &wanted,
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?)
}
