//! What runs containers, as the agent sees it: image and spec in, streams as files and an exit record out.

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;

use crate::fetch::Fetched;
use crate::go::Go;
use crate::{Adopted, ContainerSpec, Ended, Handle, Native, NativeError, Secrets, Stray};

/// What runs containers. An attempt is named by its directory; starting it twice is starting it once.
///
/// Below that directory lie what the step writes (see [`crate::AttemptDir`]) and, once it has ended, its exit record,
/// whichever runtime ran it.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// The word for it in a Hello, in reports and on the command line.
    fn name(&self) -> &'static str;
    /// What of the spec this runtime can never do, with the way out; asked before a start.
    fn refuses(&self, spec: &ContainerSpec) -> Option<String>;
    /// Which limits do not hold a step as a whole here, for people; none where all do.
    fn looser(&self) -> Option<String> {
        None
    }
    /// What it can give on this host now that not every runtime on every host can, by the words of
    /// `types::ContainerWork::wants_offered`; placement looks at it.
    async fn offers(&self) -> BTreeSet<&'static str>;
    /// Starts it, or finds what was started under this name before. Returns once the program is about to run, which
    /// may take as long as the image takes to be fetched.
    ///
    /// # Errors
    /// Nothing has run. What is the image's or the step's fault is a start error in a record instead.
    async fn start(&self, dir: &Path, spec: ContainerSpec, secrets: Secrets) -> Result<Found, RuntimeError>;
    /// As [`Runtime::start`]: makes ready what it can, and begins when it may; none when it may not.
    ///
    /// # Errors
    /// As [`Runtime::start`].
    async fn start_when(
        &self,
        dir: &Path,
        spec: ContainerSpec,
        secrets: Secrets,
        go: Go,
    ) -> Result<Option<Found>, RuntimeError> {
        if go.given().await {
            Ok(Some(self.start(dir, spec, secrets).await?))
        } else {
            Ok(None)
        }
    }
    /// Finds it after a restart of the agent.
    ///
    /// # Errors
    /// It cannot be found out what became of it.
    async fn adopt(&self, dir: &Path) -> Result<Found, RuntimeError>;
    /// TERM, grace, KILL; returns at once. One that is being started (its image fetched, say) is not started any more.
    ///
    /// # Errors
    /// The wish did not arrive; it is as before.
    async fn stop(&self, dir: &Path) -> Result<(), RuntimeError>;
    /// Takes away what is left of one that ended; nothing there is fine.
    ///
    /// # Errors
    /// It runs, or something cannot be removed: to be tried again.
    async fn remove(&self, dir: &Path) -> Result<(), RuntimeError>;
    /// What it made itself, for this agent, and what belongs to no attempt's directory any more. Nothing of anybody
    /// else's is in it, whatever it is called.
    ///
    /// # Errors
    /// It cannot be looked for now.
    async fn strays(&self) -> Result<Vec<Stray>, RuntimeError>;
    /// Ends a stray and takes it away; one that is gone is fine.
    ///
    /// # Errors
    /// It does not go: to be tried again.
    async fn clear(&self, stray: &Stray) -> Result<(), RuntimeError>;
}

/// One that runs.
#[async_trait]
pub trait Attached: Send + Sync {
    /// Waits for its end; may be dropped and called again.
    ///
    /// # Errors
    /// It cannot be watched now; it may be tried again.
    async fn wait(&self) -> Result<Ended, RuntimeError>;
}

/// What was found under a name.
pub enum Found {
    /// It runs.
    Running(Box<dyn Attached>),
    /// It ended.
    Ended(Ended),
}

/// The runtime could not do it; one line for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RuntimeError(pub String);

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

    fn refuses(&self, spec: &ContainerSpec) -> Option<String> {
        self.can(spec).err().map(|error| error.to_string())
    }

    fn looser(&self) -> Option<String> {
        Self::looser(self)
    }

    async fn offers(&self) -> BTreeSet<&'static str> {
        // Why not, `doctor` and a step that comes all the same are told.
        let egress = crate::egress::supported().is_ok();
        let services = nix::unistd::geteuid().is_root();
        let egress = egress.then_some(types::OFFER_EGRESS);
        egress
            .into_iter()
            .chain(services.then_some(types::OFFER_SERVICES))
            .collect()
    }

    async fn start(&self, dir: &Path, spec: ContainerSpec, secrets: Secrets) -> Result<Found, RuntimeError> {
        let found = self.start_when(dir, spec, secrets, Go::now()).await?;
        found.ok_or_else(|| NativeError::NotGiven.into())
    }

    async fn start_when(
        &self,
        dir: &Path,
        spec: ContainerSpec,
        secrets: Secrets,
        go: Go,
    ) -> Result<Option<Found>, RuntimeError> {
        let rootfs = match self.rootfs(dir, &spec).await? {
            Fetched::Ready(rootfs) => rootfs,
            Fetched::Over(found) => return Ok(Some(found)),
        };
        let (native, dir) = (self.clone(), dir.to_owned());
        blocking(
            move || match Self::start_on(&native, &dir, &spec, rootfs, &secrets, go) {
                Ok(adopted) => Ok(Some(adopted.into())),
                Err(NativeError::NotGiven) => Ok(None),
                Err(error) => Err(error.into()),
            },
        )
        .await
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

    async fn strays(&self) -> Result<Vec<Stray>, RuntimeError> {
        let native = self.clone();
        blocking(move || Ok(Self::strays(&native)?)).await
    }

    async fn clear(&self, stray: &Stray) -> Result<(), RuntimeError> {
        let (native, stray) = (self.clone(), stray.clone());
        blocking(move || Ok(Self::clear(&native, &stray)?)).await
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
