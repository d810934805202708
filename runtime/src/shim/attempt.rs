//! One attempt from nothing to its record: make everything, start, watch, take everything away.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, renameat2};
use nix::unistd::pipe2;

use super::container::{self, Created};
use super::init::Plan;
use super::line;
use super::setup::Shim;
use super::stage::{self, Stage};
use super::status::{Said, Status};
use super::watch::{self, Seen, Streams};
use crate::artifacts::{collect as collect_all, refuse_all};
use crate::attempt_dir::{RUN_FILE_BYTES, read_small, sync_dir};
use crate::cgroup::{Facts, Group, Limits};
use crate::slot::Ids;
use crate::{ExitRecord, Hardening, LimitsBy, Network, StartError, StartErrorKind, clock, egress};

/// How long the kernel may take to clear an emptied cgroup.
const DESTROY: Duration = Duration::from_secs(5);

/// Runs it. Whatever goes wrong before the start is a start error of the record.
pub(super) fn run(shim: &Shim) -> ExitRecord {
    let begun = clock::boot();
    let mut record = ExitRecord {
        attempt: name(&shim.path),
        started_at_ms: clock::wall_ms(),
        image_digest: shim.rootfs.as_ref().map(|rootfs| rootfs.digest.clone()),
        ..ExitRecord::default()
    };
    if let Err(error) = guarded(shim, &mut record) {
        record.stopped |= error.kind == StartErrorKind::Stopped;
        record.start_error = Some(error);
    }
    record.finished_at_ms = clock::wall_ms();
    record.duration_ms = millis(clock::boot().saturating_sub(begun));
    record
}

/// None where it is no text: then it is taken for whose directory it lies in.
fn name(dir: &Path) -> Option<String> {
    dir.file_name()?.to_str().map(str::to_owned)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The cgroup exists from before the container to after it, on every path.
fn guarded(shim: &Shim, record: &mut ExitRecord) -> Result<(), StartError> {
    shim.spec
        .validate()
        .map_err(|error| StartError::new(StartErrorKind::Spec, error.to_string()))?;
    let group = Group::open(&shim.layout, &shim.spec.id, shim.spec.cpu_millis.is_some())
        .map_err(|error| StartError::runtime("cgroup", error))?;
    group
        .create()
        .map_err(|error| StartError::runtime("cannot make the cgroup", error))?;
    let outcome = contained(shim, &group, record);
    // A cgroup that stays is found again by `remove`; it must not hide how the step ended.
    if let Err(error) = group.destroy(DESTROY) {
        eprintln!("firehall shim: {error}");
    }
    outcome
}

fn contained(shim: &Shim, group: &Group, record: &mut ExitRecord) -> Result<(), StartError> {
    let ids = Ids::take().map_err(|error| StartError::runtime("no user id range", error))?;
    let mut stage =
        stage::enter(shim).map_err(|error| StartError::runtime("cannot prepare the mounts", error))?;
    let who = stage.who(shim)?;
    let (user, group_id) = (ids.owner(who.uid), ids.owner(who.gid));
    make_run_files(&stage.io, user, group_id)
        .map_err(|error| StartError::runtime("cannot make the output files", error))?;
    stage
        .give_files(user, group_id)
        .map_err(|error| StartError::runtime("cannot give the step its files", error))?;
    stage.secrets = stage::secret_files(shim, user, group_id)
        .map_err(|error| StartError::runtime("cannot make the files of secrets", error))?;
    stage.tmp = stage::kept_tmp(shim, ids.owner(0))
        .map_err(|error| StartError::runtime("cannot make the step's /tmp", error))?;
    let pipes = Pipes::new(user).map_err(|error| StartError::runtime("cannot make pipes", error))?;
    let streams = Streams::open(shim, pipes.out_read, pipes.err_read)
        .map_err(|error| StartError::runtime("cannot open the log files", error))?;
    let plan = Plan::new(
        shim,
        &who,
        &pipes.status_write,
        &pipes.alive_read,
        &pipes.alive_write,
    )?;
    if let Some(holder) = &shim.spec.pod.network_of {
        line::join(holder).map_err(|error| StartError::runtime("cannot join the step's network", error))?;
    }
    let mut created = container::create(
        shim,
        &stage,
        &ids,
        &who,
        group,
        plan,
        pipes.out_write,
        pipes.err_write,
    )?;
    drop(pipes.status_write);
    let mut status = Status::new(pipes.status_read)
        .map_err(|error| StartError::runtime("cannot read the status pipe", error))?;
    let outcome = started(shim, group, record, &mut created, &ids, &stage);
    let (seen, setup_cpu) = match outcome {
        Ok(setup_cpu) => (
            watch::until_end(shim, created.pid, streams, &mut status),
            setup_cpu,
        ),
        Err(error) => {
            container::kill(created.pid);
            return Err(error);
        }
    };
    // The container's end is known now; what follows must not lose it.
    account(shim, group, record, &seen, setup_cpu);
    collect(shim, &stage, record);
    keep(shim, &stage, record);
    judge(record, &seen, status.finish(), &ids)
}

/// From created to started: limits, the last look at the stop wish, the durable marker, go. Returns the processor time
/// that making the container took, which is not the step's.
fn started(
    shim: &Shim,
    group: &Group,
    record: &mut ExitRecord,
    created: &mut Created,
    ids: &Ids,
    stage: &Stage,
) -> Result<Duration, StartError> {
    let spec = &shim.spec;
    let limits = Limits {
        memory_bytes: spec.memory_bytes,
        pids: u64::from(spec.pids) + 1,
        cpu_millis: spec.cpu_millis,
    };
    group
        .limit(limits)
        .map_err(|error| StartError::runtime("cannot set the limits", error))?;
    let facts = group
        .facts()
        .map_err(|error| StartError::runtime("cannot read the limits back", error))?;
    record.hardening = Some(Hardening {
        no_new_privs: false,
        seccomp: 0,
        cap_effective: String::new(),
        cap_bounding: String::new(),
        host_uid_base: ids.first(),
        host_ids: ids.kind(),
        memory_limit_bytes: facts.memory_limit,
        pids_limit: facts.pids_limit,
        limits: LimitsBy::default(),
    });
    if group.is_there() && !in_force(&facts, limits) {
        return Err(StartError::new(
            StartErrorKind::Hardening,
            "the cgroup does not hold the limits that were set",
        ));
    }
    let names = match (spec.network, ids) {
        _ if spec.pod.network_of.is_some() => None,
        (Network::Egress, Ids::Slot(slot)) => line::draw(slot, created.pid, &stage.resolvers)
            .map_err(|error| StartError::runtime("cannot make the step's network", error))?,
        (Network::Egress, Ids::Own { .. }) => {
            return Err(StartError::new(StartErrorKind::Spec, egress::NOT_ROOT));
        }
        (Network::None, Ids::Slot(_)) => {
            line::loopback(created.pid)
                .map_err(|error| StartError::runtime("cannot bring up the step's loopback", error))?;
            None
        }
        // Without root nobody may enter the step's network: its loopback stays down.
        (Network::None, Ids::Own { .. }) | (Network::Host, _) => None,
    };
    if shim.dir.stop().exists() {
        return Err(StartError::new(
            StartErrorKind::Stopped,
            "it was stopped before it started",
        ));
    }
    if spec.pod.holds {
        line::offer(shim, created.pid)
            .map_err(|error| StartError::runtime("cannot write down whose network it is", error))?;
    }
    failpoint::reach("shim.started.pre");
    mark_started(shim).map_err(|error| StartError::runtime("cannot write the started marker", error))?;
    failpoint::reach("shim.started.post");
    created
        .start()
        .map_err(|error| StartError::runtime("libcontainer cannot start the container", error))?;
    if let Some(names) = names
        && let Err(error) = names.serve()
    {
        eprintln!("firehall shim: no name server for the step: {error}");
    }
    failpoint::reach("shim.start.post");
    Ok(facts.cpu)
}

/// What the kernel says of the limits that were set.
fn in_force(facts: &Facts, limits: Limits) -> bool {
    facts
        .memory_limit
        .is_some_and(|limit| limit <= limits.memory_bytes)
        && facts.pids_limit == Some(limits.pids)
}

/// From here on the attempt may have run. The marker is an empty file, and is synced all the same: where a file system has
/// no journal, a check removes the entry of a file that never reached the disk. Then its entry, and the directory's own.
fn mark_started(shim: &Shim) -> io::Result<()> {
    let marker = shim.dir.started();
    // The one of an attempt before in this directory, or a new one.
    let renamed = renameat2(
        AT_FDCWD,
        &shim.dir.unstarted(),
        AT_FDCWD,
        &marker,
        RenameFlags::RENAME_NOREPLACE,
    );
    let mut open = std::fs::File::options();
    open.write(true).mode(0o600);
    if renamed.is_err() {
        open.create_new(true);
    }
    open.open(marker)?.sync_all()?;
    sync_dir(&shim.dir.path().join(".."))?;
    sync_dir(shim.dir.path())
}

/// The ends of the four pipes. `alive` never carries a byte: its write end lives in the shim only.
struct Pipes {
    out_read: OwnedFd,
    out_write: OwnedFd,
    err_read: OwnedFd,
    err_write: OwnedFd,
    status_read: OwnedFd,
    status_write: OwnedFd,
    alive_read: OwnedFd,
    alive_write: OwnedFd,
}

impl Pipes {
    /// The step's own ends belong to its user on the host: opening `/dev/stdout` anew asks for that.
    fn new(user: u32) -> io::Result<Self> {
        let (out_read, out_write) = pipe2(OFlag::O_CLOEXEC)?;
        let (err_read, err_write) = pipe2(OFlag::O_CLOEXEC)?;
        for end in [&out_write, &err_write] {
            fchown(end, Some(user), Some(user))?;
        }
        let (status_read, status_write) = pipe2(OFlag::O_CLOEXEC)?;
        let (alive_read, alive_write) = pipe2(OFlag::O_CLOEXEC)?;
        Ok(Self {
            out_read,
            out_write,
            err_read,
            err_write,
            status_read,
            status_write,
            alive_read,
            alive_write,
        })
    }
}

fn account(shim: &Shim, group: &Group, record: &mut ExitRecord, seen: &Seen, setup_cpu: Duration) {
    match group.facts() {
        Ok(facts) => {
            record.cpu_ms = millis(facts.cpu.saturating_sub(setup_cpu));
            record.oom_kills = facts.oom_kills;
            record.peak_memory_bytes = facts.peak_memory_bytes;
        }
        Err(error) => eprintln!(
            "firehall shim: cannot read the cgroup of {}: {error}",
            shim.spec.id
        ),
    }
    record.stdout = seen.stdout.clone();
    record.stderr = seen.stderr.clone();
    record.timed_out = seen.timed_out;
    record.stopped = seen.stopped;
    record.killed_after_grace = seen.killed;
    record.not_ready.clone_from(&seen.not_ready);
}

/// Copies what the step wrote for us out of its memory file system.
fn collect(shim: &Shim, stage: &Stage, record: &mut ExitRecord) {
    let copy = |name: &str| -> io::Result<()> {
        let bytes = read_small(&stage.io.join(name), RUN_FILE_BYTES)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let run = shim.dir.path().join("run");
        std::fs::create_dir_all(&run)?;
        std::fs::set_permissions(&run, PermissionsExt::from_mode(0o700))?;
        crate::attempt_dir::write_durably(&run, name, &bytes)
    };
    for name in ["output", "degraded"] {
        if let Err(error) = copy(name) {
            // The agent must not take a success whose outputs are gone for one without outputs.
            let message = format!("the step ran, but its {name} file cannot be read: {error}");
            record.start_error = Some(StartError::new(StartErrorKind::Runtime, message));
        }
    }
}

/// Copies what is kept of the step, however it ended.
fn keep(shim: &Shim, stage: &Stage, record: &mut ExitRecord) {
    let Some(tmp) = &stage.tmp else { return };
    let opened = std::fs::File::open(tmp).and_then(|tree| {
        let out = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(shim.dir.artifacts())?;
        Ok((tree, out))
    });
    record.artifacts = match opened {
        Ok((tree, mut out)) => collect_all(&tree, &shim.spec.artifacts, shim.spec.artifact_bytes, &mut out),
        Err(error) => refuse_all(&shim.spec.artifacts, &error),
    };
}

/// What our pid 1 said, beside what the kernel says of it.
fn judge(record: &mut ExitRecord, seen: &Seen, said: Vec<Said>, ids: &Ids) -> Result<(), StartError> {
    let mut told = false;
    for word in said {
        match word {
            Said::Hardening(mut hardening) => {
                let limits = record.hardening.take();
                hardening.host_uid_base = ids.first();
                hardening.host_ids = ids.kind();
                if hardening.limits == LimitsBy::Cgroup {
                    hardening.memory_limit_bytes = limits.as_ref().and_then(|h| h.memory_limit_bytes);
                    hardening.pids_limit = limits.as_ref().and_then(|h| h.pids_limit);
                }
                record.hardening = Some(hardening);
                record.started = true;
            }
            Said::Failed(error) => {
                record.started = false;
                return Err(error);
            }
            // Heard while it ran.
            Said::Readiness(_) => {}
            Said::Exited(code) => (record.code, told) = (Some(code), true),
            Said::Signaled(signal) => (record.signal, told) = (Some(signal), true),
        }
    }
    if !told {
        // Our pid 1 itself was ended: by our own KILL, or by the kernel for memory.
        record.code = seen.init_code;
        record.signal = seen.init_signal;
        if !record.started && record.signal.is_none() {
            return Err(StartError::runtime(
                "the container's first process ended early",
                format!("{:?}", seen.init_code),
            ));
        }
    }
    Ok(())
}

/// Makes the files that the step writes to, owned by its user.
fn make_run_files(dir: &Path, user: u32, group: u32) -> io::Result<()> {
    for name in ["output", "degraded"] {
        let path = dir.join(name);
        std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        chown(&path, Some(user), Some(group))?;
    }
    Ok(())
}
