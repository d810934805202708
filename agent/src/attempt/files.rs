//! The files of a step and of its services, put into their directories before the start: the runtime mounts them from there, and they go
//! with it. They are data of the workflow's, as its environment is; secrets have their own way.

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use runtime::{AttemptDir, SpecFile};
use types::{ContainerWork, Failure, FailureKind, FileFrom, WorkFile};

use super::{Job, artifacts, pod};

/// Files by their path.
type Files = BTreeMap<String, WorkFile>;

/// As the runtime mounts them, in the order in which they are put.
pub(super) fn of(files: &Files) -> Vec<SpecFile> {
    let files = files.iter().map(|(path, file)| SpecFile {
        path: path.clone(),
        mode: file.mode,
    });
    files.collect()
}

/// Puts those of the step and of its services there, over those of a start that did not come about.
///
/// # Errors
/// The disk refuses, or an artifact cannot be had: nothing has begun.
pub(super) async fn put(job: &Job, container: &ContainerWork) -> Result<(), Failure> {
    some(job, &job.dir(), "the step's", &container.files).await?;
    for (name, service) in &container.services {
        let dir = pod::service_dir(&job.dir(), name);
        some(job, &dir, &format!("service {name}'s"), &service.files).await?;
    }
    Ok(())
}

/// Puts files into one container's directory; `whose` is for people.
async fn some(job: &Job, dir: &Path, whose: &str, files: &Files) -> Result<(), Failure> {
    if files.is_empty() {
        return Ok(());
    }
    let dir = AttemptDir::new(dir);
    let failed = |why: String| {
        Failure::new(
            FailureKind::Start,
            format!("{whose} files cannot be put on the disk of its agent: {why}"),
        )
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir.path())
        .and_then(|()| dir.make_files())
        .map_err(|error| failed(error.to_string()))?;
    for (n, (path, file)) in files.iter().enumerate() {
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
