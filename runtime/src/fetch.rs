//! An attempt's image before its start: fetched while a wish to stop is heard.

use std::fs::File;
use std::path::Path;

use crate::contract::{Found, Runtime, RuntimeError};
use crate::native::make_attempt_dir;
use crate::{
    AttemptDir, ContainerSpec, Ended, ExitRecord, Image, Native, Rootfs, StartError, StartErrorKind, clock,
};

/// What came of it.
pub(crate) enum Fetched {
    /// It can be started, on this root; none for the host's own system.
    Ready(Option<(Rootfs, File)>),
    /// It was started before, or it will not be.
    Over(Found),
}

impl Native {
    /// The root for an attempt. Nothing is fetched for one that was started before.
    pub(crate) async fn rootfs(&self, dir: &Path, spec: &ContainerSpec) -> Result<Fetched, RuntimeError> {
        let (Image::Oci(reference), Some(images)) = (&spec.image, &self.images) else {
            return Ok(Fetched::Ready(None));
        };
        match Runtime::adopt(self, dir).await? {
            Found::Ended(Ended::NeverStarted(_)) => {}
            found => return Ok(Fetched::Over(found)),
        }
        make_attempt_dir(dir)?;
        let began = clock::wall_ms();
        let stop = AttemptDir::new(dir).stop();
        let mut stops = self.stops();
        let stopped = async { while !stop.exists() && stops.changed().await.is_ok() {} };
        let refused = tokio::select! {
            biased;
            () = stopped => StartError::new(StartErrorKind::Stopped, "it was stopped before its image was there"),
            rootfs = images.rootfs(reference, spec.pull) => match rootfs {
                Ok(rootfs) => return Ok(Fetched::Ready(Some(rootfs))),
                Err(error) => error,
            },
        };
        let finished = clock::wall_ms();
        let record = ExitRecord {
            stopped: refused.kind == StartErrorKind::Stopped,
            start_error: Some(refused),
            started_at_ms: began,
            finished_at_ms: finished,
            duration_ms: u64::try_from(finished - began).unwrap_or(0),
            ..ExitRecord::default()
        };
        Ok(Fetched::Over(Found::Ended(Ended::Finished(Box::new(record)))))
    }
}
