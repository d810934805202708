//! What the daemon is asked for: from constants and the spec, nothing else.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount,
    MountBindOptions, MountBindOptionsPropagationEnum, MountType, RestartPolicy, RestartPolicyNameEnum,
};
use runtime::{ContainerSpec, HostView, Image, Network, Who, skeleton};

use crate::attempt::Files;
use crate::connection::Dialect;
use crate::egress;
use crate::kit::{INSIDE, Kit, PRELOADED};
use crate::memory;
use crate::wire::DOOR;

/// Who owns a container.
pub(crate) const LABEL_OWNER: &str = "io.firehall.owner";
/// Which attempt it is.
pub(crate) const LABEL_ATTEMPT: &str = "io.firehall.attempt";
/// The attempt's directory.
pub(crate) const LABEL_DIR: &str = "io.firehall.dir";

/// In front of the name of a container whose network is joined.
pub(crate) const JOIN: &str = "container:";
/// The container whose network it is in, by its name.
pub(crate) const LABEL_JOINS: &str = "io.firehall.joins";

/// The API from which a read-only mount can be asked to be so in all its depth.
const DEEP_READ_ONLY: (usize, usize) = (1, 44);
/// The daemon's log of a container: our pid 1 says a line there when it finds no door.
const LOG_BYTES: &str = "65536";

/// What an operator's stop leaves a step before the kill: what Docker gives by itself, and Podman only when it is told.
const STOP_SECONDS: i64 = 10;

/// Processes and threads that a container has room for while it is started: the daemon's OCI runtime, a Go program, makes threads
/// of its own inside, and aborts where it cannot ("cannot start a stopped process").
const STARTING_PIDS: i64 = 64;

/// The limit of a step; our pid 1 is not the step's.
pub(crate) fn pids(spec: &ContainerSpec) -> i64 {
    i64::from(spec.pids) + 1
}

/// Whether it is started with more room than the step may have. Podman's older versions cannot change a limit afterwards.
pub(crate) fn must_be_lowered(spec: &ContainerSpec, dialect: Dialect) -> bool {
    !dialect.podman && pids(spec) < STARTING_PIDS
}

/// The name of an attempt's container: derived, so that creating it twice is creating it once.
pub(crate) fn name(id: &str) -> String {
    format!("firehall-{id}")
}

/// Whose it is, and of which attempt.
pub(crate) fn labels(owner: &str, spec: &ContainerSpec, files: &Files) -> HashMap<String, String> {
    HashMap::from([
        (LABEL_OWNER.to_owned(), owner.to_owned()),
        (LABEL_ATTEMPT.to_owned(), spec.id.clone()),
        (LABEL_DIR.to_owned(), files.path().display().to_string()),
    ])
}

/// The request.
pub(crate) fn create(
    spec: &ContainerSpec,
    image: &str,
    who: &Who,
    kit: &Kit,
    files: &Files,
    owner: &str,
    dialect: Dialect,
    network: &str,
) -> ContainerCreateBody {
    let mut labels = labels(owner, spec, files);
    if let Some(holder) = network.strip_prefix(JOIN) {
        labels.insert(LABEL_JOINS.to_owned(), holder.to_owned());
    }
    // Where it is started; inside, none means the image's own.
    let workdir = match (&spec.image, &spec.workdir) {
        (Image::Host, None) => Some("/tmp".to_owned()),
        _ => None,
    };
    ContainerCreateBody {
        // In another's network it has that one's name; with Podman one of its own, which is the same.
        hostname: (spec.network != Network::Host && (dialect.podman || spec.pod.network_of.is_none()))
            .then(|| "step".to_owned()),
        user: Some(format!("{}:{}", who.uid, who.gid)),
        attach_stdin: Some(false),
        attach_stdout: Some(false),
        attach_stderr: Some(false),
        tty: Some(false),
        open_stdin: Some(false),
        // Nothing of the step's: our pid 1 gets that at the door, and the daemon shows this to whoever asks.
        // What the image says of the loader would put its code into our pid 1.
        env: Some(PRELOADED.iter().map(|name| format!("{name}=")).collect()),
        entrypoint: Some(kit.command.clone()),
        cmd: Some(Vec::new()),
        image: Some(image.to_owned()),
        working_dir: workdir,
        labels: Some(labels),
        stop_signal: Some("SIGTERM".to_owned()),
        stop_timeout: dialect.podman.then_some(STOP_SECONDS),
        host_config: Some(host_config(spec, who, kit, files, dialect, network)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(
    spec: &ContainerSpec,
    who: &Who,
    kit: &Kit,
    files: &Files,
    dialect: Dialect,
    network: &str,
) -> HostConfig {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    HostConfig {
        // Swap is counted in: with both alike there is none.
        memory: Some(signed(spec.memory_bytes)),
        memory_swap: Some(signed(spec.memory_bytes)),
        nano_cpus: spec.cpu_millis.map(|millis| i64::from(millis) * 1_000_000),
        pids_limit: Some(if must_be_lowered(spec, dialect) {
            STARTING_PIDS
        } else {
            pids(spec)
        }),
        ulimits: Some(memory::limits(dialect.podman)),
        oom_kill_disable: Some(false),
        init: Some(false),
        auto_remove: Some(false),
        privileged: Some(false),
        publish_all_ports: Some(false),
        readonly_rootfs: Some(true),
        group_add: Some(who.groups.iter().map(u32::to_string).collect()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        // The daemon's own filter of system calls stays; our pid 1 puts ours on top.
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        ipc_mode: Some("private".to_owned()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        network_mode: Some(network.to_owned()),
        sysctls: egress::sysctls(spec),
        // Who joins another's network sees that one's names; Podman's are mounted.
        extra_hosts: (!dialect.podman && spec.pod.network_of.is_none()).then(|| {
            let hosts = spec.pod.hosts.iter();
            hosts.map(|name| format!("{name}:127.0.0.1")).collect()
        }),
        shm_size: Some(signed(spec.tmp_bytes)),
        tmpfs: Some(memory::systems(spec, who, dialect.podman)),
        mounts: Some(mounts(spec, kit, files, dialect)),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), LOG_BYTES.to_owned()),
                ("max-file".to_owned(), "1".to_owned()),
            ])),
        }),
        ..HostConfig::default()
    }
}

fn mounts(spec: &ContainerSpec, kit: &Kit, files: &Files, dialect: Dialect) -> Vec<Mount> {
    let api = dialect.api;
    let mut mounts = vec![
        read_only(INSIDE, &kit.dir.to_string_lossy(), api),
        read_only(DOOR, &files.door().to_string_lossy(), api),
    ];
    if dialect.podman {
        mounts.push(read_only("/etc/hosts", &files.hosts().to_string_lossy(), api));
    }
    let mut add = |inside: &str, source: &str| {
        mounts.push(read_only(inside, source, api));
        if api < DEEP_READ_ONLY {
            let below = mounted_below(source);
            mounts.extend(
                below
                    .iter()
                    .map(|at| read_only(&format!("{inside}{}", &at[source.len()..]), at, api)),
            );
        }
    };
    if spec.image == Image::Host {
        add("/usr", "/usr");
        for name in skeleton::USR_LINKS {
            let host = format!("/{name}");
            // A link of a merged-usr system is in the image already.
            if std::fs::symlink_metadata(&host).is_ok_and(|meta| meta.is_dir()) {
                add(&host, &host);
            }
        }
    }
    for view in &spec.host_view {
        match view {
            HostView::Proc => add("/host/proc", "/proc"),
            HostView::Sys => add("/host/sys", "/sys"),
        }
    }
    for (n, file) in spec.files.iter().enumerate() {
        let source = files.common.file(n);
        mounts.push(read_only(&file.path, &source.to_string_lossy(), api));
    }
    mounts
}

/// A view of the host that a daemon which maps users cannot show: before it could make a tree read-only in all its depth,
/// it had to leave out what is mounted below, and for a container with users of its own the kernel allows that for no tree.
pub(crate) fn unseen(spec: &ContainerSpec, api: (usize, usize)) -> Option<&'static str> {
    let trees = spec.host_view.iter().map(|view| match view {
        HostView::Proc => "/proc",
        HostView::Sys => "/sys",
    });
    let hides = |tree: &&str| api < DEEP_READ_ONLY && !mounted_below(tree).is_empty();
    trees.into_iter().find(hides)
}

/// What is mounted below a tree of the host, for a daemon that cannot make all of it read-only by itself.
fn mounted_below(tree: &str) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    // What the kernel writes in octal (a space) is left out: nobody needs it there.
    let mut below: Vec<String> = points
        .filter(|at| at.strip_prefix(tree).is_some_and(|rest| rest.starts_with('/')) && !at.contains('\\'))
        .filter(|at| std::fs::metadata(at).is_ok_and(|meta| meta.is_dir()))
        .map(str::to_owned)
        .collect();
    below.dedup();
    below
}

/// Read-only in all its depth where the daemon can do that; where it cannot, without the mounts below, because they would
/// stay writable: each of them comes by itself.
fn read_only(inside: &str, source: &str, api: (usize, usize)) -> Mount {
    let deep = api >= DEEP_READ_ONLY;
    Mount {
        target: Some(inside.to_owned()),
        source: Some(source.to_owned()),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            non_recursive: (!deep).then_some(true),
            read_only_force_recursive: deep.then_some(true),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    }
}
