//! The suite on the native runtime as an ordinary user, whom nobody has prepared anything for: the process becomes one
//! before it does anything else.
#![allow(clippy::unwrap_used, reason = "tests")]

mod subject;

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::ExitCode;

use conformance::Ids;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use runtime::LimitsBy;
use subject::OnThisHost;

/// Nobody's: no host has a user of this number.
const USER: u32 = 61_234;
/// Where it is most unlike root's.
const DIFFERENT: &[&str] = &["hardening", "inside", "limits", "network"];

fn main() -> ExitCode {
    // By its descriptor, since the user need not be able to walk to it.
    let shim = std::fs::File::open(env!("CARGO_BIN_EXE_firehall-shim-test")).unwrap();
    setgroups(&[]).unwrap();
    setresgid(Gid::from_raw(USER), Gid::from_raw(USER), Gid::from_raw(USER)).unwrap();
    setresuid(Uid::from_raw(USER), Uid::from_raw(USER), Uid::from_raw(USER)).unwrap();
    // A process that was another user's is undumpable, and what /proc says of it is root's.
    prctl::set_dumpable(true).unwrap();
    let program = PathBuf::from(format!("/proc/self/fd/{}", shim.as_raw_fd()));
    let subject = OnThisHost {
        shim: program,
        ids: Ids::Agent,
        limits: LimitsBy::Process,
    };
    let code = conformance::main_of(Box::leak(Box::new(subject)), DIFFERENT);
    drop(shim);
    code
}
