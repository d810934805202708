//! Whether a service is ready: looked at by our pid 1 from inside its container, in processes of their own, as its own
//! user. Nobody outside has to live for it.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use serde::{Deserialize, Serialize};
use types::{Millis, Ready, ReadyCheck, limits};

use crate::{ContainerSpec, Program, StartError, clock, sys};

/// How long the kernel may take to say whether somebody listens on the loopback.
const CONNECT: Duration = Duration::from_secs(5);
/// The exit code of a look that could not even begin.
const NOT_BEGUN: i32 = 127;

/// What came of the looking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// It is ready, this long after its start.
    Ready(Millis),
    /// Its time is over: what the last look said.
    GaveUp(String),
}

/// Looks again and again. For a process with a single thread.
pub struct Prober {
    check: Check,
    interval: Duration,
    begun: Duration,
    until: Duration,
    next: Duration,
    looking: Option<Look>,
    last: String,
}

enum Check {
    /// Whoever is asked is there.
    Begun,
    Tcp(u16),
    Command(Box<Program>),
}

struct Look {
    pid: Pid,
    until: Duration,
}

impl Prober {
    /// From a spec; none when nobody asks whether it is ready. `base` and `secrets` as for the program itself.
    ///
    /// # Errors
    /// A NUL byte in the command, or no filter for this processor.
    pub fn new(
        spec: &ContainerSpec,
        base: &[(String, String)],
        secrets: &[(String, String)],
    ) -> Result<Option<Self>, StartError> {
        let (check, ready) = match &spec.pod.ready {
            None if spec.pod.holds => (Check::Begun, None),
            None => return Ok(None),
            Some(ready) => {
                let check = match &ready.check {
                    ReadyCheck::Tcp(port) => Check::Tcp(*port),
                    ReadyCheck::Command(argv) => {
                        let mut look = spec.clone();
                        look.argv.clone_from(argv);
                        Check::Command(Box::new(Program::new(&look, base, secrets)?))
                    }
                };
                (check, Some(ready))
            }
        };
        let ms = |of: fn(&Ready) -> Millis, or| Duration::from_millis(ready.map_or(or, of));
        let timeout = ms(|ready| ready.timeout_ms, limits::READY_TIMEOUT_MS);
        let now = clock::boot();
        Ok(Some(Self {
            check,
            interval: ms(|ready| ready.interval_ms, limits::READY_INTERVAL_MS),
            begun: now,
            until: now + timeout,
            next: now,
            looking: None,
            last: "nobody has looked yet".to_owned(),
        }))
    }

    /// Its time begins now: its program is about to run.
    pub fn begin(&mut self) {
        let now = clock::boot();
        self.until = now + (self.until - self.begun);
        (self.begun, self.next) = (now, now);
    }

    /// Until when nothing has to be done here.
    #[must_use]
    pub fn wake(&self) -> Duration {
        let next = self.looking.as_ref().map_or(self.next, |look| look.until);
        next.min(self.until)
    }

    /// Does what is due. What it answers is its last word: it is to be dropped then.
    pub fn turn(&mut self) -> Option<Readiness> {
        let now = clock::boot();
        if matches!(self.check, Check::Begun) {
            return Some(Readiness::Ready(0));
        }
        if now >= self.until {
            self.end_look();
            return Some(Readiness::GaveUp(std::mem::take(&mut self.last)));
        }
        match &self.looking {
            Some(look) if now >= look.until => {
                self.end_look();
                self.last = format!("a look had no answer within {} ms", limits::READY_LOOK_MS);
            }
            None if now >= self.next => {
                self.next = now + self.interval;
                match self.look() {
                    Ok(pid) => {
                        let until = now + Duration::from_millis(limits::READY_LOOK_MS);
                        self.looking = Some(Look { pid, until });
                    }
                    Err(error) => self.last = format!("no process for a look: {}", error.desc()),
                }
            }
            Some(_) | None => {}
        }
        None
    }

    /// A child has ended: whether it was ours, and what came of it.
    pub fn reaped(&mut self, status: WaitStatus) -> Option<Readiness> {
        let look = self.looking.take_if(|look| status.pid() == Some(look.pid))?;
        // What it left behind of its own.
        let _none = killpg(look.pid, Signal::SIGKILL);
        let code = match status {
            WaitStatus::Exited(_, 0) => {
                let lasted = clock::boot().saturating_sub(self.begun);
                return Some(Readiness::Ready(
                    Millis::try_from(lasted.as_millis()).unwrap_or(Millis::MAX),
                ));
            }
            WaitStatus::Exited(_, code) => code,
            WaitStatus::Signaled(_, signal, _) => {
                self.last = format!("the last look was ended by {signal}");
                return None;
            }
            _ => return None,
        };
        self.last = match &self.check {
            Check::Tcp(port) => format!("port {port}: {}", Errno::from_raw(code).desc()),
            Check::Command(_) | Check::Begun => format!("its command had exit code {code}"),
        };
        None
    }

    fn end_look(&mut self) {
        if let Some(look) = self.looking.take() {
            // It is reaped like every other child.
            let _gone = killpg(look.pid, Signal::SIGKILL);
        }
    }

    fn look(&self) -> nix::Result<Pid> {
        match sys::fork_single_threaded()? {
            Some(pid) => Ok(pid),
            None => sys::exit_now(match &self.check {
                Check::Begun => 0,
                Check::Tcp(port) => apart().map_or(NOT_BEGUN, |()| connect(*port)),
                Check::Command(program) => {
                    // The exit code says why not.
                    let _why = apart().map(|()| program.execute());
                    NOT_BEGUN
                }
            }),
        }
    }
}

/// In the forked process: a group of its own, and nothing of its streams in anybody's log.
fn apart() -> std::io::Result<()> {
    setsid()?;
    // A copy's number is above those that it is to be copied to; the first may be one of them.
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?
        .try_clone()?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

/// 0, or why nobody answers.
fn connect(port: u16) -> i32 {
    let mut why = libc::ECONNREFUSED;
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        match TcpStream::connect_timeout(&SocketAddr::new(ip, port), CONNECT) {
            Ok(_) => return 0,
            Err(error) if ip.is_ipv4() => why = error.raw_os_error().unwrap_or(libc::ETIMEDOUT),
            Err(_) => {}
        }
    }
    why
}
