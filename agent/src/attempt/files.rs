//! The files of a step, put into the attempt's directory before its start: the runtime mounts them from there, and they go
//! with it. They are data of the workflow's, as its environment is; secrets have their own way.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use runtime::{AttemptDir, SpecFile};
use types::{ContainerWork, Failure, FailureKind, FileFrom};

use super::{Job, artifacts};

/// As the runtime mounts them, in the order in which they are put.
pub(super) fn of(container: &ContainerWork) -> Vec<SpecFile> {
    let files = container.files.iter().map(|(path, file)| SpecFile {
        path: path.clone(),
        mode: file.mode,
    });
    files.collect()
}

/// Puts them there, over those of a start that did not come about.
///
/// # Errors
/// The disk refuses, or an artifact cannot be had: nothing has begun.
pub(super) async fn put(job: &Job, container: &ContainerWork) -> Result<(), Failure> {
    if container.files.is_empty() {
        return Ok(());
    }
    let dir = AttemptDir::new(job.dir());
    let failed = |why: String| {
        Failure::new(
            FailureKind::Start,
            format!("the step's files cannot be put on the disk of its agent: {why}"),
        )
    };
    dir.make_files().map_err(|error| failed(error.to_string()))?;
    for (n, (path, file)) in container.files.iter().enumerate() {
        let at = dir.file(n);
        match &file.from {
            FileFrom::Content(content) => {
                let content = content.clone();
                let written = node::blocking::run(move || fresh(&at)?.write_all(content.as_bytes())).await;
                written
                    .map_err(|error| failed(error.to_string()))?
                    .map_err(|error| failed(error.to_string()))?;
            }
            FileFrom::Artifact(artifact) => {
                let open = fresh(&at).map_err(|error| failed(error.to_string()))?;
                artifacts::fetch(job, artifact, open).await.map_err(|why| {
                    let what = format!("{path} (artifact {} of {})", artifact.name, artifact.step);
                    failed(format!("{what}: {why}"))
                })?;
            }
        }
    }
    Ok(())
}

fn fresh(path: &PathBuf) -> io::Result<File> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)
}
