//! The docker runtime: a real container of this host's daemon, and what it tells from inside.

use std::path::PathBuf;

use docker::{Docker, Host, Limits, OciRuntime, Registries, Seen, Settings};

use super::{
    finding::Report,
    hardening::{self, Facts, MEMORY_BYTES, PIDS, QUESTIONS},
    said,
};

const CHECK: &str = "runtime.docker";

/// The daemon, and what a container of it saw.
pub(crate) struct Here {
    host: Host,
    version: String,
    podman: bool,
    api: (usize, usize),
    /// What started the container, or why the daemon does not tell.
    oci: Result<OciRuntime, String>,
    seen: Seen,
}

/// Runs a container of this host's daemon and takes it away again.
///
/// # Errors
/// Why not, for people.
pub(crate) async fn docker_here(script: &str) -> Result<Here, String> {
    run(Host::find().map_err(|error| said(&error))?, script).await
}

async fn run(host: Host, script: &str) -> Result<Here, String> {
    let dir = tempfile::Builder::new()
        .prefix("firehall-doctor-")
        .tempdir()
        .map_err(|error| format!("no temporary directory: {error}"))?;
    let settings = Settings {
        state: dir.path().join("docker"),
        program: PathBuf::from("/proc/self/exe"),
        owner: format!("doctor-{}", std::process::id()),
        registries: Registries::default(),
    };
    let docker = Docker::connect(host.clone(), settings)
        .await
        .map_err(|error| said(&error))?;
    let limits = Limits {
        memory_bytes: MEMORY_BYTES,
        pids: PIDS,
    };
    let seen = docker::probe(&docker, dir.path(), script, limits).await?;
    Ok(Here {
        host,
        version: docker.version().to_owned(),
        podman: docker.is_podman(),
        api: docker.api(),
        oci: docker.oci_runtime().await.map_err(|error| said(&error)),
        seen,
    })
}

pub(super) async fn look(report: &mut Report) {
    // None here is no fault: the native runtime needs no daemon.
    let host = match Host::find() {
        Ok(host) => host,
        Err(error) => {
            return report.unknown(
                CHECK,
                said(&error),
                "nothing to do, unless agents here are to use it",
            );
        }
    };
    match run(host, QUESTIONS).await {
        Err(why) => report.warning(
            CHECK,
            why,
            "look at the daemon's log; agents here can use the native runtime meanwhile",
        ),
        Ok(here) => {
            let (major, minor) = here.api;
            report.ok(
                CHECK,
                format!(
                    "{} at {}, API {major}.{minor}: a container ran and ended in {} ms",
                    here.version,
                    here.host,
                    here.seen.took.as_millis()
                ),
            );
            oci_runtime(report, here.oci);
            egress(report, here.podman).await;
            let facts = Facts {
                prefix: "docker",
                apart: false,
                hardening: here.seen.record.hardening.as_ref(),
            };
            let seen = hardening::read(&here.seen.output);
            hardening::judge(report, &seen, &facts);
            cgroups(report, &seen);
        }
    }
}

/// Known holes of containers are those of a version of this program: who looks after a host looks it up here.
fn oci_runtime(report: &mut Report, told: Result<OciRuntime, String>) {
    const OCI: &str = "docker.oci-runtime";
    let known = |told: Option<String>| told.unwrap_or_else(|| "cannot tell".to_owned());
    match told {
        Err(why) => report.unknown(OCI, format!("cannot tell: {why}"), "look at the daemon's log"),
        Ok(OciRuntime {
            name: Some(name),
            version: Some(version),
            commit,
        }) => report.ok(OCI, format!("{name} {version}, commit: {}", known(commit))),
        Ok(told) => {
            let help = match &told.name {
                Some(name) => format!("`{name} --version` on this host says it"),
                None => "`docker info` names it, and its `--version` says more".to_owned(),
            };
            let text = format!(
                "{}, version: {}, commit: {}",
                told.name.unwrap_or_else(|| "the daemon names none".to_owned()),
                known(told.version),
                known(told.commit)
            );
            report.unknown(OCI, text, help);
        }
    }
}

/// Podman takes the wish for a namespace of the cgroups on version 1 and gives none.
fn cgroups(report: &mut Report, seen: &hardening::Seen) {
    let paths = seen.get("Cgroups").map(|paths| paths.join(" "));
    let Some(paths) = paths.filter(|paths| !paths.is_empty()) else {
        return report.unknown(
            "docker.cgroups",
            "the container that looked did not say which cgroups it sees",
            "look at the daemon's log, and at `docker run --rm IMAGE cat /proc/self/cgroup`",
        );
    };
    if paths == "/" {
        report.ok("docker.cgroups", "a step sees its own alone");
    } else {
        report.warning(
            "docker.cgroups",
            format!("a step sees the path of its cgroup on the host: {paths}"),
            "its limits hold all the same; where a step must not know its path, use cgroup version 2 or Docker",
        );
    }
}

async fn egress(report: &mut Report, podman: bool) {
    match docker::egress_supported(podman).await {
        Ok(()) => report.ok("docker.egress", "steps can have network: egress"),
        Err(why) => report.warning(
            "docker.egress",
            why,
            "without it only steps with network: none or host run on this daemon",
        ),
    }
}
