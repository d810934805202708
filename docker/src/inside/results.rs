//! What leaves the container: the record, and what the step wrote for us.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use runtime::kit::{collect_artifacts, read_small, refuse_artifacts};
use runtime::{ContainerSpec, ExitRecord, RUN_FILE_BYTES, StartError, StartErrorKind};

use types::ARTIFACT_TREE;

use crate::wire::Left;

/// Where the step writes its outputs: a memory file system of [`RUN_FILE_BYTES`].
pub(crate) const RUN: &str = "/run/firehall";

/// Makes the files that the step writes to.
pub(super) fn make() -> io::Result<()> {
    for name in ["output", "degraded"] {
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(Path::new(RUN).join(name))?;
    }
    Ok(())
}

/// Copies what the step wrote out of the container. The step may have put anything there: a link, a FIFO, too much.
pub(super) fn collect(name: &str, mut to: File, record: &mut ExitRecord) {
    let copied = read_small(&Path::new(RUN).join(name), RUN_FILE_BYTES).and_then(|bytes| {
        to.write_all(&bytes)?;
        if bytes.is_empty() { Ok(()) } else { to.sync_data() }
    });
    if let Err(error) = copied {
        // The agent must not take a success whose outputs are gone for one without outputs.
        let message = format!("the step ran, but its {name} file cannot be read: {error}");
        record.start_error = Some(StartError::new(StartErrorKind::Runtime, message));
    }
}

/// Copies what is kept of the step out of the container, however it ended.
pub(super) fn keep(spec: &ContainerSpec, mut to: File, record: &mut ExitRecord) {
    if spec.artifacts.is_empty() {
        return;
    }
    record.artifacts = match File::open(ARTIFACT_TREE) {
        Ok(tree) => collect_artifacts(&tree, &spec.artifacts, spec.artifact_bytes, &mut to),
        Err(error) => refuse_artifacts(&spec.artifacts, &error),
    };
}

/// Writes the record. The newline says that it is whole.
pub(super) fn leave(mut to: File, left: &Left) -> io::Result<()> {
    let mut json = serde_json::to_vec(left)?;
    json.push(b'\n');
    to.write_all(&json)?;
    to.sync_all()
}
