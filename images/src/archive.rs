//! Images from a file: what `docker save`, `podman save` (both forms) and `skopeo copy … oci-archive:` write.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use oci_client::manifest::{ImageIndexEntry, OciImageIndex, OciImageManifest, OciManifest};
use serde::Deserialize;
use types::limits;

use crate::error::tried;
use crate::layer::{Budget, plain};
use crate::pull::{diff_ids, malformed, named, parse, read_config};
use crate::store::{Name, Record};
use crate::{Digest, Image, ImageConfig, ImageError, Store, platform, reference};

/// Files of an archive.
const FILES: usize = 10_000;
/// Names of an image in an OCI archive: containerd's, then the specification's, which may be a tag alone.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// An entry of Docker's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Docker {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Store {
    /// Takes the images of an archive into the store; `name` names the only one. The archive may be compressed.
    ///
    /// # Errors
    /// It is none, it has no image for this machine or none with a name, or the disk refuses.
    pub async fn load(&self, archive: &Path, name: Option<&str>) -> Result<Vec<Image>, ImageError> {
        let name = name.map(reference::parse).transpose()?.map(|name| name.whole());
        let shared = self.share().await?;
        let (store, path) = (self.clone(), archive.to_owned());
        let work = move || {
            let _shared = shared;
            let mut archive = Archive::open(&store, &path)?;
            if archive.files.contains_key("index.json") {
                store.load_oci(&mut archive, name)
            } else {
                store.load_docker(&mut archive, name)
            }
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(tried("the loading was ended")(io::Error::other(error))))
    }

    fn load_oci(&self, archive: &mut Archive, name: Option<String>) -> Result<Vec<Image>, ImageError> {
        let shown = archive.shown.clone();
        let index: OciImageIndex = archive.json("index.json")?;
        let mut images = Vec::new();
        for entry in &index.manifests {
            let name = match &name {
                Some(name) if index.manifests.len() == 1 => name.clone(),
                Some(_) => {
                    return Err(malformed(
                        &shown,
                        "it has several images: --name can name one only",
                    ));
                }
                None => name_of(&shown, entry)?,
            };
            let digest = named(&name, &entry.digest)?;
            let (manifest, manifest_digest) = archive.manifest(&name, &digest)?;
            let config_digest = named(&name, &manifest.config.digest)?;
            let config = archive.blob(&name, &config_digest)?;
            let mut layers = Vec::new();
            for layer in &manifest.layers {
                layers.push(format!("blobs/sha256/{}", named(&name, &layer.digest)?.hex()));
            }
            let name = Name {
                reference: name,
                digest,
                manifest: manifest_digest,
            };
            images.push(self.take(archive, &name, &config, &layers)?);
        }
        Ok(images)
    }

    fn load_docker(&self, archive: &mut Archive, name: Option<String>) -> Result<Vec<Image>, ImageError> {
        let shown = archive.shown.clone();
        let entries: Vec<Docker> = archive.json("manifest.json")?;
        if name.is_some() && entries.len() != 1 {
            return Err(malformed(
                &shown,
                "it has several images: --name can name one only",
            ));
        }
        let mut images = Vec::new();
        for entry in entries {
            let names = match &name {
                Some(name) => vec![name.clone()],
                None => entry.repo_tags.clone().unwrap_or_default(),
            };
            if names.is_empty() {
                return Err(malformed(&shown, "an image in it has no name: give --name"));
            }
            for name in names {
                let name = reference::parse(&name)?.whole();
                let config = archive.small(&entry.config)?;
                // Such an archive has no manifest of a registry's form: Docker's image id stands for it.
                let digest = Digest::of(&config);
                let name = Name {
                    reference: name,
                    manifest: digest.clone(),
                    digest,
                };
                images.push(self.take(archive, &name, &config, &entry.layers)?);
            }
        }
        Ok(images)
    }

    /// Unpacks the layers that are missing, and writes down the image.
    fn take(
        &self,
        archive: &mut Archive,
        name: &Name,
        config: &[u8],
        layers: &[String],
    ) -> Result<Image, ImageError> {
        let whole = &name.reference;
        if let Some(expected) = reference::pinned(&reference::parse(whole)?)
            && expected != name.digest
        {
            return Err(ImageError::Digest {
                reference: whole.clone(),
                what: "the archive's image",
                expected,
                found: name.digest.clone(),
            });
        }
        let config = read_config(whole, config)?;
        let ids = diff_ids(whole, &config)?;
        if ids.len() != layers.len() {
            return Err(malformed(
                whole,
                "its configuration and its manifest name different layers",
            ));
        }
        let mut budget = Budget {
            bytes: limits::IMAGE_UNPACKED_BYTES,
            entries: limits::IMAGE_ENTRIES,
        };
        for (id, layer) in ids.iter().zip(layers) {
            if self.layer_bytes(id).is_none() {
                self.install(whole, BufReader::new(archive.open_file(layer)?), id, &mut budget)?;
            }
        }
        self.keep_record(&Record {
            manifest: name.manifest.clone(),
            bytes: ids.iter().filter_map(|id| self.layer_bytes(id)).sum(),
            layers: ids,
            config: ImageConfig::of(&config),
        })?;
        self.keep_name(name)?;
        let image = self.image(name)?;
        image.ok_or_else(|| malformed(whole, "it was removed while it was loaded; try again"))
    }
}

fn name_of(shown: &str, entry: &ImageIndexEntry) -> Result<String, ImageError> {
    let annotations = entry.annotations.as_ref();
    let names = NAMES.iter().filter_map(|key| annotations?.get(*key));
    let full = names.into_iter().find(|name| name.contains(['/', ':']));
    match full {
        Some(name) => Ok(reference::parse(name)?.whole()),
        None => Err(malformed(shown, "an image in it has no full name: give --name")),
    }
}

/// The files of an archive, by name.
struct Archive {
    file: File,
    files: BTreeMap<String, (u64, u64)>,
    shown: String,
}

impl Archive {
    fn open(store: &Store, path: &Path) -> Result<Self, ImageError> {
        let shown = path.display().to_string();
        let failed = || tried(format!("cannot read {shown}"));
        let mut file = File::open(path).map_err(failed())?;
        let mut start = [0; 263];
        let length = read_start(&mut file, &mut start).map_err(failed())?;
        // ustar's and GNU's mark in the first header.
        if start.get(257..262) != Some(b"ustar") || length < 262 {
            file.seek(SeekFrom::Start(0)).map_err(failed())?;
            file = decompressed(store, file).map_err(failed())?;
        }
        file.seek(SeekFrom::Start(0)).map_err(failed())?;
        let mut files = BTreeMap::new();
        let mut tar = tar::Archive::new(&file);
        for entry in tar.entries_with_seek().map_err(failed())? {
            // What the reader says has the file's own bytes in it, which may be anything.
            let entry = entry.map_err(|_| malformed(&shown, "it is no archive of images"))?;
            if files.len() >= FILES {
                return Err(malformed(&shown, format!("it has more than {FILES} files")));
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = name.trim_start_matches("./").to_owned();
            // A layer that another image in the archive has too is a link in older ones.
            if let Some(target) = entry.link_name_bytes() {
                let target = String::from_utf8_lossy(&target).into_owned();
                let target = target.trim_start_matches("../").to_owned();
                if let Some(found) = files.get(&target).copied() {
                    files.insert(name, found);
                }
                continue;
            }
            files.insert(name, (entry.raw_file_position(), entry.size()));
        }
        if !files.contains_key("index.json") && !files.contains_key("manifest.json") {
            return Err(malformed(
                &shown,
                "it is no archive of images: neither index.json (OCI) nor manifest.json (Docker) is in it",
            ));
        }
        Ok(Self { file, files, shown })
    }

    /// A file of the archive by a descriptor of its own.
    fn open_file(&mut self, name: &str) -> Result<io::Take<&File>, ImageError> {
        let missing = || malformed(&self.shown, format!("it lacks its file {name:?}"));
        let (at, size) = *self.files.get(name).ok_or_else(missing)?;
        self.file
            .seek(SeekFrom::Start(at))
            .map_err(tried("cannot read the archive"))?;
        Ok((&self.file).take(size))
    }

    fn small(&mut self, name: &str) -> Result<Vec<u8>, ImageError> {
        let mut file = self.open_file(name)?;
        if file.limit() > limits::IMAGE_MANIFEST_BYTES {
            return Err(ImageError::TooLarge {
                reference: self.shown.clone(),
                what: "its manifest or configuration",
                limit: limits::IMAGE_MANIFEST_BYTES,
            });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(tried("cannot read the archive"))?;
        Ok(bytes)
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<T, ImageError> {
        let bytes = self.small(name)?;
        serde_json::from_slice(&bytes).map_err(|error| malformed(&self.shown, format!("{name}: {error}")))
    }

    /// A small blob that is what its name says.
    fn blob(&mut self, whole: &str, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let bytes = self.small(&format!("blobs/sha256/{}", digest.hex()))?;
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(ImageError::Digest {
                reference: whole.to_owned(),
                what: "a part of it",
                expected: digest.clone(),
                found,
            });
        }
        Ok(bytes)
    }

    /// The manifest behind a digest, by way of an index if there is one.
    fn manifest(&mut self, whole: &str, digest: &Digest) -> Result<(OciImageManifest, Digest), ImageError> {
        let bytes = self.blob(whole, digest)?;
        let index = match parse(whole, &bytes)? {
            OciManifest::Image(manifest) => return Ok((manifest, digest.clone())),
            OciManifest::ImageIndex(index) => index,
        };
        let entry = platform::choose(&index).map_err(|found| ImageError::Platform {
            reference: whole.to_owned(),
            wanted: platform::name(),
            found,
        })?;
        let digest = named(whole, &entry.digest)?;
        let bytes = self.blob(whole, &digest)?;
        match parse(whole, &bytes)? {
            OciManifest::Image(manifest) => Ok((manifest, digest)),
            OciManifest::ImageIndex(_) => Err(malformed(whole, "its index leads to another index")),
        }
    }
}

fn read_start(file: &mut File, start: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < start.len() {
        match file.read(&mut start[length..])? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}

/// A compressed archive as a plain one, in a file without a name.
fn decompressed(store: &Store, file: File) -> io::Result<File> {
    let limit = limits::IMAGE_UNPACKED_BYTES;
    let mut plain = plain(BufReader::new(file))?.take(limit + 1);
    let path = store.tmp().join(format!("archive.{}", std::process::id()));
    let mut out = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    if io::copy(&mut plain, &mut out)? > limit {
        return Err(io::Error::other(format!("it unpacks to more than {limit} bytes")));
    }
    Ok(out)
}
