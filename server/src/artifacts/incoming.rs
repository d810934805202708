//! An artifact on its way: what has come of it, in a file that outlives the stream and the server.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, DirBuilder, DirEntry, File, Metadata},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};
use types::{Artifact, LeaseToken, RunId};

use super::{Artifacts, turns::Key};

/// What nobody goes on with for this long is thrown away.
const STALE: Duration = Duration::from_secs(24 * 3_600);

/// Bytes read at once.
const READ: usize = 256 * 1024;

/// What has come of one.
pub(crate) struct Incoming {
    path: PathBuf,
    file: Arc<File>,
    /// How much.
    pub(crate) held: u64,
}

/// Why what came is not taken.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// It does not have the sum that was told; it is thrown away.
    Sum,
    /// It cannot be written or read now.
    Io(io::Error),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Artifacts {
    /// What has come of this one before. Only the one whose turn it is asks.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) async fn incoming(
        &self,
        run: &RunId,
        token: &LeaseToken,
        artifact: &Artifact,
    ) -> io::Result<Incoming> {
        // Ids and the artifact's name are of a form that leads nowhere else, and have no dot.
        let dir = self.incoming.join(run.as_str()).join(token.as_str());
        // With its sum: another content under this name begins anew, and what was there of it goes.
        let (name, file) = (
            artifact.name.clone(),
            format!("{}.{}", artifact.name, artifact.sha256),
        );
        disk(move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
            for one in parts(&dir)? {
                if one.name == name && one.path.file_name() != Some(OsStr::new(&file)) {
                    gone(fs::remove_file(&one.path))?;
                }
            }
            let path = dir.join(file);
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            let held = file.metadata()?.len();
            Ok(Incoming {
                path,
                file: Arc::new(file),
                held,
            })
        })
        .await
    }

    /// Throws away what came of a run's attempts that are over, and what nobody went on with for a day; tells what there is
    /// of the others.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) async fn tidy(
        &self,
        run: &RunId,
        is_live: impl Fn(&LeaseToken) -> bool,
    ) -> io::Result<HashMap<Key, u64>> {
        let dir = self.incoming.join(run.as_str());
        let attempts = disk({
            let dir = dir.clone();
            move || {
                let attempts = entries(&dir)?.into_iter();
                attempts
                    .map(|attempt| Ok((attempt.path(), parts(&attempt.path())?)))
                    .collect::<io::Result<Vec<_>>>()
            }
        })
        .await?;
        let (mut held, mut over, mut dirs) = (HashMap::new(), Vec::new(), Vec::new());
        for (attempt, parts) in attempts {
            let token: Option<LeaseToken> = attempt
                .file_name()
                .and_then(OsStr::to_str)
                .and_then(|name| name.parse().ok());
            let live = token.as_ref().is_some_and(&is_live);
            for part in parts {
                let key = token.clone().map(|token| (token, part.name));
                match key {
                    Some(key) if live && part.age < STALE || self.turns.is_sent(&key) => {
                        held.insert(key, part.bytes);
                    }
                    _ => over.push(part.path),
                }
            }
            dirs.push(attempt);
        }
        dirs.push(dir);
        disk(move || {
            over.iter().try_for_each(|path| gone(fs::remove_file(path)))?;
            // Not one that has something.
            dirs.iter().for_each(|dir| drop(fs::remove_dir(dir)));
            Ok(())
        })
        .await?;
        Ok(held)
    }

    /// Nothing comes of an attempt any more that has reported its end. What stays is found by the next sweep.
    pub(crate) async fn over(&self, run: &RunId, token: &LeaseToken) {
        let _nothing_begins = self.turns.promising.lock().await;
        let dir = self.incoming.join(run.as_str());
        let attempt = dir.join(token.as_str());
        let removed = disk(move || {
            gone(fs::remove_dir_all(attempt))?;
            // Not when another attempt has something in it.
            drop(fs::remove_dir(dir));
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::warn!(%run, %token, %error, "what came of an attempt's artifacts stays for now");
        }
    }

    /// The runs of which something is on its way; what is not named as one is thrown away when it is a day old.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) async fn incoming_runs(&self) -> io::Result<Vec<RunId>> {
        let dir = self.incoming.clone();
        disk(move || {
            let mut runs = Vec::new();
            for entry in entries(&dir)? {
                let meta = match entry.metadata() {
                    Ok(meta) => meta,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                let run = entry.file_name().to_str().and_then(|name| name.parse().ok());
                match run {
                    Some(run) if meta.is_dir() => runs.push(run),
                    _ if meta.is_file() && age(&meta) > STALE => gone(fs::remove_file(entry.path()))?,
                    _ => {}
                }
            }
            Ok(runs)
        })
        .await
    }
}

/// Beside the tasks.
async fn disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    node::blocking::run(work).await.map_err(io::Error::other)?
}

/// What has come of an artifact.
struct Part {
    name: String,
    path: PathBuf,
    bytes: u64,
    age: Duration,
}

fn parts(attempt: &Path) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for entry in entries(attempt)? {
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.split_once('.'));
        parts.push(Part {
            name: name.map_or_else(String::new, |(name, _)| name.to_owned()),
            path: entry.path(),
            bytes: meta.len(),
            age: age(&meta),
        });
    }
    Ok(parts)
}

fn age(meta: &Metadata) -> Duration {
    let modified = meta.modified().ok();
    modified
        .and_then(|modified| SystemTime::now().duration_since(modified).ok())
        .unwrap_or_default()
}

/// Nothing where there is no such directory.
fn entries(dir: &Path) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What is gone already is fine.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Incoming {
    /// Adds a piece that follows what is held.
    ///
    /// # Errors
    /// The disk refuses; what was held is held still.
    pub(crate) async fn add(&mut self, data: Vec<u8>) -> io::Result<()> {
        let (file, held) = (Arc::clone(&self.file), self.held);
        self.held = disk(move || {
            if let Err(error) = file.write_all_at(&data, held) {
                // A part of it may be there.
                file.set_len(held)?;
                return Err(error);
            }
            Ok(held + data.len() as u64)
        })
        .await?;
        Ok(())
    }

    /// Bytes from an offset on, at most so many, fewer only at the end of what is held.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) async fn read(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.held.saturating_sub(at)).unwrap_or(usize::MAX);
        let (file, wanted) = (Arc::clone(&self.file), left.min(most));
        disk(move || {
            let mut data = vec![0; wanted];
            file.read_exact_at(&mut data, at)?;
            Ok(data)
        })
        .await
    }

    /// Whether it is what it was told to be; if not, it is thrown away.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub(crate) async fn check(&mut self, artifact: &Artifact) -> Result<(), Wrong> {
        let (mut hash, mut at) = (Sha256::new(), 0);
        while at < self.held {
            let data = self.read(at, READ).await?;
            hash.update(&data);
            at += data.len() as u64;
        }
        let sum = data_encoding::HEXLOWER.encode(&hash.finalize());
        if sum == artifact.sha256 && self.held == artifact.bytes {
            return Ok(());
        }
        let path = self.path.clone();
        disk(move || gone(fs::remove_file(path))).await?;
        Err(Wrong::Sum)
    }

    /// Nothing of it is needed any more.
    pub(crate) async fn forget(self) {
        let path = self.path.clone();
        if let Err(error) = disk(move || gone(fs::remove_file(path))).await {
            tracing::warn!(path = %self.path.display(), %error, "what came of an artifact that is stored stays for now");
        }
    }
}
