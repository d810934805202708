//! Whether this machine can run steps natively, found out by running one.

use std::path::Path;
use std::time::Duration;

use crate::native::{Adopted, Ended, Native, ShimCommand};
use crate::{Cannot, ContainerSpec, ExitRecord, Hardening, Network, cgroup};

/// How long the trial step may take before the answer is no.
const TRIAL: Duration = Duration::from_secs(20);

/// It works here: what was seen in the trial step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// The kernel's release.
    pub kernel: String,
    /// `cgroup v1`, `cgroup v2`, the part of it that was delegated, or `no cgroups`.
    pub cgroups: String,
    /// Which limits do not hold a step as a whole, for people; none where all do.
    pub looser: Option<String>,
    /// What no step can have here.
    pub cannot: Vec<Cannot>,
    /// What was in force.
    pub hardening: Hardening,
    /// How long the trial step took from start to end.
    pub took: Duration,
}

/// It does not work here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("steps cannot run natively: {reason}; {remedy}")]
pub struct Unsupported {
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub remedy: &'static str,
}

fn no(reason: impl Into<String>, remedy: &'static str) -> Unsupported {
    Unsupported {
        reason: reason.into(),
        remedy,
    }
}

impl Native {
    /// Checks what can be checked by looking, then runs one step (`true`) below `state` and takes it away again.
    ///
    /// # Errors
    /// The reason why not, and what to do.
    pub async fn probe(state: &Path, shim: ShimCommand) -> Result<Support, Unsupported> {
        looks_fit()?;
        let layout = cgroup::detect().map_err(|reason| {
            no(
                reason,
                "mount cgroups with the memory and pids controllers, or run this agent on the host itself",
            )
        })?;
        let native = Self::open(state, shim).map_err(|error| {
            no(
                error.to_string(),
                "give the agent a data directory that it may write",
            )
        })?;
        let begun = std::time::Instant::now();
        let record = trial(&native, state).await?;
        let took = begun.elapsed();
        let failure = record.start_error.as_ref().map(|error| error.message.clone());
        match (record.code, failure, record.hardening) {
            (Some(0), None, Some(hardening)) => {
                let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
                Ok(Support {
                    kernel: kernel.trim().to_owned(),
                    cgroups: layout.name(),
                    looser: native.looser(),
                    cannot: native.cannot(),
                    hardening,
                    took,
                })
            }
            (code, failure, _) => Err(no(
                format!(
                    "a trial step failed: {}",
                    failure.unwrap_or_else(|| format!("exit code {code:?}"))
                ),
                after_trial(),
            )),
        }
    }
}

/// What is most likely to be in the way of a trial step that failed. What may or may not matter (a profile may lift
/// AppArmor's restriction for this program) is looked at only then.
fn after_trial() -> &'static str {
    if nix::unistd::geteuid().is_root() {
        "run the agent on the host itself, not in a container"
    } else if switched(APPARMOR, "1") {
        "this host restricts user namespaces by AppArmor: give this program a profile with `userns,` \
         (see docs/operating.md), set sysctl kernel.apparmor_restrict_unprivileged_userns to 0, or run the agent as root"
    } else {
        "run the agent on the host itself, not in a container, or as root"
    }
}

/// Ubuntu's, since 23.10.
const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
/// Debian's, before 11.
const DEBIAN: &str = "/proc/sys/kernel/unprivileged_userns_clone";

fn switched(knob: &str, to: &str) -> bool {
    std::fs::read_to_string(knob).is_ok_and(|text| text.trim() == to)
}

fn looks_fit() -> Result<(), Unsupported> {
    if !nix::unistd::geteuid().is_root() && switched(DEBIAN, "0") {
        return Err(no(
            "only root may make user namespaces here",
            "set sysctl kernel.unprivileged_userns_clone to 1, or run the agent as root",
        ));
    }
    match std::fs::read_to_string("/proc/sys/user/max_user_namespaces") {
        Ok(text) if text.trim() == "0" => {
            return Err(no(
                "user namespaces are switched off",
                "set sysctl user.max_user_namespaces to 15000",
            ));
        }
        Ok(_) => {}
        Err(_) => {
            return Err(no(
                "this kernel has no user namespaces",
                "use a kernel with CONFIG_USER_NS",
            ));
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !status.lines().any(|line| line.starts_with("Seccomp:")) {
        return Err(no(
            "this kernel has no seccomp filters",
            "use a kernel with CONFIG_SECCOMP_FILTER",
        ));
    }
    if crate::seccomp::program().is_err() {
        return Err(no(
            "no system call filter for this processor",
            "use x86-64 or aarch64",
        ));
    }
    Ok(())
}

async fn trial(native: &Native, state: &Path) -> Result<ExitRecord, Unsupported> {
    let dir = state.join(format!("probe-{}", std::process::id()));
    let spec = ContainerSpec {
        id: format!("probe-{}", std::process::id()),
        image: crate::Image::Host,
        pull: crate::Pull::default(),
        argv: vec!["true".to_owned()],
        env: Vec::new(),
        secret_files: std::collections::BTreeSet::new(),
        files: Vec::new(),
        artifacts: Vec::new(),
        artifact_bytes: 0,
        workdir: None,
        user: None,
        users: Vec::new(),
        memory_bytes: 64 * 1024 * 1024,
        pids: 16,
        cpu_millis: None,
        tmp_bytes: 1024 * 1024,
        network: Network::None,
        host_view: std::collections::BTreeSet::new(),
        timeout_ms: 10_000,
        grace_ms: 100,
        log_cap_bytes: 4096,
        pod: crate::Pod::default(),
    };
    let remedy = "look into the agent's log, or use the docker runtime";
    let began = native
        .start(&dir, &spec, &Vec::new())
        .map_err(|error| no(error.to_string(), remedy))?;
    let ended = match began {
        Adopted::Ended(ended) => ended,
        Adopted::Running(handle) => tokio::time::timeout(TRIAL, handle.wait())
            .await
            .map_err(|_| no("a trial step did not end", remedy))?
            .map_err(|error| no(error.to_string(), remedy))?,
    };
    native
        .remove(&dir)
        .map_err(|error| no(error.to_string(), remedy))?;
    match ended {
        Ended::Finished(record) => Ok(*record),
        Ended::NeverStarted(log) => Err(no(format!("the shim failed: {log}"), remedy)),
        Ended::Lost => Err(no("the shim was lost", remedy)),
    }
}
