//! The step's own cgroup, version 1 or 2: only memory, pids and the account of processor time, and cpu when it is
//! asked for. Root makes them at the top; an ordinary user in the part of version 2 that it was given.
//!
//! We keep it ourselves and hide the hierarchies from libcontainer, which on version 1 would join every one of them.
//! All paths go through descriptors of the mounted roots: the shim later covers `/sys/fs/cgroup` in its own mount
//! namespace.

mod delegated;
mod detect;
mod v1;
mod v2;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::Pid;

pub(crate) use delegated::Delegated;
pub(crate) use detect::{Layout, detect};

/// The parent of every step's cgroup, in each hierarchy.
const PARENT: &str = "firehall";

/// What a step may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub memory_bytes: u64,
    /// Our pid 1 included.
    pub pids: u64,
    pub cpu_millis: Option<u32>,
}

/// What a step used, and what the kernel says of its limits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts {
    pub oom_kills: u32,
    pub peak_memory_bytes: u64,
    /// Of everything that ever was in the group.
    pub cpu: Duration,
    pub memory_limit: Option<u64>,
    pub pids_limit: Option<u64>,
}

/// One hierarchy's mounted root, or the part of it that we were given.
#[derive(Debug)]
struct Hierarchy {
    root: File,
    /// The same in `/proc/PID/cgroup`.
    path: PathBuf,
}

impl Hierarchy {
    fn open(mount_point: &Path) -> io::Result<Self> {
        Self::open_at(mount_point, Path::new("/"))
    }

    fn open_at(dir: &Path, path: &Path) -> io::Result<Self> {
        Ok(Self {
            root: fs_err::File::open(dir)?.into_file(),
            path: path.to_path_buf(),
        })
    }

    /// The directory of one of its groups, by what `/proc/PID/cgroup` says.
    fn dir(&self, path: &str) -> io::Result<PathBuf> {
        let root = PathBuf::from(format!("/proc/self/fd/{}", self.root.as_raw_fd()));
        match Path::new(path).strip_prefix(&self.path) {
            Ok(below) => Ok(root.join(below)),
            Err(_) => Err(io::Error::other(format!(
                "this process was moved to the cgroup {path}, out of {}",
                self.path.display()
            ))),
        }
    }

    fn parent(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{PARENT}", self.root.as_raw_fd()))
    }

    fn group(&self, id: &str) -> PathBuf {
        self.parent().join(id)
    }
}

/// A step's cgroup in the hierarchies it needs.
#[derive(Debug)]
pub(crate) struct Group {
    id: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    V1 {
        memory: Hierarchy,
        pids: Hierarchy,
        cpu: Option<Hierarchy>,
        /// None where the cpu hierarchy keeps the account too.
        acct: Option<Hierarchy>,
    },
    V2(Hierarchy),
    Delegated(Hierarchy, Delegated),
    /// No group at all: what the kernel knows of this process's children has to do.
    None,
}

impl Group {
    /// The group of an attempt, whether it exists or not. `cpu` asks for the cpu controller too.
    pub(crate) fn open(layout: &Layout, id: &str, cpu: bool) -> io::Result<Self> {
        let kind = match layout {
            Layout::V1 {
                memory,
                pids,
                cpu: mount,
                acct,
            } => Kind::V1 {
                memory: Hierarchy::open(memory)?,
                pids: Hierarchy::open(pids)?,
                cpu: match (cpu, mount) {
                    (false, _) => None,
                    (true, Some(mount)) => Some(Hierarchy::open(mount)?),
                    (true, None) => {
                        return Err(io::Error::other(
                            "a cpu limit is asked for, but this host has no cpu cgroup",
                        ));
                    }
                },
                acct: match acct {
                    Some(acct) if !(cpu && Some(acct) == mount.as_ref()) => Some(Hierarchy::open(acct)?),
                    _ => None,
                },
            },
            Layout::V2 { root } => Kind::V2(Hierarchy::open(root)?),
            Layout::Delegated(part) => {
                Kind::Delegated(Hierarchy::open_at(&part.dir, &part.path)?, part.clone())
            }
            Layout::None(_) => Kind::None,
        };
        Ok(Self {
            id: id.to_owned(),
            kind,
        })
    }

    /// Whether it is one; if not, limits are each process's own.
    pub(crate) const fn is_there(&self) -> bool {
        !matches!(self.kind, Kind::None)
    }

    fn dirs(&self) -> Vec<PathBuf> {
        self.hierarchies()
            .iter()
            .map(|(_, hierarchy)| hierarchy.group(&self.id))
            .collect()
    }

    /// Makes it, empty and with fresh counters.
    pub(crate) fn create(&self) -> io::Result<()> {
        for dir in self.dirs() {
            make_dir(&dir)?;
        }
        // Now that it is there, nobody takes its parent away.
        match &self.kind {
            Kind::V2(root) => v2::pass_on(root),
            Kind::Delegated(root, part) => part.pass_on(&root.parent()),
            Kind::V1 { .. } | Kind::None => Ok(()),
        }
    }

    /// Does something with this process inside the group, so that its children are born there, and comes back. It must have one
    /// thread.
    pub(crate) fn visit<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let own = std::fs::read_to_string("/proc/self/cgroup")?;
        let hierarchies = self.hierarchies();
        let mut homes = Vec::new();
        for (controller, hierarchy) in &hierarchies {
            let path = own_path(&own, controller).ok_or_else(|| {
                io::Error::other(format!("/proc/self/cgroup has no line for {controller:?}"))
            })?;
            homes.push(hierarchy.dir(path)?);
        }
        for (_, hierarchy) in &hierarchies {
            self.join(&hierarchy.group(&self.id))?;
        }
        let done = work();
        for home in homes {
            self.join(&home)?;
        }
        Ok(done)
    }

    /// Moves this process. In version 1 as its only thread, by the number 0: for that alone the kernel does not stop all forks and
    /// ends of processes, which takes it a grace period of RCU, milliseconds (`cgroup_procs_write_start`). Version 2 has no such way.
    fn join(&self, dir: &Path) -> io::Result<()> {
        match &self.kind {
            Kind::V1 { .. } => write(&dir.join("tasks"), "0"),
            _ => write(&dir.join("cgroup.procs"), &std::process::id().to_string()),
        }
    }

    /// The hierarchies with the controller that names each in `/proc/self/cgroup`; version 2 has an empty name.
    fn hierarchies(&self) -> Vec<(&'static str, &Hierarchy)> {
        match &self.kind {
            Kind::V1 {
                memory,
                pids,
                cpu,
                acct,
            } => {
                let both = [("memory", memory), ("pids", pids)];
                let cpu = cpu.as_ref().map(|cpu| ("cpu", cpu));
                let acct = acct.as_ref().map(|acct| ("cpuacct", acct));
                both.into_iter().chain(cpu).chain(acct).collect()
            }
            Kind::V2(root) | Kind::Delegated(root, _) => vec![("", root)],
            Kind::None => Vec::new(),
        }
    }

    /// Sets the limits.
    pub(crate) fn limit(&self, limits: Limits) -> io::Result<()> {
        match &self.kind {
            Kind::V1 {
                memory, pids, cpu, ..
            } => {
                let cpu = cpu.as_ref().map(|cpu| cpu.group(&self.id));
                v1::limit(&memory.group(&self.id), &pids.group(&self.id), cpu, limits)
            }
            Kind::V2(root) | Kind::Delegated(root, _) => v2::limit(&root.group(&self.id), limits),
            Kind::None => Ok(()),
        }
    }

    /// What the kernel counted.
    pub(crate) fn facts(&self) -> io::Result<Facts> {
        match &self.kind {
            Kind::V1 {
                memory,
                pids,
                cpu,
                acct,
            } => {
                let acct = acct.as_ref().or(cpu.as_ref()).map(|acct| acct.group(&self.id));
                v1::facts(&memory.group(&self.id), &pids.group(&self.id), acct)
            }
            Kind::V2(root) | Kind::Delegated(root, _) => v2::facts(&root.group(&self.id)),
            Kind::None => Ok(children()?),
        }
    }

    /// How many processes live in it; none when it does not exist.
    pub(crate) fn lives(&self) -> io::Result<Option<usize>> {
        let mut found = None;
        for dir in self.dirs().into_iter().filter(|dir| dir.exists()) {
            found = found.max(Some(members(&dir)?.len()));
        }
        Ok(found)
    }

    /// Kills what is in it, waits until it is empty, removes it. Nothing to remove is fine.
    pub(crate) fn destroy(&self, wait: Duration) -> io::Result<()> {
        let deadline = crate::clock::boot() + wait;
        for dir in self.dirs() {
            loop {
                for pid in members(&dir)? {
                    // A process that ended meanwhile is what we want; nothing else can go wrong for root.
                    let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
                match std::fs::remove_dir(&dir) {
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    Err(error) if crate::clock::boot() >= deadline => {
                        return Err(io::Error::new(
                            error.kind(),
                            format!("cgroup {} stays: {error}", self.id),
                        ));
                    }
                    Err(_) => std::thread::sleep(Duration::from_micros(500)),
                }
            }
            if let Some(parent) = dir.parent() {
                // Not empty while other steps run; the last one takes it away.
                let _kept = std::fs::remove_dir(parent);
            }
        }
        Ok(())
    }
}

/// Makes a group below the shared parent, which another step's end may remove at any moment.
fn make_dir(dir: &Path) -> io::Result<()> {
    let mut last = io::Error::other("no try");
    for _ in 0..100 {
        if let Some(parent) = dir.parent()
            && let Err(error) = std::fs::create_dir(parent)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        match std::fs::create_dir(dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A left-over of a start that never came to a container: it must be empty, and its counters go.
                std::fs::remove_dir(dir)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// What this process's children used that have ended, and theirs that they waited for (getrusage(2)).
fn children() -> io::Result<Facts> {
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: TimeVal| u64::try_from(time.num_microseconds()).unwrap_or(0);
    Ok(Facts {
        cpu: Duration::from_micros(micros(used.user_time()) + micros(used.system_time())),
        // Of the largest of them, in KiB.
        peak_memory_bytes: u64::try_from(used.max_rss()).unwrap_or(0) * 1024,
        ..Facts::default()
    })
}

/// The path behind `N:controllers:path` (cgroups(7)).
fn own_path<'a>(text: &'a str, controller: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (names, path) = line.split_once(':')?.1.split_once(':')?;
        names.split(',').any(|name| name == controller).then_some(path)
    })
}

/// Pids in a group as this process sees them; processes of namespaces that it cannot see (0) are left out.
fn members(dir: &Path) -> io::Result<Vec<i32>> {
    match std::fs::read_to_string(dir.join("cgroup.procs")) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| line.parse().ok())
            .filter(|pid| *pid > 0)
            .collect()),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, value: &str) -> io::Result<()> {
    std::fs::write(path, value).map_err(|error| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        io::Error::new(error.kind(), format!("cgroup file {name} = {value}: {error}"))
    })
}

fn read_number(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number behind a key in a file of `key value` lines.
fn read_key(path: &Path, key: &str) -> io::Result<Option<u64>> {
    let text = std::fs::read_to_string(path)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    Ok(line.and_then(|number| number.trim().parse().ok()))
}
