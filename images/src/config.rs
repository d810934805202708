//! What an image says of how it wants to be run. Its own command is for services: a step always says what it runs.

use serde::{Deserialize, Serialize};

/// An image's configuration (OCI image-spec, config.md), as far as it is used: what is not read cannot fill the memory.
#[derive(Deserialize)]
pub(crate) struct ConfigFile {
    pub architecture: String,
    pub os: String,
    pub rootfs: Layers,
    config: Option<Wishes>,
}

/// Its layers, uncompressed.
#[derive(Deserialize)]
pub(crate) struct Layers {
    pub diff_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Wishes {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
}

/// What an image says of how it wants to be run; a step's own words come before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Environment: name and value.
    pub env: Vec<(String, String)>,
    /// Working directory; empty when it says none.
    pub workdir: String,
    /// `user`, `uid`, `user:group` or `uid:gid`; empty when it says none.
    pub user: String,
    /// Its entrypoint and its command; empty when it says neither, and of an image that an older agent unpacked.
    #[serde(default)]
    pub command: Vec<String>,
}

impl ImageConfig {
    pub(crate) fn of(file: &ConfigFile) -> Self {
        let Some(config) = &file.config else {
            return Self::default();
        };
        let env = config.env.iter().flatten();
        Self {
            env: env
                .filter_map(|pair| pair.split_once('='))
                .filter(|(name, value)| !name.is_empty() && !name.contains('\0') && !value.contains('\0'))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            workdir: config.working_dir.clone().unwrap_or_default(),
            user: config.user.clone().unwrap_or_default(),
            command: [&config.entrypoint, &config.cmd]
                .into_iter()
                .flatten()
                .flatten()
                .cloned()
                .collect(),
        }
    }
}
