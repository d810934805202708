//! A directory, or a bucket that speaks S3.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use object_store::{ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder, local::LocalFileSystem};
use types::Secret;

use super::{Artifacts, Keep};

/// How long a bucket may take to be reached.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a bucket may leave an answer open. reqwest counts this from the request's first byte, so that it bounds how long
/// a part may be under way too: two of them at once (`objects`) come through at 35 kB/s. A peer that is gone is found by TCP
/// within half a minute.
const SILENCE: Duration = Duration::from_secs(300);
/// From the first try of a request until it is not tried again.
const RETRIES: Duration = Duration::from_secs(60);

/// Where artifacts are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A directory, made when it is not there.
    Directory(PathBuf),
    /// A bucket, and a prefix of names in it.
    S3 {
        /// The bucket.
        bucket: String,
        /// What all names begin with; may be empty.
        prefix: String,
    },
}

/// What an S3 bucket is reached with, from the environment's `AWS_…`.
#[derive(Debug, Default)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub key: Option<Secret>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: Option<Secret>,
    /// `AWS_SESSION_TOKEN`.
    pub session: Option<Secret>,
    /// `AWS_REGION`; `us-east-1` when nothing is said.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL`: a service other than Amazon's. `http://` is taken as it is.
    pub endpoint: Option<String>,
}

/// Why there is no place for artifacts.
#[derive(Debug, thiserror::Error)]
#[error("artifacts in {place}: {why}")]
pub struct ArtifactsError {
    /// Where.
    pub place: String,
    /// Why, and what to do.
    pub why: String,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return match text.split_once("://") {
                Some((scheme, _)) => Err(format!(
                    "{scheme}:// is not known: give a directory or s3://BUCKET/PREFIX"
                )),
                None if text.is_empty() => Err("give a directory or s3://BUCKET/PREFIX".to_owned()),
                None => Ok(Self::Directory(text.into())),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(plain) {
            return Err(format!(
                "{bucket:?} is no bucket's name (s3://BUCKET/PREFIX; credentials come from AWS_…)"
            ));
        }
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

impl Artifacts {
    /// Opens the place; what is on its way lies below `data_dir`, which only its owner may read.
    ///
    /// # Errors
    /// The directory cannot be made, or there are no credentials for the bucket. Whether a bucket answers shows when it is
    /// first used.
    pub fn open(place: &Place, data_dir: &Path, credentials: &Credentials) -> Result<Self, ArtifactsError> {
        let failed = |why: String| ArtifactsError {
            place: place.to_string(),
            why,
        };
        let incoming = data_dir.join("artifacts.incoming");
        private(&incoming).map_err(|error| failed(error.to_string()))?;
        let objects: Arc<dyn ObjectStore> = match place {
            Place::Directory(path) => {
                private(path).map_err(|error| failed(error.to_string()))?;
                let objects =
                    LocalFileSystem::new_with_prefix(path).map_err(|error| failed(error.to_string()))?;
                Arc::new(objects.with_fsync(true))
            }
            Place::S3 { bucket, prefix } => s3(bucket, prefix, credentials).map_err(failed)?,
        };
        Ok(Self::on(objects, place.to_string(), incoming))
    }

    /// On any object store; what is on its way lies in the directory `incoming`, which is there.
    #[must_use]
    pub fn on(objects: Arc<dyn ObjectStore>, place: String, incoming: PathBuf) -> Self {
        Self {
            objects,
            place,
            incoming,
            keep: Keep::default(),
            uses: Arc::default(),
            turns: Arc::default(),
        }
    }

    /// With bounds to what stays.
    #[must_use]
    pub fn keeping(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Where they are, for people.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

fn s3(bucket: &str, prefix: &str, credentials: &Credentials) -> Result<Arc<dyn ObjectStore>, String> {
    let (Some(key), Some(secret)) = (&credentials.key, &credentials.secret) else {
        return Err("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
    };
    // Another part of this process may have done it.
    let _already = rustls::crypto::ring::default_provider().install_default();
    let endpoint = credentials.endpoint.as_deref();
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    // No end for a whole request: how long one takes is the link's and the size's.
    let options = ClientOptions::new()
        .with_allow_http(plain)
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT)
        .with_read_timeout(SILENCE);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(credentials.region.as_deref().unwrap_or("us-east-1"))
        .with_access_key_id(key.expose())
        .with_secret_access_key(secret.expose())
        .with_client_options(options)
        .with_retry(RetryConfig {
            max_retries: 5,
            retry_timeout: RETRIES,
            ..RetryConfig::default()
        });
    if let Some(session) = &credentials.session {
        builder = builder.with_token(session.expose());
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let store = builder.build().map_err(|error| error.to_string())?;
    Ok(match prefix {
        "" => Arc::new(store),
        prefix => Arc::new(object_store::prefix::PrefixStore::new(store, prefix)),
    })
}

/// Makes a directory that only its owner may enter; one that is there is made so, as an agent's is: what is in it is not
/// for others.
fn private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    if fs_err::metadata(dir)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    fs_err::set_permissions(dir, PermissionsExt::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_place_is_a_directory_or_a_bucket() {
        let s3 = |bucket: &str, prefix: &str| {
            Ok(Place::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            })
        };
        assert_eq!("/var/lib/x".parse(), Ok(Place::Directory("/var/lib/x".into())));
        assert_eq!("s3://kept".parse(), s3("kept", ""));
        assert_eq!("s3://kept/a/b/".parse(), s3("kept", "a/b"));
        for wrong in [
            "",
            "s3://",
            "s3://K/x",
            "s3://user:password@host/x",
            "gs://bucket",
        ] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_directory_that_others_may_enter_is_theirs_no_longer() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("kept");
        std::fs::create_dir(&place).unwrap();
        std::fs::set_permissions(&place, PermissionsExt::from_mode(0o755)).unwrap();
        Artifacts::open(
            &Place::Directory(place.clone()),
            dir.path(),
            &Credentials::default(),
        )
        .unwrap();
        let mode = std::fs::metadata(&place).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
