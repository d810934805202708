//! An artifact on its way: what has come of it, in a file that outlives the stream and the server.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::Metadata,
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};
use tokio::{
    fs::{DirBuilder, DirEntry, File},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom},
};
use types::{Artifact, LeaseToken, RunId};

use super::{Artifacts, turns::Key};

/// What nobody goes on with for this long is thrown away.
const STALE: Duration = Duration::from_secs(24 * 3_600);

/// Bytes read at once.
const READ: usize = 256 * 1024;

/// What has come of one.
pub(crate) struct Incoming {
    pub(super) path: PathBuf,
    pub(super) file: File,
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
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).await?;
        // With its sum: another content under this name begins anew, and what was there of it goes.
        let file = format!("{}.{}", artifact.name, artifact.sha256);
        for one in parts(&dir).await? {
            if one.name == artifact.name && one.path.file_name() != Some(OsStr::new(&file)) {
                gone(tokio::fs::remove_file(&one.path).await)?;
            }
        }
        let path = dir.join(file);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .await?;
        let held = file.seek(SeekFrom::End(0)).await?;
        Ok(Incoming { path, file, held })
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
        let mut held = HashMap::new();
        for attempt in entries(&dir).await? {
            let token: Option<LeaseToken> = attempt.file_name().to_str().and_then(|name| name.parse().ok());
            let live = token.as_ref().is_some_and(&is_live);
            for part in parts(&attempt.path()).await? {
                let key = token.clone().map(|token| (token, part.name));
                match key {
                    Some(key) if live && part.age < STALE || self.turns.is_sent(&key) => {
                        held.insert(key, part.bytes);
                    }
                    _ => gone(tokio::fs::remove_file(&part.path).await)?,
                }
            }
            // Not one that has something.
            drop(tokio::fs::remove_dir(attempt.path()).await);
        }
        drop(tokio::fs::remove_dir(&dir).await);
        Ok(held)
    }

    /// Nothing comes of an attempt any more that has reported its end. What stays is found by the next sweep.
    pub(crate) async fn over(&self, run: &RunId, token: &LeaseToken) {
        let _nothing_begins = self.turns.promising.lock().await;
        let dir = self.incoming.join(run.as_str());
        if let Err(error) = gone(tokio::fs::remove_dir_all(dir.join(token.as_str())).await) {
            tracing::warn!(%run, %token, %error, "what came of an attempt's artifacts stays for now");
        }
        // Not when another attempt has something in it.
        drop(tokio::fs::remove_dir(&dir).await);
    }

    /// The runs of which something is on its way; what is not named as one is thrown away when it is a day old.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) async fn incoming_runs(&self) -> io::Result<Vec<RunId>> {
        let mut runs = Vec::new();
        for entry in entries(&self.incoming).await? {
            let meta = match entry.metadata().await {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let run = entry.file_name().to_str().and_then(|name| name.parse().ok());
            match run {
                Some(run) if meta.is_dir() => runs.push(run),
                _ if meta.is_file() && age(&meta) > STALE => {
                    gone(tokio::fs::remove_file(entry.path()).await)?
                }
                _ => {}
            }
        }
        Ok(runs)
    }
}

/// What has come of an artifact.
struct Part {
    name: String,
    path: PathBuf,
    bytes: u64,
    age: Duration,
}

async fn parts(attempt: &Path) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for entry in entries(attempt).await? {
        let meta = match entry.metadata().await {
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
async fn entries(dir: &Path) -> io::Result<Vec<DirEntry>> {
    let mut read = match tokio::fs::read_dir(dir).await {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    while let Some(entry) = read.next_entry().await? {
        all.push(entry);
    }
    Ok(all)
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
    pub(crate) async fn add(&mut self, data: &[u8]) -> io::Result<()> {
        let written = async {
            self.file.write_all(data).await?;
            self.file.flush().await
        };
        if let Err(error) = written.await {
            // A part of it may be there.
            self.file.set_len(self.held).await?;
            self.file.seek(SeekFrom::End(0)).await?;
            return Err(error);
        }
        self.held += data.len() as u64;
        Ok(())
    }

    /// Whether it is what it was told to be; if not, it is thrown away.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub(crate) async fn check(&mut self, artifact: &Artifact) -> Result<(), Wrong> {
        self.file.seek(SeekFrom::Start(0)).await?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; READ];
        loop {
            let read = self.file.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
        }
        let sum = data_encoding::HEXLOWER.encode(&hash.finalize());
        if sum == artifact.sha256 && self.held == artifact.bytes {
            return Ok(());
        }
        gone(tokio::fs::remove_file(&self.path).await)?;
        Err(Wrong::Sum)
    }

    /// Nothing of it is needed any more.
    pub(crate) async fn forget(self) {
        if let Err(error) = gone(tokio::fs::remove_file(&self.path).await) {
            tracing::warn!(path = %self.path.display(), %error, "what came of an artifact that is stored stays for now");
        }
    }
}
