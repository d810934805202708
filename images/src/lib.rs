//! Container images on an agent's host without a daemon: fetched from registries or loaded from archives, kept by
//! digest, each layer unpacked once into a directory that all containers share read-only.
//!
//! The runtime lays the layers over each other; it links nothing of this room.

mod archive;
mod auth;
mod config;
mod digest;
mod error;
mod layer;
mod platform;
mod prune;
mod pull;
mod reference;
mod registry;
mod source;
mod store;

pub use auth::docker_config;
pub use config::ImageConfig;
pub use digest::{Digest, DigestError};
pub use error::ImageError;
pub use layer::LayerError;
pub use prune::{Keep, Listed, Pruned};
pub use pull::Images;
pub use registry::Access;
pub use store::{Image, Store};
