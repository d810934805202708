//! An artifact on its way: what has come of it, in a file that outlives the stream and the server.

use std::{io, path::PathBuf};

use sha2::{Digest, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom},
};
use types::{Artifact, LeaseToken};

use super::Artifacts;

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
    /// What has come of this one before. Both names are ids of a form that leads nowhere else.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) async fn incoming(&self, token: &LeaseToken, artifact: &Artifact) -> io::Result<Incoming> {
        // With its sum: another content under this name begins anew.
        let path = self
            .incoming
            .join(format!("{token}.{}.{}", artifact.name, artifact.sha256));
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
        tokio::fs::remove_file(&self.path).await?;
        Err(Wrong::Sum)
    }

    /// Nothing of it is needed any more.
    pub(crate) async fn forget(self) {
        if let Err(error) = tokio::fs::remove_file(&self.path).await {
            tracing::warn!(path = %self.path.display(), %error, "what came of an artifact that is stored stays until the next start");
        }
    }
}
