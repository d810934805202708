//! The process that owns one attempt: it starts the container, pumps its output, enforces its time, and writes down how
//! it ended. Single-threaded for its whole life (libcontainer forks without exec).

mod attempt;
mod container;
mod files;
mod ground;
mod init;
mod inside;
mod line;
mod oci;
mod overlay;
mod pump;
mod resolver;
mod serve;
mod setup;
mod stage;
mod status;
mod user;
mod watch;

use std::io;
use std::path::Path;
use std::process::ExitCode;

pub use init::NO_COMMAND;
pub use pump::Pump;
pub use serve::serve;
pub(crate) use setup::Job;

use crate::attempt_dir::{reserve_record, write_record};

/// Runs the attempt that lives in `dir` to its end. The binary calls this as `… shim DIR` before it makes a thread or a
/// runtime: a second thread would make the forks below unsound.
///
/// Standard input is the locked lock file, standard output a memory file with the secrets, standard error the log: it
/// is started by [`crate::Native`] only.
#[must_use]
pub fn main(dir: &Path) -> ExitCode {
    if recorded(dir) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether it came to a record.
fn recorded(dir: &Path) -> bool {
    match run(dir) {
        Ok(()) => true,
        Err(error) => {
            // The log is all that is left: without exit.json the agent sees "lost" or "never started", which is true.
            eprintln!("firehall shim: {error}");
            false
        }
    }
}

fn run(dir: &Path) -> io::Result<()> {
    let shim = setup::setup(dir)?;
    failpoint::reach("shim.setup");
    // Before anything can run: the step itself may fill the disk, and how it ended must be written all the same.
    reserve_record(shim.dir.path())?;
    let record = attempt::run(&shim);
    failpoint::reach("shim.exit.pre");
    let json = serde_json::to_vec_pretty(&record).map_err(io::Error::other)?;
    write_record(shim.dir.path(), json)?;
    failpoint::reach("shim.exit.post");
    Ok(())
}
