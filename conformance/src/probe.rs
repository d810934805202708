//! Ways to try something from inside, and to be told of it outside.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A field of `/proc/PID/status`.
pub(crate) fn field(status: &str, name: &str) -> String {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
        .unwrap_or_default()
        .to_owned()
}

/// What a step says when it calls. Who else connects says nothing: a step of another test that tries each port which listens.
const WORD: &str = "it-runs";

/// A listener on this host that a step calls when it runs.
pub(crate) struct Witness(TcpListener);

impl Witness {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// The call, in bash; the step needs the host's network.
    pub(crate) fn call(&self) -> String {
        let port = self.0.local_addr().unwrap().port();
        format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo {WORD} >&3")
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        let callers = std::iter::from_fn(|| self.0.accept().ok());
        callers.filter(|(stream, _)| !is_silent(stream)).count()
    }
}

/// Whether it went without a word; who is still there is about to say it.
fn is_silent(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    matches!(stream.read(&mut [0; 64]), Ok(0))
}

/// A system call to be tried from inside.
pub(crate) struct Call {
    /// What is tried.
    pub name: &'static str,
    /// Its number on this processor.
    pub number: libc::c_long,
    /// Its arguments in Perl; strings are passed by address.
    pub arguments: &'static str,
}

/// What refuses: the filter, a missing capability, a missing right, a kernel without it.
pub(crate) const REFUSALS: &[i32] = &[libc::EPERM, libc::EACCES, libc::ENOSYS];

/// A Perl program that tries each call in a child of its own and says `name number`: the error, or 0 for a success.
/// Perl is the one program that every Debian has and that can call the kernel with any number.
pub(crate) fn perl(calls: &[Call]) -> String {
    let mut program = String::from(
        "$| = 1; sub try { my ($name, @call) = @_; my $pid = fork; die $! unless defined $pid; \
         if (!$pid) { alarm 20; my $r = syscall(shift @call, @call); print \"$name \", ($r == -1 ? $!+0 : 0), \"\\n\"; \
         require POSIX; POSIX::_exit(0) } waitpid $pid, 0; print \"$name killed\\n\" if $? } \
         my $z = \"\\0\" x 256; my $p = getppid;\n",
    );
    for call in calls {
        let arguments = if call.arguments.is_empty() {
            String::new()
        } else {
            format!(", {}", call.arguments)
        };
        program.push_str(&format!("try('{}', {}{arguments});\n", call.name, call.number));
    }
    program
}
