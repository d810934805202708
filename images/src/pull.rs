//! From a name to an image on this host's disk.

use std::fs::File;
use std::io::BufReader;

use futures::{StreamExt, TryStreamExt, stream};
use oci_client::manifest::{OciDescriptor, OciImageManifest, OciManifest};
use types::{Pull, limits};

use crate::config::ConfigFile;
use crate::error::tried;
use crate::layer::Budget;
use crate::reference::{self, Reference};
use crate::registry::{Access, Registry};
use crate::store::{Arrived, Image, Name, Record, Store};
use crate::{Digest, ImageConfig, ImageError, platform};

/// Layers that are fetched at once.
const AT_ONCE: usize = 3;
/// Tries to fetch a layer whose connection breaks; each goes on where the one before ended.
const TRIES: u32 = 4;

/// Images of one agent: the store, and the way to registries. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Images {
    store: Store,
    access: Access,
}

impl Images {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store, access: Access) -> Self {
        Self { store, access }
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The image behind a name, fetched when it must be, with a lock on it: nothing of the image is removed while the
    /// lock is held. The same image is fetched once, however many ask.
    ///
    /// # Errors
    /// Why it is not to be had. What was fetched of it stays for the next try.
    pub async fn ensure(&self, name: &str, pull: Pull) -> Result<(Image, File), ImageError> {
        let reference = reference::parse(name)?;
        let timeout = self.access.timeout;
        match tokio::time::timeout(timeout, self.found_or_fetched(&reference, pull)).await {
            Ok(image) => image,
            Err(_) => Err(ImageError::TimedOut {
                reference: reference.whole(),
                seconds: timeout.as_secs(),
            }),
        }
    }

    async fn found_or_fetched(&self, reference: &Reference, pull: Pull) -> Result<(Image, File), ImageError> {
        let whole = reference.whole();
        // A digest means the same for ever: there is nothing to ask.
        let ask = pull == Pull::Always && reference.digest().is_none();
        let shared = self.store.share().await?;
        if !ask && let Some(image) = self.here(reference)? {
            return hold(image);
        }
        if pull == Pull::Never {
            return Err(ImageError::NotPresent { reference: whole });
        }
        let _claim = self.store.claim(&Digest::of(whole.as_bytes())).await?;
        // Another may have fetched it while we waited.
        if !ask && let Some(image) = self.here(reference)? {
            return hold(image);
        }
        hold(self.fetch(reference, &shared).await?)
    }

    fn here(&self, reference: &Reference) -> Result<Option<Image>, ImageError> {
        if let Some(image) = self.store.find(&reference.whole())? {
            return Ok(Some(image));
        }
        // Fetched under another name, it is the same by its digest.
        let Some(digest) = reference::pinned(reference) else {
            return Ok(None);
        };
        self.store.image(&Name {
            reference: reference.whole(),
            digest: digest.clone(),
            manifest: digest,
        })
    }

    async fn fetch(&self, reference: &Reference, shared: &File) -> Result<Image, ImageError> {
        let whole = reference.whole();
        let registry = Registry::new(&self.access, reference).await?;
        let (bytes, digest) = registry.manifest(None).await?;
        let (manifest, manifest_digest) = match parse(&whole, &bytes)? {
            OciManifest::Image(manifest) => (manifest, digest.clone()),
            OciManifest::ImageIndex(index) => {
                let entry = platform::choose(&index).map_err(|found| ImageError::Platform {
                    reference: whole.clone(),
                    wanted: platform::name(),
                    found,
                })?;
                let wanted = named(&whole, &entry.digest)?;
                let (bytes, found) = registry.manifest(Some(&wanted)).await?;
                match parse(&whole, &bytes)? {
                    OciManifest::Image(manifest) => (manifest, found),
                    OciManifest::ImageIndex(_) => {
                        return Err(malformed(&whole, "its index leads to another index"));
                    }
                }
            }
        };
        let name = Name {
            reference: whole.clone(),
            digest,
            manifest: manifest_digest.clone(),
        };
        // A tag that moved back, or another name for the same image.
        if let Some(image) = self.store.image(&name)? {
            self.store.keep_name(&name)?;
            return Ok(image);
        }
        tracing::info!(image = whole, digest = %name.digest, "fetching an image");
        let config = config(&whole, &registry, &manifest.config).await?;
        let diff_ids = layers(&whole, &manifest, &config)?;
        let bytes = self
            .layers(&whole, &registry, &manifest, &diff_ids, shared)
            .await?;
        self.store.keep_record(&Record {
            manifest: manifest_digest,
            layers: diff_ids,
            bytes,
            config: ImageConfig::of(&config),
        })?;
        self.store.keep_name(&name)?;
        tracing::info!(image = whole, bytes, "an image is here");
        let here = self.store.image(&name)?;
        here.ok_or_else(|| malformed(&whole, "it was removed while it was fetched; try again"))
    }

    /// Fetches and unpacks what is missing; the bytes of all layers.
    async fn layers(
        &self,
        whole: &str,
        registry: &Registry,
        manifest: &OciImageManifest,
        diff_ids: &[Digest],
        shared: &File,
    ) -> Result<u64, ImageError> {
        let mut budget = Budget {
            bytes: limits::IMAGE_UNPACKED_BYTES,
            entries: limits::IMAGE_ENTRIES,
        };
        let pairs = manifest.layers.iter().zip(diff_ids);
        let fetches: Vec<_> = pairs
            .map(|(blob, diff_id)| self.missing(whole, registry, blob, diff_id))
            .collect();
        let mut blobs = stream::iter(fetches).buffered(AT_ONCE);
        while let Some((diff_id, blob)) = blobs.try_next().await? {
            if let Some(blob) = blob {
                budget = self.unpack(whole, blob, diff_id, budget, shared).await?;
            }
        }
        let bytes = diff_ids
            .iter()
            .filter_map(|diff_id| self.store.layer_bytes(diff_id));
        Ok(bytes.sum())
    }

    /// A layer, with its blob if it is not unpacked here yet.
    async fn missing<'a>(
        &self,
        whole: &str,
        registry: &Registry,
        blob: &OciDescriptor,
        diff_id: &'a Digest,
    ) -> Result<(&'a Digest, Option<Digest>), ImageError> {
        match self.store.layer_bytes(diff_id) {
            Some(_) => Ok((diff_id, None)),
            None => Ok((diff_id, Some(self.blob(whole, registry, blob).await?))),
        }
    }

    /// Brings a layer's blob to the disk, by several tries if the connection breaks.
    async fn blob(
        &self,
        whole: &str,
        registry: &Registry,
        blob: &OciDescriptor,
    ) -> Result<Digest, ImageError> {
        let digest = named(whole, &blob.digest)?;
        let _claim = self.store.claim(&digest).await?;
        if self.store.blob(&digest).exists() {
            return Ok(digest);
        }
        let mut tries = 0;
        loop {
            let opened = self.store.resume(&digest);
            let mut partial = opened.map_err(tried("cannot open a layer"))?;
            match registry.layer(blob, &mut partial).await {
                Ok(()) => {
                    let arrived = self.store.arrive(&digest, partial);
                    return match arrived.map_err(tried("cannot keep a layer"))? {
                        Arrived::Whole => Ok(digest),
                        Arrived::Other(found) => Err(ImageError::Digest {
                            reference: whole.to_owned(),
                            what: "a layer",
                            expected: digest,
                            found,
                        }),
                    };
                }
                Err(error @ ImageError::Unreachable { .. }) if tries < TRIES => {
                    tries += 1;
                    tracing::warn!(%error, tries, "a layer broke off; going on where it ended");
                    tokio::time::sleep(std::time::Duration::from_millis(200 << tries)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn unpack(
        &self,
        whole: &str,
        blob: Digest,
        diff_id: &Digest,
        mut budget: Budget,
        shared: &File,
    ) -> Result<Budget, ImageError> {
        // The thread goes on when nobody waits for it any more: it holds the locks itself.
        let shared = shared.try_clone().map_err(tried("cannot lock the store"))?;
        let claim = self.store.claim(diff_id).await?;
        let (store, whole, diff_id) = (self.store.clone(), whole.to_owned(), diff_id.clone());
        let work = move || {
            let path = store.blob(&blob);
            // An image with the same layer may have been faster.
            if store.layer_bytes(&diff_id).is_none() {
                let file = File::open(&path).map_err(tried("cannot open a layer"))?;
                let source = BufReader::with_capacity(128 * 1024, file);
                store.install(&whole, source, &diff_id, &mut budget)?;
            }
            // Unpacked, it is not needed any more. Whoever needs it again fetches it again.
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::debug!(%error, "an unpacked layer's archive stays for now");
            }
            drop((claim, shared));
            Ok(budget)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(tried("the unpacking was ended")(std::io::Error::other(error))))
    }
}

/// Locks an image against its removal.
fn hold(image: Image) -> Result<(Image, File), ImageError> {
    let lock = fs_err::File::open(&image.record)
        .map(fs_err::File::into_file)
        .and_then(|file| file.lock_shared().map(|()| file))
        .map_err(tried("cannot lock an image"))?;
    Store::touch(&image);
    Ok((image, lock))
}

pub(crate) fn malformed(whole: &str, why: impl Into<String>) -> ImageError {
    ImageError::Malformed {
        reference: whole.to_owned(),
        why: why.into(),
    }
}

pub(crate) fn named(whole: &str, digest: &str) -> Result<Digest, ImageError> {
    digest
        .parse()
        .map_err(|error: crate::DigestError| malformed(whole, error.to_string()))
}

pub(crate) fn parse(whole: &str, bytes: &[u8]) -> Result<OciManifest, ImageError> {
    serde_json::from_slice(bytes)
        .map_err(|error| malformed(whole, format!("its manifest cannot be read: {error}")))
}

async fn config(whole: &str, registry: &Registry, blob: &OciDescriptor) -> Result<ConfigFile, ImageError> {
    let expected = named(whole, &blob.digest)?;
    let bytes = registry.small(blob).await?;
    let found = Digest::of(&bytes);
    if found != expected {
        return Err(ImageError::Digest {
            reference: whole.to_owned(),
            what: "its configuration",
            expected,
            found,
        });
    }
    read_config(whole, &bytes)
}

/// A configuration that this machine can run.
pub(crate) fn read_config(whole: &str, bytes: &[u8]) -> Result<ConfigFile, ImageError> {
    let config: ConfigFile = serde_json::from_slice(bytes)
        .map_err(|error| malformed(whole, format!("it is no image for containers: {error}")))?;
    match platform::fits(&config) {
        Ok(()) => Ok(config),
        Err(found) => Err(ImageError::Platform {
            reference: whole.to_owned(),
            wanted: platform::name(),
            found: vec![found],
        }),
    }
}

fn layers(whole: &str, manifest: &OciImageManifest, config: &ConfigFile) -> Result<Vec<Digest>, ImageError> {
    let ids = diff_ids(whole, config)?;
    if ids.len() != manifest.layers.len() {
        return Err(malformed(
            whole,
            "its configuration and its manifest name different layers",
        ));
    }
    let sizes = manifest
        .layers
        .iter()
        .map(|layer| u64::try_from(layer.size).unwrap_or(0));
    let (largest, all) = sizes.fold((0, 0), |(largest, all): (u64, u64), size| {
        (largest.max(size), all.saturating_add(size))
    });
    for (what, size, limit) in [
        ("a layer", largest, limits::IMAGE_LAYER_BYTES),
        ("what is to be fetched of it", all, limits::IMAGE_UNPACKED_BYTES),
    ] {
        if size > limit {
            return Err(ImageError::TooLarge {
                reference: format!("{whole} ({size} bytes)"),
                what,
                limit,
            });
        }
    }
    Ok(ids)
}

pub(crate) fn diff_ids(whole: &str, config: &ConfigFile) -> Result<Vec<Digest>, ImageError> {
    let ids = &config.rootfs.diff_ids;
    match ids.len() {
        0 => Err(malformed(whole, "it has no layers")),
        count if count > limits::IMAGE_LAYERS => Err(malformed(
            whole,
            format!("it has {count} layers, more than {}", limits::IMAGE_LAYERS),
        )),
        _ => ids.iter().map(|id| named(whole, id)).collect(),
    }
}
