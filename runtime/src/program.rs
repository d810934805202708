//! The step's program: what it is, what it sees of the environment, and the last acts before it runs. Made before a fork
//! and used after it.

use std::ffi::CString;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{chdir, execve};
use seccompiler::BpfProgram;

use crate::{ContainerSpec, Hardening, HostIds, Image, LimitsBy, StartError, StartErrorKind, seccomp, sys};

/// Where programs are looked up when the step's environment does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program, its environment and its filter of system calls, ready for a forked process.
pub struct Program {
    argv: Vec<CString>,
    env: Vec<CString>,
    candidates: Vec<CString>,
    program: String,
    /// What to do when it is not there.
    where_from: &'static str,
    workdir: CString,
    filter: BpfProgram,
}

impl Program {
    /// From the spec. `base` is the environment that an image brings: it goes before our defaults. The working directory is the spec's, else `/tmp`.
    ///
    /// # Errors
    /// A NUL byte, or no filter for this processor.
    pub fn new(
        spec: &ContainerSpec,
        base: &[(String, String)],
        secrets: &[(String, String)],
    ) -> Result<Self, StartError> {
        let filter = seccomp::program().map_err(|error| StartError::runtime("seccomp", error))?;
        let env = environment(base, spec, secrets);
        let program = spec.argv.first().cloned().unwrap_or_default();
        let path = env
            .iter()
            .rev()
            .find(|(name, _)| name == "PATH")
            .map_or(PATH, |(_, value)| value.as_str());
        let candidates = candidates(&program, path)
            .into_iter()
            .map(text)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            argv: spec.argv.iter().cloned().map(text).collect::<Result<_, _>>()?,
            env: env
                .iter()
                .map(|(name, value)| text(format!("{name}={value}")))
                .collect::<Result<_, _>>()?,
            candidates,
            program,
            where_from: match spec.image {
                Image::Host => "install it on the agent's host below /usr, or check PATH",
                Image::Oci(_) => {
                    "the image does not have it, or it needs a loader that the image does not have: check PATH or take another image"
                }
            },
            workdir: text(spec.workdir.clone().unwrap_or_else(|| "/tmp".to_owned()))?,
            filter,
        })
    }

    /// Installs the filter in this process and proves that it, no new privileges and no capabilities hold: a step that
    /// is not contained is not run. The limits are left open. A process without a program is contained alike.
    ///
    /// # Errors
    /// Something is not in force.
    pub fn contain(program: Option<&Self>) -> Result<Hardening, StartError> {
        let failed = |what: &str, cause: String| {
            StartError::new(StartErrorKind::Hardening, format!("{what}: {cause}"))
        };
        let own;
        let filter = match program {
            Some(program) => &program.filter,
            None => {
                own = seccomp::program().map_err(|error| failed("seccomp", error))?;
                &own
            }
        };
        seccompiler::apply_filter(filter).map_err(|error| failed("seccomp", error.to_string()))?;
        let status = std::fs::read_to_string("/proc/self/status")
            .map_err(|error| failed("/proc/self/status", error.to_string()))?;
        let field = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        let found = Hardening {
            no_new_privs: field("NoNewPrivs") == "1",
            seccomp: field("Seccomp").parse().unwrap_or(0),
            cap_effective: field("CapEff"),
            cap_bounding: field("CapBnd"),
            host_uid_base: 0,
            host_ids: HostIds::Range,
            memory_limit_bytes: None,
            pids_limit: None,
            limits: LimitsBy::Cgroup,
        };
        let none = |caps: &str| !caps.is_empty() && caps.chars().all(|digit| digit == '0');
        let caps = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
        if !found.no_new_privs || found.seccomp != 2 || !caps.iter().all(|set| none(&field(set))) {
            return Err(failed("not in force", format!("{found:?}")));
        }
        Ok(found)
    }

    /// In the main process: becomes the program, or says why not.
    #[must_use]
    pub fn execute(&self) -> StartError {
        // Rust ignores SIGPIPE, and an ignored signal stays ignored over exec.
        if let Err(error) = sys::reset_signal(Signal::SIGPIPE) {
            return StartError::runtime("cannot reset SIGPIPE", error);
        }
        if let Err(error) = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None) {
            return StartError::runtime("cannot unblock signals", error);
        }
        if let Err(error) = chdir(self.workdir.as_c_str()) {
            let dir = self.workdir.to_string_lossy();
            return StartError::new(
                StartErrorKind::Workdir,
                format!("cannot enter the working directory {dir}: {}", error.desc()),
            );
        }
        let mut refused = None;
        for candidate in &self.candidates {
            let Err(error) = execve(candidate, &self.argv, &self.env);
            match error {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES => refused = Some(error),
                _ => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let program = &self.program;
        match refused {
            None => StartError::new(
                StartErrorKind::NotFound,
                format!("program {program:?} not found: {}", self.where_from),
            ),
            Some(error) => StartError::new(
                StartErrorKind::NotExecutable,
                format!("program {program:?} cannot be executed: {}", error.desc()),
            ),
        }
    }
}

fn text(text: String) -> Result<CString, StartError> {
    CString::new(text).map_err(|_| {
        StartError::new(
            StartErrorKind::Spec,
            "a NUL byte in the program, its arguments or its environment",
        )
    })
}

/// Defaults, what the image says, then the step's own, then secrets: a later name takes the place of an earlier one.
fn environment(
    base: &[(String, String)],
    spec: &ContainerSpec,
    secrets: &[(String, String)],
) -> Vec<(String, String)> {
    let defaults = [
        ("PATH", PATH),
        ("HOME", "/tmp"),
        ("FIREHALL_OUTPUT", "/run/firehall/output"),
        ("FIREHALL_DEGRADED", "/run/firehall/degraded"),
    ];
    let mut env: Vec<(String, String)> = Vec::new();
    let defaults = defaults
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    for (name, value) in defaults
        .chain(base.iter().cloned())
        .chain(spec.env.iter().cloned())
        .chain(
            secrets
                .iter()
                .filter(|(name, _)| !spec.secret_files.contains(name))
                .cloned(),
        )
    {
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => env.push((name, value)),
        }
    }
    env
}

/// A name with a slash is a path; any other is looked up, as execvp(3) does.
fn candidates(program: &str, path: &str) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    path.split(':')
        .filter(|dir| !dir.is_empty())
        .map(|dir| format!("{dir}/{program}"))
        .collect()
}
