//! What nobody uses goes: by age, and by size the longest unused first. Never what a container runs on.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use types::limits;

use crate::error::tried;
use crate::store::{Name, Record, read};
use crate::{Digest, ImageError, Store};

/// How long the rest of a fetch that broke off waits for its next try.
const REST: Duration = Duration::from_secs(24 * 3600);

/// What stays although nothing uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// All layers together, in bytes.
    pub bytes: u64,
    /// Since an image was last started.
    pub age: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            bytes: limits::IMAGE_STORE_BYTES,
            age: Duration::from_millis(limits::IMAGE_AGE_MS),
        }
    }
}

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Images, by the names that they had.
    pub names: Vec<String>,
    /// Of their layers' files.
    pub bytes: u64,
}

/// An image that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name in full.
    pub reference: String,
    /// What the name means.
    pub digest: Digest,
    /// Of its files; layers that images share count for each.
    pub bytes: u64,
    /// When it was started or fetched last.
    pub used: SystemTime,
    /// Whether a container runs on it now.
    pub in_use: bool,
}

/// A record with what decides about it.
struct Candidate {
    record: Record,
    path: PathBuf,
    used: SystemTime,
}

impl Store {
    /// All images that are here, the last used first.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, ImageError> {
        let mut listed = Vec::new();
        for name in self.names()? {
            let Some(image) = self.image(&name)? else { continue };
            let file = fs_err::File::open(&image.record).map_err(tried("cannot open a record"))?;
            let used = file.metadata().and_then(|meta| meta.modified());
            listed.push(Listed {
                reference: image.reference,
                digest: image.digest,
                bytes: image.bytes,
                used: used.map_err(tried("cannot read a record"))?,
                in_use: file.file().try_lock().is_err(),
            });
        }
        listed.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.reference.cmp(&b.reference)));
        Ok(listed)
    }

    /// Removes what is too old or too much, and what crashes left; none when images are being fetched or started in
    /// this moment. Blocks.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn prune(&self, keep: Keep) -> Result<Option<Pruned>, ImageError> {
        let Some(_alone) = self.try_alone()? else {
            return Ok(None);
        };
        let mut candidates = self.candidates()?;
        candidates.sort_by_key(|candidate| candidate.used);
        let mut total = self
            .layer_ids()?
            .iter()
            .filter_map(|id| self.layer_bytes(id))
            .sum::<u64>();
        let mut gone = BTreeSet::new();
        for at in 0..candidates.len() {
            let candidate = &candidates[at];
            let age = candidate.used.elapsed().unwrap_or_default();
            if age <= keep.age && total <= keep.bytes {
                continue;
            }
            if !remove_unused(&candidate.path).map_err(tried("cannot remove an image"))? {
                continue;
            }
            gone.insert(candidate.record.manifest.clone());
            let others = candidates
                .iter()
                .filter(|other| !gone.contains(&other.record.manifest));
            let shared: BTreeSet<&Digest> = others.flat_map(|other| &other.record.layers).collect();
            let own: BTreeSet<&Digest> = candidate.record.layers.iter().collect();
            total = total.saturating_sub(
                own.difference(&shared)
                    .filter_map(|id| self.layer_bytes(id))
                    .sum(),
            );
        }
        let used: BTreeSet<&Digest> = candidates
            .iter()
            .filter(|candidate| !gone.contains(&candidate.record.manifest))
            .flat_map(|candidate| &candidate.record.layers)
            .collect();
        let mut pruned = Pruned::default();
        for id in self.layer_ids()?.iter().filter(|id| !used.contains(id)) {
            pruned.bytes += self.layer_bytes(id).unwrap_or(0);
            self.remove_layer(id).map_err(tried("cannot remove a layer"))?;
        }
        for name in self.names()? {
            if self.record(&name.manifest)?.is_none() {
                self.forget(&name)?;
                pruned.names.push(name.reference);
            }
        }
        self.sweep().map_err(tried("cannot clean up"))?;
        Ok(Some(pruned))
    }

    fn candidates(&self) -> Result<Vec<Candidate>, ImageError> {
        let mut candidates = Vec::new();
        for path in files(&self.records()).map_err(tried("cannot list the images"))? {
            let Some(record) = read::<Record>(&path)? else {
                // Damaged: nothing starts from it.
                std::fs::remove_file(&path).map_err(tried("cannot remove a record"))?;
                continue;
            };
            let used = fs_err::metadata(&path).and_then(|meta| meta.modified());
            candidates.push(Candidate {
                record,
                used: used.map_err(tried("cannot read a record"))?,
                path,
            });
        }
        Ok(candidates)
    }

    fn names(&self) -> Result<Vec<Name>, ImageError> {
        let mut names = Vec::new();
        for path in files(&self.refs()).map_err(tried("cannot list the names"))? {
            names.extend(read::<Name>(&path)?);
        }
        Ok(names)
    }

    fn layer_ids(&self) -> Result<Vec<Digest>, ImageError> {
        let paths = files(&self.layers_dir()).map_err(tried("cannot list the layers"))?;
        let name = |path: &PathBuf| format!("sha256:{}", path.file_name()?.to_str()?).parse().ok();
        Ok(paths.iter().filter_map(name).collect())
    }

    /// Out of its place in one step, so that a crash leaves no half of it there.
    fn remove_layer(&self, id: &Digest) -> io::Result<()> {
        let aside = self.tmp().join(format!("{}.gone", id.hex()));
        if aside.exists() {
            std::fs::remove_dir_all(&aside)?;
        }
        fs_err::rename(self.layers_dir().join(id.hex()), &aside)?;
        fs_err::remove_dir_all(aside)
    }

    /// What crashes left. Nobody fetches now: whoever does holds the store's lock.
    fn sweep(&self) -> io::Result<()> {
        for path in files(&self.tmp())? {
            // A thread that unpacks may have been left behind by one who waited no longer.
            if File::open(&path)?.try_lock().is_ok() {
                fs_err::remove_dir_all(&path)?;
            }
        }
        for path in files(&self.blobs())? {
            let age = std::fs::metadata(&path)?
                .modified()?
                .elapsed()
                .unwrap_or_default();
            if age > REST {
                fs_err::remove_file(&path)?;
            }
        }
        for path in files(&self.locks())? {
            fs_err::remove_file(&path)?;
        }
        Ok(())
    }
}

/// Removes a record unless a container holds it.
fn remove_unused(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    if file.try_lock().is_err() {
        return Ok(false);
    }
    fs_err::remove_file(path)?;
    Ok(true)
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(dir)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}
