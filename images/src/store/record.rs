//! What is written down of an image, and of a name.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Store, write_durably};
use crate::error::tried;
use crate::{Digest, ImageConfig, ImageError};

/// An image whose layers are all unpacked. Its file's time of change is when it was used last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The manifest of this machine's variant.
    pub manifest: Digest,
    /// Digests of the layers' tars, the lowest first.
    pub layers: Vec<Digest>,
    /// Of the layers' files, in bytes.
    pub bytes: u64,
    pub config: ImageConfig,
}

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Name {
    /// In full.
    pub reference: String,
    /// What the registry has under it: an index or a manifest. What a workflow would pin.
    pub digest: Digest,
    /// The manifest of this machine's variant.
    pub manifest: Digest,
}

/// An image that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name in full.
    pub reference: String,
    /// What the registry has under the name, or the archive's digest of a loaded one.
    pub digest: Digest,
    /// The directories to lay over each other, the lowest first.
    pub layers: Vec<PathBuf>,
    /// The file that a container of it locks (shared): while it is locked, nothing of the image is removed.
    pub record: PathBuf,
    /// How it wants to be run.
    pub config: ImageConfig,
    /// Of its files, in bytes.
    pub bytes: u64,
}

impl Store {
    /// What a name means here, when its image is here. Looks at the disk only.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub(crate) fn find(&self, reference: &str) -> Result<Option<Image>, ImageError> {
        let Some(name) = read::<Name>(&self.name_path(reference))? else {
            return Ok(None);
        };
        self.image(&name)
    }

    /// The image behind a name; none when a part of it is not here.
    pub(crate) fn image(&self, name: &Name) -> Result<Option<Image>, ImageError> {
        let Some(record) = self.record(&name.manifest)? else {
            return Ok(None);
        };
        let layers: Vec<PathBuf> = record.layers.iter().map(|layer| self.layer(layer)).collect();
        if !layers.iter().all(|layer| layer.is_dir()) {
            return Ok(None);
        }
        Ok(Some(Image {
            reference: name.reference.clone(),
            digest: name.digest.clone(),
            layers,
            record: self.record_path(&record.manifest),
            config: record.config,
            bytes: record.bytes,
        }))
    }

    pub(crate) fn record(&self, manifest: &Digest) -> Result<Option<Record>, ImageError> {
        read(&self.record_path(manifest))
    }

    /// A record that is there stays the same file: containers hold locks on it.
    pub(crate) fn keep_record(&self, record: &Record) -> Result<(), ImageError> {
        if self.record(&record.manifest)?.as_ref() == Some(record) {
            return Ok(());
        }
        self.write(self.records(), &format!("{}.json", record.manifest.hex()), record)
    }

    pub(crate) fn keep_name(&self, name: &Name) -> Result<(), ImageError> {
        let path = self.name_path(&name.reference);
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.write(self.refs(), &file, name)
    }

    fn write(&self, dir: PathBuf, file: &str, value: &impl Serialize) -> Result<(), ImageError> {
        let json = serde_json::to_vec_pretty(value)
            .map_err(io::Error::from)
            .map_err(tried("cannot write a record"))?;
        write_durably(&dir, file, &json).map_err(tried(format!("cannot write {}/{file}", dir.display())))
    }

    /// Notes that an image is used now. Only its age depends on it: a failure is no reason not to start.
    pub(crate) fn touch(image: &Image) {
        let touched = fs_err::OpenOptions::new()
            .write(true)
            .open(&image.record)
            .and_then(|file| file.file().set_modified(SystemTime::now()));
        if let Err(error) = touched {
            tracing::warn!(%error, "cannot note when an image was used");
        }
    }

    /// A name that means nothing here any more.
    pub(crate) fn forget(&self, name: &Name) -> Result<(), ImageError> {
        fs_err::remove_file(self.name_path(&name.reference)).map_err(tried("cannot remove a name"))
    }

    /// A name has letters that a file's name cannot have: its digest stands for it.
    fn name_path(&self, reference: &str) -> PathBuf {
        let hex = Digest::of(reference.as_bytes());
        self.refs().join(format!("{}.json", hex.hex()))
    }
}

pub(crate) fn read<T: DeserializeOwned>(path: &std::path::Path) -> Result<Option<T>, ImageError> {
    match fs_err::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                // Of another version, or damaged: fetched anew it is right again.
                tracing::warn!(path = %path.display(), %error, "this record of an image cannot be read and is passed over");
                Ok(None)
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(tried("cannot read a record")(error)),
    }
}
