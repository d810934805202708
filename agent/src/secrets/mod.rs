//! Secrets: from where the operator keeps them, when an attempt needs them, into the memory of the attempt's runtime and
//! nowhere else. Every value is made known to the masks before anybody gets it.

mod command;
mod error;
mod kept;
mod local;
mod masks;
mod vault;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use tokio::sync::Mutex;
use types::Secret;

use crate::file::{AgentFile, Source, Sourced};
pub(crate) use error::SecretError;
pub(crate) use kept::{Kept, private};
pub(crate) use masks::Masks;
use vault::Vault;

/// The longest secret, in bytes: what is longer is no token, and masking all its forms would need too much memory.
pub const SECRET_BYTES: usize = 8 * 1024;

/// A value that was fetched, and when.
type Fetched = Option<(Instant, Secret)>;

/// The secrets of an agent.
pub(crate) struct Secrets {
    /// From the environment, by the names that steps use.
    fixed: BTreeMap<String, Secret>,
    sourced: BTreeMap<String, Sourced>,
    /// One at a time asks for each.
    fetched: BTreeMap<String, Mutex<Fetched>>,
    masks: Arc<Masks>,
    vault: Option<Vault>,
}

impl Secrets {
    pub(crate) fn new(fixed: BTreeMap<String, Secret>, file: &AgentFile, masks: Arc<Masks>) -> Self {
        for (name, secret) in &fixed {
            masks.learn(name, secret);
        }
        Self {
            fixed,
            fetched: file
                .secrets
                .keys()
                .map(|name| (name.clone(), Mutex::new(None)))
                .collect(),
            sourced: file.secrets.clone(),
            masks,
            vault: file.vault.clone().map(Vault::new),
        }
    }

    /// Keeps what has to be kept alive: Vault's token. Goes on until it is dropped.
    pub(crate) async fn keep(&self) {
        match &self.vault {
            Some(vault) => vault.keep().await,
            None => std::future::pending().await,
        }
    }

    /// The names of all.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        let sourced = self.sourced.keys().filter(|name| !self.fixed.contains_key(*name));
        self.fixed.keys().chain(sourced)
    }

    /// Whether there is one of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fixed.contains_key(name) || self.sourced.contains_key(name)
    }

    /// A secret's value as it is now.
    ///
    /// # Errors
    /// There is none of that name, or its source does not give it; never with a part of the value.
    pub(crate) async fn get(&self, name: &str) -> Result<Secret, SecretError> {
        if let Some(secret) = self.fixed.get(name) {
            return Ok(secret.clone());
        }
        let (Some(sourced), Some(fetched)) = (self.sourced.get(name), self.fetched.get(name)) else {
            return Err(SecretError::unknown(name));
        };
        let mut fetched = fetched.lock().await;
        if let Some((at, secret)) = &*fetched
            && at.elapsed().as_millis() < u128::from(sourced.cache_ms)
            && matches!(sourced.source, Source::Command(_) | Source::Vault { .. })
        {
            return Ok(secret.clone());
        }
        let secret = self
            .fetch(&sourced.source)
            .await
            .map_err(|error| error.of(name, sourced))?;
        self.masks.learn(name, &secret);
        *fetched = Some((Instant::now(), secret.clone()));
        Ok(secret)
    }

    async fn fetch(&self, source: &Source) -> Result<Secret, error::Cause> {
        let bytes = match source {
            Source::Env(variable) => {
                return Err(error::Cause::lasting(format!(
                    "the variable {variable} is not set"
                )));
            }
            Source::File(path) => local::file(path.clone()).await?,
            Source::Credential(id) => local::credential(id).await?,
            Source::Command(argv) => command::run(argv).await?,
            Source::Vault { path, key } => self.of_vault(path, key).await?,
        };
        text(bytes)
    }

    async fn of_vault(&self, path: &str, key: &str) -> Result<Vec<u8>, error::Cause> {
        let Some(vault) = &self.vault else {
            return Err(error::Cause::lasting("[vault] is missing"));
        };
        // Twice: a token that was revoked is found out by using it.
        for _ in 0..2 {
            if !vault.is_logged_in().await {
                // Boxed: it comes by here again. It is none of Vault's own, which the file's reader sees to.
                let secret_id = Box::pin(self.get(vault.secret_id())).await;
                let secret_id = secret_id.map_err(error::Cause::from)?;
                vault.login(&secret_id, &self.masks).await?;
            }
            if let Some(value) = vault.read(path, key).await? {
                return Ok(value);
            }
        }
        Err(vault.forbidden(path))
    }
}

/// A value is a text of bounded length; the line break that editors and programs leave at its end is none of it.
fn text(bytes: Vec<u8>) -> Result<Secret, error::Cause> {
    let mut text = String::from_utf8(bytes).map_err(|_| error::Cause::lasting("its value is not UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    match text.len() {
        0 => Err(error::Cause::lasting("its value is empty")),
        length if length > SECRET_BYTES => Err(error::Cause::lasting(format!(
            "its value has more than {SECRET_BYTES} bytes, the most that can be kept out of logs"
        ))),
        _ if text.contains('\0') => Err(error::Cause::lasting("its value has a NUL byte")),
        _ => Ok(Secret::new(text)),
    }
}

#[cfg(test)]
mod tests;
