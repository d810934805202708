//! Paths below a root, and no further.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// While something is mounted or moved anywhere on the host, the kernel may not be able to say that a path stays inside: then it
/// is to be asked again (openat2(2), EAGAIN). As often as libpathrs does.
const TRIES: usize = 128;

/// Opens a path below a root as if that were `/`, with more rules for what it may lead through.
pub(super) fn open(root: impl AsFd, path: &str, flags: OFlag, more: ResolveFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | more);
    let mut tries = 0..TRIES;
    loop {
        match openat2(root.as_fd(), Path::new(path), how) {
            Err(nix::Error::EAGAIN) if tries.next().is_some() => std::thread::yield_now(),
            other => return other,
        }
    }
}
