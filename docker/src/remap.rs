//! A daemon that maps its containers' users to others of the host (`userns-remap`, docs.docker.com/engine/security/userns-remap).

use runtime::Who;

use crate::connection::{CALL, Connection, DockerError};

/// How the daemon says that it does.
const OPTION: &str = "name=userns";

/// Whom a container's root is on the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Remap {
    uid: u32,
    gid: u32,
}

impl Remap {
    /// As the daemon says it.
    ///
    /// # Errors
    /// It does not answer, or maps users and does not say to whom.
    pub(crate) async fn of(connection: &Connection) -> Result<Self, DockerError> {
        if connection.dialect.podman {
            return Ok(Self::default());
        }
        let asking = connection.client.info();
        let info = connection
            .call("cannot ask the daemon about itself", CALL, asking)
            .await?;
        let options = info.security_options.unwrap_or_default();
        if !options
            .iter()
            .any(|option| option.split(',').any(|part| part == OPTION))
        {
            return Ok(Self::default());
        }
        let dir = info.docker_root_dir.unwrap_or_default();
        Self::told(&dir).ok_or_else(|| {
            let why = format!(
                "it maps its containers' users (userns-remap), and its data directory {dir:?} does not say to whom: its name \
                 should be UID.GID"
            );
            DockerError::here("this daemon cannot be used", why)
        })
    }

    /// The daemon keeps what belongs to the mapped users in a directory that is named by them.
    fn told(dir: &str) -> Option<Self> {
        let (uid, gid) = dir.rsplit('/').next()?.split_once('.')?;
        Some(Self {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        })
    }

    /// Whether there is any mapping.
    pub(crate) fn is_on(self) -> bool {
        self != Self::default()
    }

    /// A container's user as the host knows it: user and group.
    pub(crate) fn outside(self, who: &Who) -> (u32, u32) {
        (self.uid + who.uid, self.gid + who.gid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_is_read_of_the_data_directory() {
        let told = Remap::told("/var/lib/docker/231072.165536");
        assert_eq!(
            told,
            Some(Remap {
                uid: 231_072,
                gid: 165_536
            })
        );
        for other in [
            "",
            "/var/lib/docker",
            "/var/lib/docker/1.x",
            "/var/lib/docker.d/x",
        ] {
            assert_eq!(Remap::told(other), None, "{other}");
        }
        assert_eq!(
            told.unwrap_or_default().outside(&Who::numbered(Some(7))),
            (231_079, 165_543)
        );
    }
}
