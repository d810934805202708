//! A cluster's API server: by a pod's service account, or by URL and token.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use node::egress::Egress;
use types::Secret;

use crate::connections::{ConnectionError, base_url, header_safe};

/// Where a pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Instead of a URL: the cluster that the agent's pod is in.
const IN_CLUSTER: &str = "in-cluster";
const URL: &str = "KUBERNETES_API_URL";
const EXAMPLE: &str = "https://10.0.0.1:6443, or in-cluster";
/// Of a token or of certificates, in bytes.
const FILE_BYTES: u64 = 1024 * 1024;

/// A cluster's API server with a token.
#[derive(Debug, Clone)]
pub struct KubernetesConnection {
    /// Without its final slash.
    pub(crate) base: String,
    token: Token,
    pub(crate) http: reqwest::Client,
}

/// A service account's token is renewed in its file, so it is read each time.
#[derive(Debug, Clone)]
enum Token {
    Fixed(Secret),
    File(PathBuf),
}

impl KubernetesConnection {
    /// `KUBERNETES_API_URL`: `in-cluster` for a pod's own service account (`KUBERNETES_SERVICE_ACCOUNT_DIR` names another
    /// folder with `token` and `ca.crt`), or a URL with `KUBERNETES_TOKEN` or `KUBERNETES_TOKEN_FILE` and, where the
    /// system does not know the cluster's certificates, `KUBERNETES_CA_FILE`.
    ///
    /// # Errors
    /// When one of them is there and wrong. Without the URL there is no connection.
    pub(crate) fn from_env(get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, ConnectionError> {
        let Some(url) = get(URL) else {
            return Ok(None);
        };
        if url == IN_CLUSTER {
            let need = |missing: &'static str| {
                get(missing).ok_or(ConnectionError::Needs {
                    present: URL,
                    missing,
                })
            };
            let (host, port) = (need("KUBERNETES_SERVICE_HOST")?, need("KUBERNETES_SERVICE_PORT")?);
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host
            };
            let dir = get("KUBERNETES_SERVICE_ACCOUNT_DIR").unwrap_or_else(|| ACCOUNT.to_owned());
            let dir = Path::new(&dir);
            let base = format!("https://{host}:{port}");
            return Self::with_file(&base, dir.join("token"), Some(&dir.join("ca.crt"))).map(Some);
        }
        let ca = get("KUBERNETES_CA_FILE");
        let ca = ca.as_deref().map(Path::new);
        match (get("KUBERNETES_TOKEN"), get("KUBERNETES_TOKEN_FILE")) {
            (Some(token), _) => Self::new(&url, token, ca).map(Some),
            (None, Some(file)) => Self::with_file(&url, PathBuf::from(file), ca).map(Some),
            (None, None) => Err(ConnectionError::Needs {
                present: URL,
                missing: "KUBERNETES_TOKEN (or KUBERNETES_TOKEN_FILE)",
            }),
        }
    }

    /// With a token that stays.
    ///
    /// # Errors
    /// When the URL is none, the token cannot stand in a header, or the certificates cannot be read.
    pub fn new(url: &str, token: String, ca: Option<&Path>) -> Result<Self, ConnectionError> {
        header_safe(&token, "KUBERNETES_TOKEN")?;
        Self::to(url, Token::Fixed(Secret::new(token)), ca)
    }

    /// With a token that is renewed in a file.
    ///
    /// # Errors
    /// When the URL is none, or token or certificates cannot be read.
    pub fn with_file(url: &str, token: PathBuf, ca: Option<&Path>) -> Result<Self, ConnectionError> {
        let connection = Self::to(url, Token::File(token), ca)?;
        connection.bearer().map_err(|what| ConnectionError::File {
            variable: "KUBERNETES_TOKEN_FILE",
            what,
        })?;
        Ok(connection)
    }

    fn to(url: &str, token: Token, ca: Option<&Path>) -> Result<Self, ConnectionError> {
        let base = base_url(url).ok_or(ConnectionError::Url {
            variable: URL,
            example: EXAMPLE,
        })?;
        let wrong = |what: String| ConnectionError::File {
            variable: "KUBERNETES_CA_FILE",
            what,
        };
        let roots = match ca {
            Some(path) => {
                let pem = read(path).map_err(wrong)?;
                let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
                let roots = roots.ok().filter(|roots| !roots.is_empty());
                Some(roots.ok_or_else(|| wrong(format!("{}: no PEM certificate in it", path.display())))?)
            }
            None => None,
        };
        let egress = Egress {
            roots,
            ..Egress::to(&base)
        };
        Ok(Self {
            base,
            token,
            http: egress.client()?,
        })
    }

    /// The token as it is now.
    ///
    /// # Errors
    /// In words, without it, when its file cannot be read.
    pub(crate) fn bearer(&self) -> Result<Secret, String> {
        match &self.token {
            Token::Fixed(token) => Ok(token.clone()),
            Token::File(path) => {
                let token = read(path)?.trim().to_owned();
                match header_safe(&token, "KUBERNETES_TOKEN_FILE") {
                    Ok(()) if !token.is_empty() => Ok(Secret::new(token)),
                    _ => Err(format!("{}: there is no token in it", path.display())),
                }
            }
        }
    }

    /// The token as it is at the start, for the masking of logs; one that is renewed later goes into a header only.
    pub(crate) fn secret(&self) -> Option<Secret> {
        self.bearer().ok()
    }
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > FILE_BYTES {
        return Err(format!("{} is larger than {FILE_BYTES} bytes", path.display()));
    }
    fs::read_to_string(path).map_err(failed)
}
