//! What a browser loads beside a page, embedded. All of it lies under one name that is the hash of its content, so a browser
//! may keep it for ever, and modules find each other by relative paths.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its name in the directory.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// What is in it.
    pub content: &'static str,
}

macro_rules! assets {
    ($($name:literal: $media_type:literal,)*) => {
        &[$(Asset {
            name: $name,
            media_type: $media_type,
            content: include_str!(concat!("../assets/", $name)),
        },)*]
    };
}

const ASSETS: &[Asset] = assets! {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "colours.css": "text/css; charset=utf-8",
    "copy.js": "text/javascript; charset=utf-8",
    "forms.js": "text/javascript; charset=utf-8",
    "hash.js": "text/javascript; charset=utf-8",
    "keys.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "log.css": "text/css; charset=utf-8",
    "log.js": "text/javascript; charset=utf-8",
    "log_live.js": "text/javascript; charset=utf-8",
    "log_search.js": "text/javascript; charset=utf-8",
    "log_store.js": "text/javascript; charset=utf-8",
    "log_view.js": "text/javascript; charset=utf-8",
    "morph.js": "text/javascript; charset=utf-8",
    "run.css": "text/css; charset=utf-8",
    "times.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "icon-good.svg": "image/svg+xml",
    "icon-degraded.svg": "image/svg+xml",
    "icon-bad.svg": "image/svg+xml",
    "icon-live.svg": "image/svg+xml",
    "icon-stopped.svg": "image/svg+xml",
};

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in ASSETS {
        hash.update(asset.name);
        hash.update([0]);
        hash.update(asset.content);
        hash.update([0]);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..8])
});

/// The hash of all assets as paths have it.
#[must_use]
pub fn version() -> &'static str {
    &VERSION
}

/// Where an asset is: `/assets/HASH/NAME`.
#[must_use]
pub fn url(name: &str) -> String {
    debug_assert!(find(name).is_some(), "no asset {name}");
    format!("/assets/{}/{name}", version())
}

/// The asset of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_served_and_nothing_loads_from_elsewhere() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets"));
        let files = files.into_iter().flatten().flatten();
        let mut names: Vec<_> = files
            .filter_map(|file| file.file_name().into_string().ok())
            .collect();
        names.sort();
        let mut served: Vec<_> = ASSETS.iter().map(|asset| asset.name).collect();
        served.sort_unstable();
        assert_eq!(names, served);
        for asset in ASSETS {
            let foreign = ["http://", "https://", "url(//", "from '//", "@import"];
            let text = asset.content.replace("http://www.w3.org/2000/svg", "");
            assert!(foreign.iter().all(|word| !text.contains(word)), "{}", asset.name);
        }
    }

    #[test]
    fn modules_import_only_what_lies_beside_them() {
        for asset in ASSETS.iter().filter(|asset| asset.name.ends_with(".js")) {
            for line in asset.content.lines().filter(|line| line.starts_with("import ")) {
                let name = line.split("'./").nth(1).and_then(|rest| rest.strip_suffix("';"));
                assert!(
                    name.is_some_and(|name| find(name).is_some()),
                    "{}: {line}",
                    asset.name
                );
            }
        }
    }
}
