//! The part of cgroup version 2 that an ordinary user was given: by systemd (`Delegate=yes`), or by a root that changed its
//! owner.
//!
//! A group that hands controllers on may have no processes of its own (the kernel's "no internal processes"). So the
//! agent goes into a leaf of the group that it was given, and its steps have theirs beside that leaf.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{AccessFlags, eaccess};
use serde::{Deserialize, Serialize};

use super::write;

/// The leaf. An agent that is started in a group of this name has its steps beside it: so does a unit with
/// `DelegateSubgroup=firehall-agent`.
const LEAF: &str = "firehall-agent";

/// A group in which this user makes groups of steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delegated {
    /// Where it is.
    pub dir: PathBuf,
    /// The same as `/proc/PID/cgroup` says it.
    pub path: PathBuf,
    /// Whether it has the cpu controller; it has memory and pids.
    pub cpu: bool,
}

/// Why there is none: for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotDelegated {
    /// Of its hierarchies only root hands out parts.
    Version1,
    /// None that we can find ourselves in.
    NoCgroups(String),
    /// Its group is somebody else's.
    NotOurs { path: PathBuf, file: &'static str },
    /// The group was given without what limits need.
    Lacks {
        path: PathBuf,
        controllers: Vec<&'static str>,
    },
    /// It is not alone in its group.
    Crowded { path: PathBuf, others: usize },
    /// The kernel refused what its files seemed to allow.
    Refused { path: PathBuf, cause: String },
}

impl fmt::Display for NotDelegated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version1 => {
                f.write_str("this host has cgroup version 1, of which only root may hand out parts")
            }
            Self::NoCgroups(why) => f.write_str(why),
            Self::NotOurs { path, file } => write!(
                f,
                "its cgroup {} is not this user's ({file} cannot be written): start it by a unit with Delegate=yes",
                path.display()
            ),
            Self::Lacks { path, controllers } => write!(
                f,
                "its cgroup {} was given without {}: name them in Delegate= of its unit and of those above",
                path.display(),
                controllers.join(" and ")
            ),
            Self::Crowded { path, others } => write!(
                f,
                "its cgroup {} has other processes ({others}), so it cannot hand limits on: start it by a unit of its own",
                path.display()
            ),
            Self::Refused { path, cause } => {
                write!(f, "its cgroup {} cannot be divided: {cause}", path.display())
            }
        }
    }
}

/// What `/proc/self/cgroup` and the mounts say of this process.
struct Own {
    /// The mounted directory of its group.
    dir: PathBuf,
    path: PathBuf,
}

/// Where the hierarchy is mounted, and which of its groups that is (proc(5), mountinfo).
pub(super) struct Mount {
    pub point: PathBuf,
    pub root: PathBuf,
}

/// Takes what was delegated to this process: moves it into the leaf, where it is not there yet, and lets controllers pass.
/// Called again, it finds what the first call made.
pub(super) fn take(mount: &Mount) -> Result<Delegated, NotDelegated> {
    let own = own(mount)?;
    let in_leaf = own.path.file_name().is_some_and(|name| name == LEAF);
    let base = if in_leaf { above(&own) } else { own };
    for file in ["", "cgroup.procs", "cgroup.subtree_control"] {
        if !may_write(&base.dir.join(file)) {
            let file = if file.is_empty() { "its directory" } else { file };
            return Err(NotDelegated::NotOurs {
                path: base.path,
                file,
            });
        }
    }
    let refused = |cause: io::Error| NotDelegated::Refused {
        path: base.path.clone(),
        cause: cause.to_string(),
    };
    let words = |file: &str| std::fs::read_to_string(base.dir.join(file)).map_err(refused);
    let there = words("cgroup.controllers")?;
    let has = |name: &str| there.split_whitespace().any(|word| word == name);
    let controllers: Vec<_> = ["memory", "pids"].into_iter().filter(|name| !has(name)).collect();
    if !controllers.is_empty() {
        return Err(NotDelegated::Lacks {
            path: base.path,
            controllers,
        });
    }
    let delegated = Delegated {
        cpu: has("cpu"),
        dir: base.dir.clone(),
        path: base.path.clone(),
    };
    let passed = words("cgroup.subtree_control")?;
    let wanted = delegated.controllers();
    if wanted
        .iter()
        .all(|name| passed.split_whitespace().any(|word| word == *name))
    {
        return Ok(delegated);
    }
    let others = words("cgroup.procs")?
        .lines()
        .count()
        .saturating_sub(usize::from(!in_leaf));
    if others > 0 {
        return Err(NotDelegated::Crowded {
            path: base.path,
            others,
        });
    }
    if !in_leaf {
        go_into_leaf(&base.dir).map_err(refused)?;
    }
    if let Err(error) = delegated.pass_on(&base.dir) {
        if !in_leaf {
            go_back(&base.dir).map_err(refused)?;
        }
        return Err(refused(error));
    }
    Ok(delegated)
}

impl Delegated {
    pub(super) fn controllers(&self) -> Vec<&'static str> {
        let cpu = self.cpu.then_some("cpu");
        ["memory", "pids"].into_iter().chain(cpu).collect()
    }

    /// Lets the controllers pass from one of its groups to those below.
    pub(super) fn pass_on(&self, group: &Path) -> io::Result<()> {
        let all: Vec<_> = self.controllers().iter().map(|name| format!("+{name}")).collect();
        write(&group.join("cgroup.subtree_control"), &all.join(" "))
    }
}

fn own(mount: &Mount) -> Result<Own, NotDelegated> {
    let text = std::fs::read_to_string("/proc/self/cgroup")
        .map_err(|error| NotDelegated::NoCgroups(format!("/proc/self/cgroup: {error}")))?;
    let path = super::own_path(&text, "")
        .ok_or_else(|| NotDelegated::NoCgroups("this process has no cgroup of version 2".to_owned()))?;
    let path = PathBuf::from(path);
    // Outside of the mounted part, or of this process's cgroup namespace.
    let strange = path.components().any(|part| part == Component::ParentDir);
    match path.strip_prefix(&mount.root) {
        Ok(below) if !strange => Ok(Own {
            dir: mount.point.join(below),
            path,
        }),
        _ => Err(NotDelegated::NoCgroups(format!(
            "this process's cgroup {} is not below what is mounted at {}",
            path.display(),
            mount.point.display()
        ))),
    }
}

fn above(own: &Own) -> Own {
    let parent = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_path_buf();
    Own {
        dir: parent(&own.dir),
        path: parent(&own.path),
    }
}

fn may_write(path: &Path) -> bool {
    eaccess(path, AccessFlags::W_OK).is_ok()
}

fn go_into_leaf(base: &Path) -> io::Result<()> {
    let leaf = base.join(LEAF);
    match std::fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    write(&leaf.join("cgroup.procs"), &std::process::id().to_string())
}

fn go_back(base: &Path) -> io::Result<()> {
    write(&base.join("cgroup.procs"), &std::process::id().to_string())?;
    std::fs::remove_dir(base.join(LEAF))
}
