//! An ordinary user, whom nobody has prepared anything for.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use nix::sys::prctl;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

/// Nobody's: no host has a user of this number.
pub(crate) const USER: u32 = 61_234;

/// This process becomes that user. The shim's program, which is open as long as the file is: by its descriptor, since the
/// user need not be able to walk to it.
pub(crate) fn become_one() -> (File, PathBuf) {
    let shim = File::open(env!("CARGO_BIN_EXE_firehall-shim-test")).unwrap();
    setgroups(&[]).unwrap();
    setresgid(Gid::from_raw(USER), Gid::from_raw(USER), Gid::from_raw(USER)).unwrap();
    setresuid(Uid::from_raw(USER), Uid::from_raw(USER), Uid::from_raw(USER)).unwrap();
    // A process that was another user's is undumpable, and what /proc says of it is root's.
    prctl::set_dumpable(true).unwrap();
    let program = PathBuf::from(format!("/proc/self/fd/{}", shim.as_raw_fd()));
    (shim, program)
}
