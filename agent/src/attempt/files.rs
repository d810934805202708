//! The files of a step, put into the attempt's directory before its start: the runtime mounts them from there, and they go
//! with it. They are data of the workflow's, as its environment is; secrets have their own way.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use runtime::{AttemptDir, SpecFile};
use types::{ContainerWork, Failure, FailureKind, FileFrom};

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
/// The disk refuses: nothing has begun.
pub(super) async fn put(dir: &Path, container: &ContainerWork) -> Result<(), Failure> {
    if container.files.is_empty() {
        return Ok(());
    }
    let (dir, container) = (dir.to_owned(), container.clone());
    let failed = |why: String| {
        Failure::new(
            FailureKind::Start,
            format!("the step's files cannot be put on the disk of its agent: {why}"),
        )
    };
    match node::blocking::run(move || put_all(&AttemptDir::new(dir), &container)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn put_all(dir: &AttemptDir, container: &ContainerWork) -> io::Result<()> {
    dir.make_files()?;
    for (n, file) in container.files.values().enumerate() {
        let path = dir.file(n);
        match fs_err::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut open = File::options()
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(&path)?;
        match &file.from {
            FileFrom::Content(content) => open.write_all(content.as_bytes())?,
        }
    }
    Ok(())
}
