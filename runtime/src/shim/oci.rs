//! The OCI configuration of a step's container: libcontainer reads it from the bundle.
//!
//! The program, its environment and its working directory are not in it: our own executor has them, so secrets never
//! come into a file.

use serde_json::{Value, json};
use types::{HostView, Network};

use super::setup::Shim;
use super::stage::Stage;
use crate::Who;
use crate::skeleton::USR_LINKS;
use crate::slot::{Ids, SIZE};

/// What of `/proc` tells of the host or steers it (the OCI default list; `/sys` is not mounted at all).
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
];
const READONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The configuration as JSON.
pub(super) fn config(shim: &Shim, stage: &Stage, ids: &Ids, who: &Who) -> Value {
    let mut namespaces = vec!["pid", "mount", "ipc", "uts", "cgroup"];
    let mut kept: &[&str] = &[];
    // Without root the shim has made it already, and pid 1 becomes the step's user itself. Until then it keeps the one
    // capability that user_namespaces(7) asks of whoever maps a namespace's root.
    let (mapping, user) = match ids {
        Ids::Slot(slot) => {
            namespaces.push("user");
            (
                json!([{ "containerID": 0, "hostID": slot.base, "size": SIZE }]),
                json!({ "uid": who.uid, "gid": who.gid, "additionalGids": who.groups }),
            )
        }
        Ids::Own { .. } => {
            kept = &["CAP_SETFCAP"];
            (json!([]), json!({ "uid": 0, "gid": 0 }))
        }
    };
    // One that joins another's network is in it already.
    if shim.spec.network != Network::Host && shim.spec.pod.network_of.is_none() {
        namespaces.push("network");
    }
    let namespaces: Vec<Value> = namespaces
        .into_iter()
        .map(|kind| json!({ "type": kind }))
        .collect();
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": stage.root, "readonly": true },
        "hostname": "step",
        "process": {
            "terminal": false,
            "user": user,
            "args": ["step"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": kept, "effective": kept, "inheritable": [], "permitted": kept, "ambient": [],
            },
            "rlimits": [{ "type": "RLIMIT_CORE", "hard": 0, "soft": 0 }],
        },
        "mounts": mounts(shim, stage),
        "linux": {
            "uidMappings": mapping,
            "gidMappings": mapping,
            "cgroupsPath": format!("/firehall/{}", shim.spec.id),
            "namespaces": namespaces,
            "maskedPaths": MASKED,
            "readonlyPaths": READONLY,
        },
    })
}

fn mounts(shim: &Shim, stage: &Stage) -> Vec<Value> {
    let memory = |flags: &[&str]| {
        let mut options: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        options.extend([
            "mode=1777".to_owned(),
            format!("size={}", shim.spec.tmp_bytes),
            format!("nr_inodes={}", shim.spec.tmp_files()),
        ]);
        options
    };
    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "noexec", "mode=755", "size=64k"] }),
        json!({ "destination": "/dev/shm", "type": "tmpfs", "source": "tmpfs",
                "options": memory(&["nosuid", "noexec", "nodev"]) }),
        match &stage.tmp {
            Some(kept) => json!({ "destination": "/tmp", "type": "bind", "source": kept,
                "options": ["bind", "nosuid", "nodev"] }),
            None => json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
                "options": memory(&["nosuid", "nodev"]) }),
        },
        json!({ "destination": "/run/firehall", "type": "bind", "source": stage.io,
                "options": ["bind", "nosuid", "nodev", "noexec"] }),
    ];
    if shim.rootfs.is_none() {
        mounts.push(read_only("/usr", "/usr"));
        for name in USR_LINKS {
            let host = format!("/{name}");
            // A link of a merged-usr system is in the skeleton already.
            if std::fs::symlink_metadata(&host).is_ok_and(|meta| meta.is_dir()) {
                mounts.push(read_only(&host, &host));
            }
        }
    }
    if let Some(secrets) = &stage.secrets {
        mounts.push(
            json!({ "destination": "/run/secrets", "type": "bind", "source": secrets,
                            "options": ["bind", "ro", "nosuid", "nodev", "noexec"] }),
        );
    }
    for (copy, inside) in stage.etc.iter().chain(&stage.files) {
        mounts.push(read_only(inside, &copy.to_string_lossy()));
    }
    for view in &shim.spec.host_view {
        match view {
            HostView::Proc => mounts.push(host("/host/proc", "/proc")),
            HostView::Sys => {
                mounts.push(host("/host/sys", "/sys"));
                for (aside, below) in &stage.cgroups {
                    let inside = std::path::Path::new("/host/sys/fs/cgroup").join(below);
                    mounts.push(host(&inside.to_string_lossy(), &aside.to_string_lossy()));
                }
            }
        }
    }
    mounts
}

/// Always `rbind` with `rro`: `rbind,ro` leaves the mounts below writable.
fn read_only(inside: &str, source: &str) -> Value {
    json!({ "destination": inside, "type": "bind", "source": source, "options": ["rbind", "rro", "nosuid", "nodev"] })
}

fn host(inside: &str, source: &str) -> Value {
    json!({ "destination": inside, "type": "bind", "source": source,
            "options": ["rbind", "rro", "nosuid", "nodev", "noexec"] })
}
