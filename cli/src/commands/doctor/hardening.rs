//! The native runtime: a real container is started with the agent's own runtime, and tells from inside what is in force.

use std::{collections::BTreeMap, path::Path, time::Duration};

use runtime::{Adopted, ContainerSpec, Ended, Hardening, LimitsBy, Native, Network, ShimCommand, Support};

use super::{finding::Report, said};

pub(super) const MEMORY_BYTES: u64 = 64 * 1024 * 1024;
pub(super) const PIDS: u32 = 16;
/// How long the container may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// What the container writes about itself is far shorter.
const OUTPUT_BYTES: u64 = 16 * 1024;
/// What the container says about itself: a name, a colon, what was seen.
pub(super) const QUESTIONS: &str = r#"
grep -E '^(Seccomp|NoNewPrivs|CapEff|CapBnd):' /proc/self/status
echo "User: $(id -u)"
for dir in / /usr /etc; do
  if touch "$dir/firehall-doctor" 2>/dev/null; then echo "Writable: $dir"; rm -f "$dir/firehall-doctor"; fi
done
if touch /tmp/firehall-doctor; then echo "Tmp: writable"; fi
echo "Cgroups:" $(cut -d: -f3 /proc/self/cgroup | sort -u)
echo "Interfaces:" $(sed -n 's/^ *\([^ :]*\):.*/\1/p' /proc/net/dev)
"#;
const CHECKS: [&str; 7] = [
    "hardening.seccomp",
    "hardening.no-new-privs",
    "hardening.capabilities",
    "hardening.root",
    "hardening.user",
    "hardening.network",
    "hardening.limits",
];

pub(super) async fn look(report: &mut Report) {
    let dir = match tempfile::Builder::new().prefix("firehall-doctor-").tempdir() {
        Ok(dir) => dir,
        Err(error) => {
            report.unknown(
                "runtime.native",
                format!("no temporary directory: {error}"),
                "set TMPDIR to one that can be written",
            );
            return none(report);
        }
    };
    match Native::probe(dir.path(), ShimCommand::current()).await {
        Ok(support) => {
            report.ok(
                "runtime.native",
                format!(
                    "a container ran and ended in {} ms, with {}",
                    support.took.as_millis(),
                    support.cgroups
                ),
            );
            loose(report, &support);
        }
        Err(unsupported) => {
            report.error("runtime.native", unsupported.reason, unsupported.remedy);
            return none(report);
        }
    }
    match ask(dir.path()).await {
        Ok((seen, hardening)) => {
            let facts = Facts {
                prefix: "hardening",
                apart: true,
                hardening: hardening.as_ref(),
            };
            judge(report, &seen, &facts);
        }
        Err(reason) => {
            report.error(
                "runtime.native",
                format!("the container that should look around failed: {reason}"),
                "look at the kernel's log; report this when the agent's steps run all the same",
            );
            none(report);
        }
    }
}

/// What this host does not hold or give, where that is so.
fn loose(report: &mut Report, support: &Support) {
    match &support.looser {
        None => report.ok(
            "runtime.limits",
            format!("they hold a step as a whole, by its cgroup ({})", support.cgroups),
        ),
        Some(looser) => report.warning(
            "runtime.limits",
            looser,
            "where steps must be held as a whole, start the agent by a unit with Delegate=yes (docs/operating.md), or as \
             root; this looks at the doctor's own cgroup: `firehall agents` says what an agent found",
        ),
    }
    // host.egress says the one of the network.
    for cannot in support.cannot.iter().filter(|cannot| cannot.field != "network") {
        report.warning(
            "runtime.refuses",
            format!("a step that asks for {} is refused", cannot.what),
            cannot.why.clone(),
        );
    }
}

/// Without a container nothing is known of what would be in force.
fn none(report: &mut Report) {
    for check in CHECKS {
        report.unknown(
            check,
            "no container could be started to look from inside",
            "see runtime.native",
        );
    }
}

pub(super) type Seen = BTreeMap<String, Vec<String>>;

/// Starts the container and reads what it saw.
async fn ask(dir: &Path) -> Result<(Seen, Option<Hardening>), String> {
    let native = Native::open(dir, ShimCommand::current()).map_err(|error| said(&error))?;
    let attempt = dir.join("look-around");
    let id = format!("doctor-{}", std::process::id());
    let spec = ContainerSpec {
        id,
        image: runtime::Image::Host,
        pull: runtime::Pull::default(),
        argv: ["/bin/sh", "-c", QUESTIONS].map(str::to_owned).to_vec(),
        env: Vec::new(),
        secret_files: std::collections::BTreeSet::new(),
        files: Vec::new(),
        artifacts: Vec::new(),
        artifact_bytes: 0,
        workdir: None,
        user: None,
        users: Vec::new(),
        memory_bytes: MEMORY_BYTES,
        pids: PIDS,
        cpu_millis: None,
        tmp_bytes: 1024 * 1024,
        network: Network::None,
        host_view: Default::default(),
        timeout_ms: 10_000,
        grace_ms: 100,
        log_cap_bytes: OUTPUT_BYTES,
        pod: runtime::Pod::default(),
    };
    let ended = match native
        .start(&attempt, &spec, &Vec::new())
        .map_err(|error| said(&error))?
    {
        Adopted::Ended(ended) => ended,
        Adopted::Running(handle) => tokio::time::timeout(PATIENCE, handle.wait())
            .await
            .map_err(|_| format!("it did not end within {PATIENCE:?}"))?
            .map_err(|error| said(&error))?,
    };
    let record = match ended {
        Ended::Finished(record) if record.code == Some(0) => record,
        Ended::Finished(record) => {
            let why = record.start_error.map(|error| error.message);
            return Err(why.unwrap_or_else(|| format!("exit code {:?}", record.code)));
        }
        Ended::NeverStarted(log) => return Err(log),
        Ended::Lost => return Err("it was lost".to_owned()),
    };
    let output = std::fs::read(runtime::AttemptDir::new(&attempt).stdout()).map_err(|error| said(&error))?;
    native.remove(&attempt).map_err(|error| said(&error))?;
    let seen = read(&String::from_utf8_lossy(&output));
    Ok((seen, record.hardening))
}

/// What the container said about itself.
pub(super) fn read(output: &str) -> Seen {
    let mut seen = Seen::new();
    for (name, value) in output.lines().filter_map(|line| line.split_once(':')) {
        seen.entry(name.to_owned())
            .or_default()
            .push(value.trim().to_owned());
    }
    seen
}

/// What is known beside that.
pub(super) struct Facts<'a> {
    /// In front of the checks' names.
    pub prefix: &'static str,
    /// Whether the runtime promises users of the step's own.
    pub apart: bool,
    pub hardening: Option<&'a Hardening>,
}

/// Each promise of the runtime against what was seen.
pub(super) fn judge(report: &mut Report, seen: &Seen, facts: &Facts<'_>) {
    let limits = facts.hardening;
    let of = |name: &str| seen.get(name).map(|values| values.join(" ")).unwrap_or_default();
    let mut hold = |check: &str, asked: &str, holds: bool, in_force: String| {
        let message = format!("asked for: {asked}; in force: {in_force}");
        let check = format!("{}.{check}", facts.prefix);
        if holds {
            report.ok(&check, message);
        } else {
            report.error(
                &check,
                message,
                "do not run steps here that you do not trust; report this",
            );
        }
    };
    let seccomp = of("Seccomp");
    hold(
        "seccomp",
        "a filter of system calls",
        seccomp == "2",
        format!("Seccomp {seccomp}"),
    );
    let no_new = of("NoNewPrivs");
    hold(
        "no-new-privs",
        "no new privileges",
        no_new == "1",
        format!("NoNewPrivs {no_new}"),
    );
    let (effective, bounding) = (of("CapEff"), of("CapBnd"));
    let none = |hex: &str| !hex.is_empty() && hex.chars().all(|digit| digit == '0');
    hold(
        "capabilities",
        "none",
        none(&effective) && none(&bounding),
        format!("CapEff {effective}, CapBnd {bounding}"),
    );
    let writable = of("Writable");
    hold(
        "root",
        "read-only, with a /tmp that can be written",
        writable.is_empty() && of("Tmp") == "writable",
        if writable.is_empty() {
            "/, /usr and /etc refuse writes".to_owned()
        } else {
            format!("{writable} took a write")
        },
    );
    let user = of("User");
    let base = limits.map_or(0, |limits| limits.host_uid_base);
    let own = limits.is_some_and(Hardening::as_agent);
    let each = limits.is_some_and(|limits| limits.limits == LimitsBy::Process);
    hold(
        "user",
        if own {
            "not root; on the host, where no root gives it another, the agent's own user"
        } else if facts.apart {
            "a user of the step's own, neither root nor one of the host's"
        } else {
            "not root (that no user of the host has the number, too, is the daemon's userns-remap)"
        },
        user != "0" && !user.is_empty() && (base >= 65_536 || !facts.apart || own),
        format!(
            "user {user} inside, {} outside",
            user.parse::<u32>()
                .map_or(0, |user| if own { base } else { base + user })
        ),
    );
    let interfaces = of("Interfaces");
    hold(
        "network",
        "none",
        interfaces == "lo",
        format!("interfaces {interfaces}"),
    );
    let memory = limits.and_then(|limits| limits.memory_limit_bytes);
    let pids = limits.and_then(|limits| limits.pids_limit);
    hold(
        "limits",
        &format!("{MEMORY_BYTES} bytes of memory, {PIDS} processes"),
        memory == Some(MEMORY_BYTES) && pids == Some(u64::from(PIDS) + 1),
        match (memory, pids) {
            // Our pid 1 is not the step's.
            (Some(memory), Some(pids)) => format!(
                "{memory} bytes, {} processes, by {}",
                pids.saturating_sub(1),
                if each { "each process" } else { "the cgroup" }
            ),
            _ => "the cgroup does not say".to_owned(),
        },
    );
}
