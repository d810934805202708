//! The memory file systems of a container, and other limits, as its daemon takes them.

use std::collections::HashMap;

use bollard::models::ResourcesUlimits;
use nix::sys::resource::{Resource, getrlimit};
use runtime::{ContainerSpec, RUN_FILE_BYTES, Who};

use crate::inside::{RUN, SECRETS};

/// What a secret's file may take: a secret is far shorter, but memory goes by pages, which may be large.
const SECRET_FILE_BYTES: u64 = 128 * 1024;
/// The most open files and processes that Podman is asked to allow: its service may have less than this process.
const PODMAN_MOST: u64 = 16_384;

/// By their place inside, the options of each. Podman knows no limit of files.
pub(crate) fn systems(spec: &ContainerSpec, who: &Who, podman: bool) -> HashMap<String, String> {
    let mut tmp = format!("rw,exec,nosuid,nodev,mode=1777,size={}", spec.tmp_bytes);
    if !podman {
        tmp.push_str(&format!(",nr_inodes={}", spec.tmp_files()));
    }
    // For the step's user alone. Podman has a word of its own for that.
    let own = |bytes: u64, files: u64| {
        let plain = format!("rw,noexec,nosuid,nodev,mode=0700,size={bytes}");
        if podman {
            format!("{plain},U")
        } else {
            format!("{plain},uid={},gid={},nr_inodes={files}", who.uid, who.gid)
        }
    };
    let mut systems = HashMap::from([(RUN.to_owned(), own(RUN_FILE_BYTES, 16))]);
    if podman {
        // It would make these itself, as large as the memory is.
        systems.insert("/var/tmp".to_owned(), tmp.clone());
        systems.insert(
            "/run".to_owned(),
            "rw,noexec,nosuid,nodev,mode=0755,size=64k".to_owned(),
        );
    }
    systems.insert("/tmp".to_owned(), tmp);
    if !spec.secret_files.is_empty() {
        // By their number alone: the daemon shows this, and it is to say nothing of a secret's length.
        let files = u64::try_from(spec.secret_files.len()).unwrap_or(u64::MAX);
        systems.insert(
            SECRETS.to_owned(),
            own((files + 1) * SECRET_FILE_BYTES, files + 2),
        );
    }
    systems
}

/// No core dumps. Podman raises other limits beyond what its host may allow: it gets those of this process.
pub(crate) fn limits(podman: bool) -> Vec<ResourcesUlimits> {
    let limit = |name: &str, soft: u64, hard: u64| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: i64::try_from(soft).ok(),
        hard: i64::try_from(hard).ok(),
    };
    let mut limits = vec![limit("core", 0, 0)];
    if podman {
        let own = [
            ("nofile", Resource::RLIMIT_NOFILE),
            ("nproc", Resource::RLIMIT_NPROC),
        ];
        limits.extend(own.into_iter().filter_map(|(name, resource)| {
            let (soft, hard) = getrlimit(resource).ok()?;
            Some(limit(name, soft.min(PODMAN_MOST), hard.min(PODMAN_MOST)))
        }));
    }
    limits
}
