//! The shim's private mount namespace: one place, passable for any user id, from which libcontainer takes everything.
//!
//! The agent's data directory is 0700, and a user namespace's root cannot walk through it. So the shim mounts a small
//! tmpfs over `/run` *of its own namespace* and binds into it. Nothing of this is seen outside, and all of it goes with
//! the shim, however it ends.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use types::{HostView, Network};

use super::files::Files;
use super::ground;
use super::overlay::{self, Layers};
use super::resolver;
use super::setup::Shim;
use super::user;
use crate::Who;
use crate::attempt_dir::RUN_FILE_BYTES;
use crate::{StartError, skeleton};

const STAGE: &str = "/run";
/// The largest page of the usual systems.
const PAGE_BYTES: usize = 64 * 1024;
const CGROUPS: &str = "/sys/fs/cgroup";

/// Sources for the container's mounts.
pub(super) struct Stage {
    /// The shared root.
    pub root: PathBuf,
    /// libcontainer's bundle (its config.json).
    pub bundle: PathBuf,
    /// libcontainer's state.
    pub state: PathBuf,
    /// Bound at `/run/firehall`.
    pub io: PathBuf,
    /// Bound at `/run/secrets`: only when a secret is a file.
    pub secrets: Option<PathBuf>,
    /// Files bound into `/etc`, by their path inside: only with network.
    pub etc: Vec<(PathBuf, String)>,
    /// The step's files below `/tmp`, by their path inside.
    pub files: Vec<(PathBuf, String)>,
    /// The step's `/tmp` where something of it is kept: it outlives the container.
    pub tmp: Option<PathBuf>,
    /// All of the step's files.
    given: Files,
    /// The host's cgroup hierarchies by their path below `/host/sys/fs/cgroup`: only when `/host/sys` is granted.
    pub cgroups: Vec<(PathBuf, PathBuf)>,
    /// The host's name servers: only with a network of the step's own.
    pub resolvers: Vec<SocketAddr>,
    held: Held,
}

/// What the root is made of.
enum Source {
    Skeleton(File),
    Image(Layers),
}

/// What must stay for as long as the container runs.
enum Held {
    Skeleton(#[expect(dead_code, reason = "its lock says that it is in use")] File),
    Image {
        /// The layers over each other.
        root: File,
        _layers: Layers,
    },
}

impl Stage {
    /// Gives the step's files to its user.
    pub(super) fn give_files(&self, user: u32, group: u32) -> io::Result<()> {
        self.given.give(user, group)
    }

    /// Whom the program runs as, by the image's own names where there is an image.
    ///
    /// # Errors
    /// The image's names lead to nobody, or to somebody who is not allowed here.
    pub(super) fn who(&self, shim: &Shim) -> Result<Who, StartError> {
        let who = self.named(shim)?;
        who.allowed(&shim.spec.users)?;
        Ok(who)
    }

    fn named(&self, shim: &Shim) -> Result<Who, StartError> {
        let (Some(rootfs), Held::Image { root, .. }) = (&shim.rootfs, &self.held) else {
            return Ok(Who::numbered(shim.spec.user));
        };
        let read = |path: &str| {
            overlay::read_in(root, path)
                .map_err(|error| StartError::runtime("cannot read the image's users", error))
        };
        Who::in_image(
            shim.spec.user,
            &rootfs.user,
            &read("etc/passwd")?,
            &read("etc/group")?,
        )
    }
}

/// Moves the shim into a mount namespace of its own and prepares it.
pub(super) fn enter(shim: &Shim) -> io::Result<Stage> {
    // Read before the stage covers /run, where resolv.conf often leads.
    let (mut etc, resolvers) = match shim.spec.network {
        Network::Host => (read_etc(&["resolv.conf", "hosts"]), Vec::new()),
        Network::None => (Vec::new(), Vec::new()),
        Network::Egress => {
            // A host without the file is a host without names.
            let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
            let (servers, inside) = resolver::inside(&text);
            (vec![("resolv.conf", inside.into_bytes())], servers)
        }
    };
    if !shim.spec.pod.hosts.is_empty() {
        name_beside(shim, &mut etc);
    }
    if shim.rootless {
        user::become_root()?;
    } else {
        unshare(CloneFlags::CLONE_NEWNS)?;
    }
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )?;
    if shim.rootless {
        ground::lay()?;
    }
    // Opened in this namespace (another's mounts cannot be bound) and before the stage can cover its path.
    let source = match &shim.rootfs {
        None => Source::Skeleton(skeleton::hold(&shim.skeleton)?),
        Some(rootfs) => Source::Image(Layers::open(rootfs)?),
    };
    let given = Files::open(shim)?;
    tmpfs(Path::new(STAGE), "mode=0755,size=4m,nr_inodes=4096")?;
    let dir = |name: &str, mode: u32| make_dir(&Path::new(STAGE).join(name), mode);
    let root = dir("root", 0o755)?;
    let (held, etc) = match source {
        Source::Skeleton(skeleton) => {
            let top = dir("top", 0o755)?;
            if given.make_places(&skeleton, &top)? {
                overlay::lay_over(&skeleton, &top, &root)?;
            } else {
                let fd = PathBuf::from(format!("/proc/self/fd/{}", skeleton.as_raw_fd()));
                bind(&fd, &root, MsFlags::empty())?;
            }
            (Held::Skeleton(skeleton), copies(&dir("etc", 0o755)?, etc)?)
        }
        Source::Image(layers) => {
            let own = [("hosts", skeleton::HOSTS.into()), ("resolv.conf", Vec::new())];
            let etc: Vec<_> = own.into_iter().chain(etc).collect();
            let root = layers.lay(&dir("top", 0o755)?, &root, &etc, shim.workdir(), &given)?;
            (
                Held::Image {
                    root,
                    _layers: layers,
                },
                Vec::new(),
            )
        }
    };
    given.bind(&root)?;
    let files = if given.is_empty() {
        Vec::new()
    } else {
        given.stage(&dir("files", 0o755)?)?
    };
    let io = dir("io", 0o755)?;
    tmpfs(&io, &format!("mode=0755,size={RUN_FILE_BYTES},nr_inodes=16"))?;
    let cgroups = if shim.rootless {
        Vec::new()
    } else {
        hide_cgroups(shim.spec.host_view.contains(&HostView::Sys))?
    };
    Ok(Stage {
        root,
        bundle: dir("bundle", 0o700)?,
        state: dir("state", 0o700)?,
        io,
        secrets: None,
        tmp: None,
        etc,
        files,
        given,
        cgroups,
        resolvers,
        held,
    })
}

/// Names of what stands beside it: all of them are on the loopback that they share.
fn name_beside(shim: &Shim, etc: &mut Vec<(&'static str, Vec<u8>)>) {
    let known = etc.iter().position(|(name, _)| *name == "hosts");
    let mut hosts = known.map_or_else(|| skeleton::HOSTS.into(), |at| etc.swap_remove(at).1);
    for name in &shim.spec.pod.hosts {
        hosts.extend(format!("127.0.0.1\t{name}\n").into_bytes());
    }
    etc.push(("hosts", hosts));
}

/// Files to be bound over the skeleton's, with their paths inside.
fn copies(to: &Path, etc: Vec<(&str, Vec<u8>)>) -> io::Result<Vec<(PathBuf, String)>> {
    let copy = |(name, bytes): (&str, Vec<u8>)| {
        let copy = to.join(name);
        std::fs::write(&copy, bytes)?;
        std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o644))?;
        Ok((copy, format!("/etc/{name}")))
    };
    etc.into_iter().map(copy).collect()
}

/// Secrets as files in memory, each for the step's user alone; gone with the shim.
pub(super) fn secret_files(shim: &Shim, user: u32, group: u32) -> io::Result<Option<PathBuf>> {
    let names = &shim.spec.secret_files;
    if names.is_empty() {
        return Ok(None);
    }
    let files = || shim.secrets.iter().filter(|(name, _)| names.contains(name));
    // Each file takes whole pages.
    let bytes: usize = files().map(|(_, value)| value.len() + PAGE_BYTES).sum();
    let dir = make_dir(&Path::new(STAGE).join("secrets"), 0o700)?;
    tmpfs(
        &dir,
        &format!(
            "mode=0500,size={},nr_inodes={}",
            bytes + PAGE_BYTES,
            names.len() + 2
        ),
    )?;
    for (name, value) in files() {
        let path = dir.join(name);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(&path)?;
        file.write_all(value.as_bytes())?;
        chown(&path, Some(user), Some(group))?;
    }
    chown(&dir, Some(user), Some(group))?;
    Ok(Some(dir))
}

/// The step's `/tmp`, made outside of its container: what is kept is read from it when the container is gone. What the step
/// writes there counts as its memory all the same.
pub(super) fn kept_tmp(shim: &Shim, root: u32) -> io::Result<Option<PathBuf>> {
    if shim.spec.artifacts.is_empty() {
        return Ok(None);
    }
    let dir = make_dir(&Path::new(STAGE).join("tmp"), 0o755)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let spec = &shim.spec;
    let options = format!("mode=1777,size={},nr_inodes={}", spec.tmp_bytes, spec.tmp_files());
    mount(Some("tmpfs"), &dir, Some("tmpfs"), flags, Some(options.as_str()))?;
    chown(&dir, Some(root), Some(root))?;
    Ok(Some(dir))
}

/// Hides the cgroup mounts from libcontainer, which then leaves cgroups to us (an empty tmpfs at `/sys/fs/cgroup` is a
/// "legacy" system without controllers to it).
///
/// For `/host/sys` they are bound aside first, under names that libcontainer does not take for a controller's.
fn hide_cgroups(keep: bool) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut kept = Vec::new();
    if keep {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let points = mounts
            .lines()
            .filter_map(|line| Path::new(line.split(' ').nth(4)?).strip_prefix(CGROUPS).ok());
        let v2_only = points.clone().all(|below| below.as_os_str().is_empty());
        for (number, below) in points
            .enumerate()
            .filter(|(_, below)| v2_only || !below.as_os_str().is_empty())
        {
            let aside = make_dir(&Path::new(STAGE).join(format!("cgroup.{number}")), 0o755)?;
            bind(&Path::new(CGROUPS).join(below), &aside, MsFlags::empty())?;
            kept.push((aside, below.to_path_buf()));
        }
    }
    if Path::new(CGROUPS).exists() {
        umount2(CGROUPS, MntFlags::MNT_DETACH)?;
        tmpfs(Path::new(CGROUPS), "mode=0755,size=64k,nr_inodes=64")?;
        for (_, below) in &kept {
            std::fs::create_dir_all(Path::new(CGROUPS).join(below))?;
        }
    }
    Ok(kept)
}

fn read_etc(names: &[&'static str]) -> Vec<(&'static str, Vec<u8>)> {
    // A host without one of them is a host without it; the skeleton's own stays.
    names
        .iter()
        .filter_map(|name| Some((*name, std::fs::read(Path::new("/etc").join(name)).ok()?)))
        .collect()
}

pub(super) fn make_dir(path: &Path, mode: u32) -> io::Result<PathBuf> {
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
    Ok(path.to_path_buf())
}

fn tmpfs(at: &Path, options: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some(options))?)
}

fn bind(from: &Path, to: &Path, more: MsFlags) -> io::Result<()> {
    Ok(mount(
        Some(from),
        to,
        None::<&str>,
        MsFlags::MS_BIND | more,
        None::<&str>,
    )?)
}
