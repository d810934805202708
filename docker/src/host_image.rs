//! `image: host` on a daemon: an image that holds the skeleton of the native runtime and nothing else; the host's own
//! trees are bound into it.

use std::path::Path;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;
use runtime::{StartError, skeleton};

use crate::connection::{CALL, Connection};
use crate::image::Usable;

/// The image's name on the daemon; its tag says what went into it. In full: Podman completes a short one otherwise than
/// Docker does.
const REPOSITORY: &str = "localhost/firehall-host";
/// Raised when what is packed changes for the same skeleton.
const VERSION: u32 = 2;

/// Finds the image, or makes it of the skeleton below `state`.
pub(crate) async fn usable(connection: &Connection, state: &Path) -> Result<Usable, StartError> {
    let failed = |what: &'static str| move |error: std::io::Error| StartError::runtime(what, error);
    let root = skeleton::ensure(state).map_err(failed("cannot build the steps' root"))?;
    let tag = root
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix("skeleton-"))
        .unwrap_or("latest");
    let podman = connection.dialect.podman;
    let tag = format!("{VERSION}{}-{tag}", if podman { "p" } else { "" });
    let name = format!("{REPOSITORY}:{tag}");
    let looking = connection.client.inspect_image(&name);
    match connection
        .call("cannot look for the host's image", CALL, looking)
        .await
    {
        Ok(found) => return id(found.id),
        Err(error) if error.status() == Some(404) => {}
        Err(error) => return Err(StartError::runtime("image: host", error)),
    }
    let packed = tokio::task::spawn_blocking(move || pack(&root, podman))
        .await
        .map_err(|error| StartError::runtime("image: host", error))?
        .map_err(failed("cannot pack the steps' root"))?;
    let options = CreateImageOptionsBuilder::default()
        .from_src("-")
        // With its tag in it: Podman 4.3 does not read a tag beside it.
        .repo(&name)
        .build();
    let body = bollard::body_full(packed.into());
    let mut progress = Box::pin(connection.client.create_image(Some(options), Some(body), None));
    let importing = async {
        while let Some(step) = progress.next().await {
            step.map_err(|error| connection.error("cannot import the host's image", &error))?;
        }
        Ok::<(), crate::DockerError>(())
    };
    tokio::time::timeout(CALL, importing)
        .await
        .map_err(|_| StartError::runtime("image: host", "the daemon did not import it in time"))?
        .map_err(|error| StartError::runtime("image: host", error))?;
    let looking = connection.client.inspect_image(&name);
    match connection
        .call("cannot look for the host's image", CALL, looking)
        .await
    {
        Ok(found) => id(found.id),
        Err(error) => Err(StartError::runtime("image: host", error)),
    }
}

fn id(id: Option<String>) -> Result<Usable, StartError> {
    let id = id.ok_or_else(|| StartError::runtime("image: host", "the daemon gave no id"))?;
    Ok(Usable {
        digest: id.clone(),
        id,
        command: Vec::new(),
        user: String::new(),
    })
}

/// The skeleton as a tar: root's, whoever made it, and without times, so that the same host gives the same image. Podman mounts
/// memory on `/run` and `/var/tmp` by itself: were the latter a link to `/tmp`, it would lie on what is mounted below `/tmp`.
fn pack(root: &Path, podman: bool) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.follow_symlinks(false);
    tar.mode(tar::HeaderMode::Deterministic);
    let mut entries = fs_err::read_dir(root)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        if name == "tmp" {
            // What is mounted there gets the mode of what it covers (runc).
            directory(&mut tar, "tmp/", 0o1777)?;
        } else if name == "run" && podman {
            // Memory, too, and closed for the step's root: it has no right to pass modes over.
            directory(&mut tar, "run/", 0o555)?;
        } else if name == "var" && podman {
            directory(&mut tar, "var/", 0o755)?;
            for entry in fs_err::read_dir(entry.path())? {
                let entry = entry?;
                if entry.file_name() != "tmp" {
                    tar.append_path_with_name(entry.path(), Path::new("var").join(entry.file_name()))?;
                }
            }
            directory(&mut tar, "var/tmp/", 0o1777)?;
        } else if entry.file_type()?.is_dir() {
            tar.append_dir_all(name, entry.path())?;
        } else {
            tar.append_path_with_name(entry.path(), name)?;
        }
    }
    tar.into_inner()
}

fn directory(tar: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32) -> std::io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(mode);
    tar.append_data(&mut header, path, std::io::empty())
}
