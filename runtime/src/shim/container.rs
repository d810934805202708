//! The only file that knows libcontainer: from configuration to a process that waits for its start.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use nix::sys::signal::{Signal, kill as send};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::init::{self, Plan};
use super::oci;
use super::setup::Shim;
use super::stage::Stage;
use crate::Who;
use crate::causes::with_causes;
use crate::cgroup::Group;
use crate::slot::Ids;
use crate::{StartError, sys};

/// A container whose first process waits.
pub(super) struct Created {
    container: Container,
    /// Its first process, a child of ours.
    pub pid: Pid,
}

impl Created {
    /// Lets it go on to [`init::run`].
    pub(super) fn start(&mut self) -> Result<(), String> {
        self.container.start().map_err(|error| with_causes(&error))
    }
}

/// Makes the container. The shim itself sits in the step's cgroup meanwhile, so that everything made is in it from its
/// first instant and the cgroup namespace begins there.
pub(super) fn create(
    shim: &Shim,
    stage: &Stage,
    ids: &Ids,
    who: &Who,
    group: &Group,
    plan: Plan,
    stdout: OwnedFd,
    stderr: OwnedFd,
) -> Result<Created, StartError> {
    let config = oci::config(shim, stage, ids, who).to_string();
    std::fs::write(stage.bundle.join("config.json"), config)
        .map_err(|error| StartError::runtime("cannot write the bundle", error))?;
    let built = group
        .visit(|| build(shim, stage, plan, stdout, stderr))
        .map_err(|error| StartError::runtime("cannot enter or leave the step's cgroup", error))?;
    match built {
        Ok(container) => match container.pid() {
            Some(pid) => Ok(Created {
                pid: Pid::from_raw(pid.as_raw()),
                container,
            }),
            None => Err(StartError::runtime(
                "libcontainer made a container without a process",
                shim.spec.id.as_str(),
            )),
        },
        Err(error) => {
            reap();
            Err(StartError::runtime(
                "libcontainer cannot create the container",
                error,
            ))
        }
    }
}

fn build(
    shim: &Shim,
    stage: &Stage,
    plan: Plan,
    stdout: OwnedFd,
    stderr: OwnedFd,
) -> Result<Container, String> {
    let builder = ContainerBuilder::new(shim.spec.id.clone(), SyscallType::default())
        .with_executor(Pid1 { plan })
        .with_root_path(&stage.state)
        .map_err(|error| with_causes(&error))?
        .with_stdout(stdout)
        .with_stderr(stderr);
    builder
        .as_init(&stage.bundle)
        .with_systemd(false)
        .build()
        .map_err(|error| with_causes(&error))
}

/// Ends a container that waits or runs, and its zombies.
pub(super) fn kill(pid: Pid) {
    if let Err(error) = send(pid, Signal::SIGKILL) {
        eprintln!("firehall shim: cannot kill the container: {error}");
    }
    // Bounded by the kernel: KILL to the first process ends the whole namespace.
    if let Err(error) = waitpid(pid, None) {
        eprintln!("firehall shim: cannot wait for the container: {error}");
    }
    reap();
}

/// A failed build leaves children behind (NATIVE: two zombies).
fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status.pid().is_none() {
            break;
        }
    }
}

/// What libcontainer runs where it would execute the program: our pid 1.
#[derive(Clone)]
struct Pid1 {
    plan: Plan,
}

impl Executor for Pid1 {
    fn exec(&self, _spec: &Spec) -> Result<(), ExecutorError> {
        sys::exit_now(init::run(&self.plan))
    }

    /// Runs in the new process before it says that it is ready: from here on it dies with the shim.
    fn validate(&self, _spec: &Spec) -> Result<(), ExecutorValidationError> {
        init::die_with_shim(&self.plan).map_err(ExecutorValidationError::ArgValidationError)
    }

    /// The environment is made for the main process alone; nothing of it is in pid 1's.
    fn setup_envs(&self, _envs: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }
}
