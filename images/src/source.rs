//! The store as the runtime sees it.

use std::fs::File;

use async_trait::async_trait;
use runtime::{ImageSource, Rootfs, StartError, StartErrorKind};
use types::Pull;

use crate::{Image, ImageError, Images};

#[async_trait]
impl ImageSource for Images {
    async fn rootfs(&self, reference: &str, pull: Pull) -> Result<(Rootfs, File), StartError> {
        let (image, hold) = self
            .ensure(reference, pull)
            .await
            .map_err(|error| StartError::new(kind(&error), error.to_string()))?;
        Ok((rootfs(image), hold))
    }
}

fn rootfs(image: Image) -> Rootfs {
    Rootfs {
        digest: image.digest.to_string(),
        layers: image.layers,
        hold: image.record,
        env: image.config.env,
        workdir: image.config.workdir,
        user: image.config.user,
        command: image.config.command,
    }
}

fn kind(error: &ImageError) -> StartErrorKind {
    match error {
        ImageError::Reference { .. } => StartErrorKind::Spec,
        ImageError::NotFound { .. } | ImageError::NotPresent { .. } => StartErrorKind::ImageMissing,
        ImageError::Unauthorized { .. } | ImageError::Credentials { .. } => StartErrorKind::ImageDenied,
        ImageError::Unreachable { .. } | ImageError::Registry { .. } => StartErrorKind::RegistryUnreachable,
        ImageError::Platform { .. } => StartErrorKind::ImagePlatform,
        ImageError::TimedOut { .. } => StartErrorKind::ImageTimeout,
        ImageError::Digest { .. }
        | ImageError::TooLarge { .. }
        | ImageError::Malformed { .. }
        | ImageError::Layer { .. } => StartErrorKind::ImageBroken,
        ImageError::Io { .. } => StartErrorKind::Runtime,
    }
}
