//! What the agent needs of something that runs containers.

use std::path::Path;

use async_trait::async_trait;
use runtime::{Adopted, ContainerSpec, Ended, Handle, Native, NativeError, Secrets};

/// What runs containers: image and spec in, streams as files and an exit record out. An attempt is named by its
/// directory; starting it twice is starting it once.
#[async_trait]
pub(crate) trait Runtime: Send + Sync {
    /// The word for it in a Hello.
    fn name(&self) -> &'static str;
    /// Starts it, or finds what was started under this name before. An error means that nothing has run.
    async fn start(&self, dir: &Path, spec: ContainerSpec, secrets: Secrets) -> Result<Found, RuntimeError>;
    /// Finds it after a restart of the agent.
    async fn adopt(&self, dir: &Path) -> Result<Found, RuntimeError>;
    /// TERM, grace, KILL; returns at once.
    async fn stop(&self, dir: &Path) -> Result<(), RuntimeError>;
    /// Takes away what is left of one that ended; nothing there is fine.
    async fn remove(&self, dir: &Path) -> Result<(), RuntimeError>;
}

/// One that runs.
#[async_trait]
pub(crate) trait Attached: Send + Sync {
    /// Waits for its end; may be dropped and called again.
    async fn wait(&self) -> Result<Ended, RuntimeError>;
}

/// What was found under a name.
pub(crate) enum Found {
    Running(Box<dyn Attached>),
    Ended(Ended),
}

/// The runtime could not do it; one line for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RuntimeError(pub String);

impl From<NativeError> for RuntimeError {
    fn from(error: NativeError) -> Self {
        Self(error.to_string())
    }
}

#[async_trait]
impl Attached for Handle {
    async fn wait(&self) -> Result<Ended, RuntimeError> {
        Ok(Self::wait(self).await?)
    }
}

impl From<Adopted> for Found {
    fn from(adopted: Adopted) -> Self {
        match adopted {
            Adopted::Running(handle) => Self::Running(Box::new(handle)),
            Adopted::Ended(ended) => Self::Ended(ended),
        }
    }
}

#[async_trait]
impl Runtime for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    async fn start(&self, dir: &Path, spec: ContainerSpec, secrets: Secrets) -> Result<Found, RuntimeError> {
        let (native, dir) = (self.clone(), dir.to_owned());
        blocking(move || Ok(Self::start(&native, &dir, &spec, &secrets)?.into())).await
    }

    async fn adopt(&self, dir: &Path) -> Result<Found, RuntimeError> {
        let (native, dir) = (self.clone(), dir.to_owned());
        blocking(move || Ok(Self::adopt(&native, &dir)?.into())).await
    }

    async fn stop(&self, dir: &Path) -> Result<(), RuntimeError> {
        let (native, dir) = (self.clone(), dir.to_owned());
        blocking(move || Ok(Self::stop(&native, &dir)?)).await
    }

    async fn remove(&self, dir: &Path) -> Result<(), RuntimeError> {
        let (native, dir) = (self.clone(), dir.to_owned());
        blocking(move || Ok(Self::remove(&native, &dir)?)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(RuntimeError(format!("the runtime's task ended: {error}"))),
    }
}
