//! Secrets are taken out of the environment before anything else happens.
//!
//! `/proc/PID/environ` shows the environment that a process was started with, whatever it does later. So the process
//! puts the values into memory of its own, executes itself again without them, and reads them back there.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, Write},
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::Command,
};

use nix::sys::memfd::{MFdFlags, memfd_create};
use types::Secret;

/// Names the descriptor for the process that was executed again. No secret itself.
const HANDED: &str = "FIREHALL_SECRETS_FD";
/// How the memory is named, so that no other descriptor is taken for it.
const MEMORY: &str = "firehall-secrets";

/// Takes the named variables out of the environment. To be called first in `main`, before any thread: where one of
/// them is set, this process is executed again without it and the call does not return there.
///
/// # Errors
/// A value is not UTF-8, or the process cannot be executed again: it must not go on then.
pub fn take_secrets(names: &[&str]) -> io::Result<BTreeMap<String, Secret>> {
    let mut taken = match env::var(HANDED) {
        Ok(fd) => receive(&fd)?,
        Err(_) => BTreeMap::new(),
    };
    let set: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| env::var_os(name).is_some())
        .collect();
    if set.is_empty() {
        return Ok(taken);
    }
    for name in &set {
        let value = env::var(name)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{name}: not valid UTF-8")))?;
        taken.insert((*name).to_owned(), Secret::new(value));
    }
    Err(execute_again(&taken, &set))
}

/// Nobody may read this process's memory, attach to it or dump it (prctl(2), `PR_SET_DUMPABLE`), its user's other
/// processes included.
///
/// # Errors
/// When the kernel refuses.
pub fn be_undumpable() -> io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(false)?)
}

fn execute_again(secrets: &BTreeMap<String, Secret>, names: &[&str]) -> io::Error {
    let memory = match hand_over(secrets) {
        Ok(memory) => memory,
        Err(error) => return error,
    };
    let program = env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let mut args = env::args_os();
    let mut command = Command::new(program);
    command
        .arg0(args.next().unwrap_or_else(|| OsString::from("firehall")))
        .args(args);
    for name in names {
        command.env_remove(name);
    }
    command.env(HANDED, memory.as_raw_fd().to_string());
    // Returns only when it failed.
    command.exec()
}

fn hand_over(secrets: &BTreeMap<String, Secret>) -> io::Result<File> {
    let plain: BTreeMap<&str, &str> = secrets
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    let mut json = serde_json::to_vec(&plain)?;
    // Not closed on exec: that is how it gets there.
    let mut memory = File::from(memfd_create(MEMORY, MFdFlags::empty())?);
    memory.write_all(&json)?;
    json.fill(0);
    memory.rewind()?;
    Ok(memory)
}

fn receive(fd: &str) -> io::Result<BTreeMap<String, Secret>> {
    let wrong = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{HANDED}: not ours; unset it"),
        )
    };
    let number: i32 = fd.parse().map_err(|_| wrong())?;
    let path = format!("/proc/self/fd/{number}");
    let target = std::fs::read_link(&path).map_err(|_| wrong())?;
    if number < 3 || !target.to_string_lossy().starts_with(&format!("/memfd:{MEMORY}")) {
        return Err(wrong());
    }
    let mut memory = File::options().read(true).write(true).open(&path)?;
    let mut json = Vec::new();
    memory.read_to_end(&mut json)?;
    // Emptied, so that a child that inherits the descriptor finds nothing; then closed.
    memory.set_len(0)?;
    nix::unistd::close(number)?;
    let plain: BTreeMap<String, String> = serde_json::from_slice(&json).unwrap_or_default();
    json.fill(0);
    Ok(plain
        .into_iter()
        .map(|(name, value)| (name, Secret::new(value)))
        .collect())
}
