//! The peer of row 8: libcontainer itself in a loop, without a shim, a seccomp filter, logs or a record of how it ended.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use libcontainer::{
    container::builder::ContainerBuilder, syscall::syscall::SyscallType, workload::default::DefaultExecutor,
};
use nix::sys::wait::{WaitStatus, waitpid};
use serde_json::json;

/// How this program is told to be one of the loops: libcontainer forks without exec, which wants a process with one thread.
pub(crate) const LOOP: &str = "libcontainer-loop";

/// So many loops at once with so many containers each.
pub(crate) fn loops(at_once: usize, each: usize) -> Result<()> {
    let start = || -> Result<Child> {
        Ok(Command::new(std::env::current_exe()?)
            .args([LOOP, &each.to_string()])
            .stdin(Stdio::null())
            .spawn()?)
    };
    let started = (0..at_once).map(|_| start()).collect::<Result<Vec<_>>>()?;
    for mut one in started {
        ensure!(one.wait()?.success(), "a loop of libcontainer failed");
    }
    Ok(())
}

/// One of them.
pub(crate) fn run(containers: &str) -> Result<()> {
    let containers: usize = containers.parse()?;
    let dir = tempfile::Builder::new().prefix("fh-peer-").tempdir()?;
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755))?;
    let bundle = bundle(dir.path())?;
    let state = dir.path().join("state");
    fs::create_dir(&state)?;
    for n in 0..containers {
        let id = format!("fh-peer-{}-{n}", std::process::id());
        fs::write(
            bundle.join("config.json"),
            config(&id, &dir.path().join("root")).to_string(),
        )?;
        let mut container = ContainerBuilder::new(id, SyscallType::default())
            .with_executor(DefaultExecutor {})
            .with_root_path(&state)?
            .as_init(&bundle)
            .with_systemd(false)
            .build()?;
        container.start()?;
        let pid = container.pid().context("a container without a process")?;
        match waitpid(nix::unistd::Pid::from_raw(pid.as_raw()), None)? {
            WaitStatus::Exited(_, 0) => container.delete(true)?,
            other => bail!("a container ended by {other:?}"),
        }
    }
    Ok(())
}

/// A root with this system's `/usr`, which is bound.
fn bundle(dir: &Path) -> Result<std::path::PathBuf> {
    let root = dir.join("root");
    for name in ["dev", "etc", "proc", "tmp", "usr"] {
        fs::create_dir_all(root.join(name))?;
    }
    for name in runtime::skeleton::USR_LINKS {
        if let Ok(target) = fs::read_link(format!("/{name}")) {
            symlink(target, root.join(name))?;
        }
    }
    let bundle = dir.join("bundle");
    fs::create_dir(&bundle)?;
    Ok(bundle)
}

/// As hardened as ours, but for the filter of system calls.
fn config(id: &str, root: &Path) -> serde_json::Value {
    let mapping = json!([{ "containerID": 0, "hostID": 1_500_000_000_u32, "size": 65_536 }]);
    let namespaces: Vec<_> = ["pid", "mount", "ipc", "uts", "cgroup", "user", "network"]
        .iter()
        .map(|kind| json!({ "type": kind }))
        .collect();
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": root, "readonly": true },
        "hostname": "step",
        "process": {
            "terminal": false,
            "user": { "uid": 1000, "gid": 1000 },
            "args": ["/bin/sh", "-e", "-c", "true"],
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": { "bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": [] },
        },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "mode=755", "size=64k"] },
            { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777", "size=64m"] },
            { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "rro", "nosuid", "nodev"] },
        ],
        "linux": {
            "uidMappings": mapping,
            "gidMappings": mapping,
            "cgroupsPath": format!("/fh-peer/{id}"),
            "resources": { "memory": { "limit": 256 << 20 }, "pids": { "limit": 256 } },
            "namespaces": namespaces,
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}
