//! Secrets that a program prints: a password manager's, a cloud's.

use std::{process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStdout, Command},
};

use super::{SECRET_BYTES, error::Cause};

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs it: no shell, no input, standard error to nobody (it may hold the value), its whole process group ended with it.
pub(super) async fn run(argv: &[String]) -> Result<Vec<u8>, Cause> {
    let Some((program, args)) = argv.split_first() else {
        return Err(Cause::lasting("the command is empty"));
    };
    let mut child = Command::new(program)
        .args(args)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Cause::lasting(format!("it cannot be started: {error}")))?;
    let group = Group(child.id());
    let Some(stdout) = child.stdout.take() else {
        return Err(Cause::passing("it has no standard output"));
    };
    let ended = tokio::time::timeout(PATIENCE, output(&mut child, stdout)).await;
    drop(group);
    ended.unwrap_or_else(|_| {
        Err(Cause::passing(format!(
            "it did not end within {} s and was killed",
            PATIENCE.as_secs()
        )))
    })
}

async fn output(child: &mut Child, stdout: ChildStdout) -> Result<Vec<u8>, Cause> {
    let mut bytes = Vec::new();
    // What is longer is refused by whoever takes it; the program is not waited for then.
    let most = SECRET_BYTES as u64 + 3;
    let read = stdout.take(most).read_to_end(&mut bytes).await;
    read.map_err(|error| Cause::passing(format!("its output cannot be read: {error}")))?;
    if bytes.len() as u64 == most {
        return Ok(bytes);
    }
    let status = child
        .wait()
        .await
        .map_err(|error| Cause::passing(format!("its end cannot be seen: {error}")))?;
    if status.success() {
        Ok(bytes)
    } else {
        Err(Cause::passing(format!(
            "it ended with {status}; run it by hand as the agent's user to see why"
        )))
    }
}

/// Ends what the program started, however this ends.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let Some(pid) = self.0.and_then(|pid| i32::try_from(pid).ok()) else {
            return;
        };
        // ESRCH: all are gone.
        let _gone = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}
