//! Which of an image's variants runs here.

use oci_client::manifest::{ImageIndexEntry, OciImageIndex};

use crate::config::ConfigFile;

/// This machine in the words of images (GOOS and GOARCH).
pub(crate) fn here() -> (&'static str, &'static str) {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    ("linux", arch)
}

pub(crate) fn name() -> String {
    let (os, arch) = here();
    format!("{os}/{arch}")
}

/// The entry for this machine, or what there is instead.
pub(crate) fn choose(index: &OciImageIndex) -> Result<&ImageIndexEntry, Vec<String>> {
    let (os, arch) = here();
    let fits = |entry: &&ImageIndexEntry| {
        let platform = entry.platform.as_ref();
        platform.is_some_and(|is| is.os.to_string() == os && is.architecture.to_string() == arch)
    };
    index.manifests.iter().find(fits).ok_or_else(|| {
        let mut found: Vec<String> = index.manifests.iter().filter_map(describe).collect();
        found.dedup();
        found.truncate(20);
        if found.is_empty() {
            found.push("no platform that it names".to_owned());
        }
        found
    })
}

/// Attestations lie in an index as entries for `unknown/unknown`.
fn describe(entry: &ImageIndexEntry) -> Option<String> {
    let platform = entry.platform.as_ref()?;
    let (os, arch) = (platform.os.to_string(), platform.architecture.to_string());
    if os == "unknown" {
        return None;
    }
    let variant = platform.variant.as_ref().map(|variant| format!("/{variant}"));
    Some(format!("{os}/{arch}{}", variant.unwrap_or_default()))
}

/// Whether a configuration is for this machine, or for which it is.
pub(crate) fn fits(config: &ConfigFile) -> Result<(), String> {
    let (os, arch) = here();
    let (its_os, its_arch) = (config.os.as_str(), config.architecture.as_str());
    if its_os == os && its_arch == arch {
        Ok(())
    } else {
        Err(format!("{its_os}/{its_arch}"))
    }
}
