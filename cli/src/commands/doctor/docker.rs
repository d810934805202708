//! The docker runtime: a real container of this host's daemon, and what it tells from inside.

use std::path::PathBuf;

use docker::{Docker, Host, Limits, Registries, Seen, Settings};

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
    api: (usize, usize),
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
        api: docker.api(),
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
            egress(report).await;
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

/// Podman takes the wish for a namespace of the cgroups on version 1 and gives none.
fn cgroups(report: &mut Report, seen: &hardening::Seen) {
    let paths = seen
        .get("Cgroups")
        .map(|paths| paths.join(" "))
        .unwrap_or_default();
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

async fn egress(report: &mut Report) {
    match docker::egress_supported().await {
        Ok(()) => report.ok("docker.egress", "steps can have network: egress"),
        Err(why) => report.warning(
            "docker.egress",
            why,
            "without it only steps with network: none or host run on this daemon",
        ),
    }
}
