//! What the steps that run hold, for the next agent on this host: it adopts them, and masks what they print, also when their
//! secrets were rotated meanwhile. In memory of the host only, for the agent's user alone, until the attempt is removed.

use std::{
    fs::{DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
use types::{AgentId, LeaseToken, Secret};

/// ramfs, which the `nix` crate does not name (linux/magic.h).
const RAMFS_MAGIC: i64 = 0x8584_58f6;

/// Values of one secret that are kept of an attempt: it is begun anew only when an agent dies while it brings up services.
const VALUES: usize = 8;
/// What a file is called after its token while it is written.
const NEW: &str = ".new";

/// Secrets by the name that a step knows them under.
type Held = [(String, Secret)];

/// A directory in memory, there while something is kept; none where this host has none for us.
pub(crate) struct Kept(Option<PathBuf>);

impl Kept {
    /// For one agent.
    pub(crate) fn open(agent: &AgentId) -> Self {
        let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let run = nix::unistd::geteuid().is_root().then(|| PathBuf::from("/run"));
        let places = [run, own, Some(PathBuf::from("/dev/shm"))];
        let place = places.into_iter().flatten().find(|dir| is_memory(dir));
        if place.is_none() {
            tracing::warn!(
                "no file system in memory for what running steps hold: after a restart of this agent, secrets that were \
                 rotated meanwhile are not masked in what adopted steps print"
            );
        }
        Self(place.map(|dir| dir.join(format!("firehall-{agent}"))))
    }

    /// Where something else may be kept in it.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.0.as_ref()?.join(name))
    }

    /// Keeps what an attempt gets, before it gets it, beside what it got from an agent before this one: its services may run
    /// with that. Answers all that it holds.
    ///
    /// # Errors
    /// It cannot be written: then the attempt must not start.
    pub(crate) fn save(&self, token: &LeaseToken, secrets: &Held) -> io::Result<Vec<(String, Secret)>> {
        let mut all = secrets.to_vec();
        let Some(dir) = self.0.as_ref().filter(|_| !secrets.is_empty()) else {
            return Ok(all);
        };
        private(dir)?;
        let path = dir.join(token.as_str());
        for earlier in read(&path)?.into_iter().rev() {
            let of_name = all.iter().filter(|(name, _)| *name == earlier.0).count();
            if of_name < VALUES && !all.contains(&earlier) {
                all.insert(0, earlier);
            }
        }
        let plain: Vec<(&str, &str)> = all
            .iter()
            .map(|(name, secret)| (name.as_str(), secret.expose()))
            .collect();
        let mut json = serde_json::to_vec(&plain)?;
        // Never without what was there.
        let new = dir.join(format!("{token}{NEW}"));
        let written = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(&json));
        json.fill(0);
        written.and_then(|()| std::fs::rename(&new, &path))?;
        Ok(all)
    }

    /// The attempt is gone.
    pub(crate) fn forget(&self, token: &LeaseToken) {
        let Some(dir) = &self.0 else { return };
        // Of a write that broke off.
        drop(std::fs::remove_file(dir.join(format!("{token}{NEW}"))));
        match std::fs::remove_file(dir.join(token.as_str())) {
            // The last one; any other finds it full.
            Ok(()) => drop(std::fs::remove_dir(dir)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(%token, %error, "what an attempt held cannot be removed from memory");
            }
        }
    }

    /// All that is kept.
    pub(crate) fn all(&self) -> Vec<(LeaseToken, Vec<(String, Secret)>)> {
        let ours = self.0.as_ref().filter(|dir| is_private(dir));
        let entries = ours.and_then(|dir| std::fs::read_dir(dir).ok());
        let entries = entries.into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let token = entry.file_name().to_str()?.parse().ok()?;
                Some((token, read(&entry.path()).ok()?))
            })
            .collect()
    }
}

/// What one file holds; nothing where there is none.
fn read(path: &Path) -> io::Result<Vec<(String, Secret)>> {
    let mut json = match std::fs::read(path) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let plain: Vec<(String, String)> = serde_json::from_slice(&json).unwrap_or_default();
    json.fill(0);
    let secrets = plain.into_iter().map(|(name, value)| (name, Secret::new(value)));
    Ok(secrets.collect())
}

fn is_memory(dir: &Path) -> bool {
    statfs(dir).is_ok_and(|stat| [TMPFS_MAGIC, FsType(RAMFS_MAGIC)].contains(&stat.filesystem_type()))
}

/// Makes it ours, when it is not yet.
pub(crate) fn private(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ if is_private(dir) => Ok(()),
        _ => Err(io::Error::other(format!("{} is not ours alone", dir.display()))),
    }
}

/// Ours, for nobody else, and no link to elsewhere.
fn is_private(dir: &Path) -> bool {
    let user = nix::unistd::geteuid().as_raw();
    std::fs::symlink_metadata(dir)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == user && meta.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use types::Timestamp;

    use super::*;

    #[test]
    fn what_is_kept_is_in_memory_for_us_alone_until_it_is_forgotten() {
        let agent = AgentId::new(
            Timestamp::from_unix_ms(1),
            [u8::try_from(std::process::id() % 251).unwrap(); 10],
        );
        let token = LeaseToken::new(Timestamp::from_unix_ms(1), [7; 10]);
        let kept = Kept::open(&agent);
        let dir = kept.0.clone().unwrap();
        assert!(is_memory(dir.parent().unwrap()) && kept.all().is_empty());
        let secret = Secret::new("hunter2-hunter2".to_owned());
        kept.save(&token, &[("TOKEN".to_owned(), secret.clone())])
            .unwrap();
        let meta = std::fs::metadata(dir.join(token.as_str())).unwrap();
        assert_eq!(
            (
                meta.mode() & 0o7777,
                std::fs::metadata(&dir).unwrap().mode() & 0o7777
            ),
            (0o600, 0o700)
        );
        // The next agent.
        let all = Kept::open(&agent).all();
        assert_eq!(all, [(token.clone(), vec![("TOKEN".to_owned(), secret.clone())])]);
        // It begins the attempt again, and the secret is another now.
        let pair = |secret: &Secret| ("TOKEN".to_owned(), secret.clone());
        let rotated = Secret::new("hunter3-hunter3".to_owned());
        let both = vec![pair(&secret), pair(&rotated)];
        assert_eq!(kept.save(&token, &[pair(&rotated)]).unwrap(), both);
        assert_eq!(kept.save(&token, &[pair(&rotated)]).unwrap(), both);
        assert_eq!(Kept::open(&agent).all(), [(token.clone(), both)]);
        kept.forget(&token);
        assert!(kept.all().is_empty() && !dir.exists());
    }
}
