//! A server of the operator's own (Prometheus, Loki): where it is, who we are there, and whose data is meant.

use data_encoding::BASE64;
use node::egress::Egress;
use reqwest::{
    Client,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use types::Secret;

use crate::{
    ConnectionError,
    connections::{Get, base_url},
};

/// The variables that describe one.
pub(crate) struct Variables {
    pub(crate) url: &'static str,
    pub(crate) example: &'static str,
    pub(crate) bearer: &'static str,
    pub(crate) username: &'static str,
    pub(crate) password: &'static str,
    pub(crate) tenant: &'static str,
}

/// A connection to a server by its base URL.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Without a final slash.
    pub(crate) base: String,
    pub(crate) http: Client,
    pub(crate) headers: HeaderMap,
    secrets: Vec<Secret>,
}

impl Upstream {
    /// From variables; none without a URL.
    pub(crate) fn from_env(get: Get<'_>, names: &Variables) -> Result<Option<Self>, ConnectionError> {
        let Some(url) = get(names.url) else {
            return Ok(None);
        };
        let base = base_url(&url).ok_or(ConnectionError::Url {
            variable: names.url,
            example: names.example,
        })?;
        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        let mut set = |name: HeaderName, text: &str, variable: &'static str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| ConnectionError::Token { variable })?;
            value.set_sensitive(true);
            headers.insert(name, value);
            Ok::<(), ConnectionError>(())
        };
        match (get(names.bearer), get(names.username), get(names.password)) {
            (Some(_), Some(_), _) => {
                return Err(ConnectionError::Both {
                    one: names.bearer,
                    other: names.username,
                });
            }
            (Some(token), None, _) => {
                set(AUTHORIZATION, &format!("Bearer {token}"), names.bearer)?;
                secrets.push(Secret::new(token));
            }
            (None, Some(user), Some(password)) => {
                let pair = BASE64.encode(format!("{user}:{password}").as_bytes());
                set(AUTHORIZATION, &format!("Basic {pair}"), names.password)?;
                secrets.extend([Secret::new(password), Secret::new(pair)]);
            }
            (None, Some(_), None) => {
                return Err(ConnectionError::Half {
                    present: names.username,
                    missing: names.password,
                });
            }
            (None, None, Some(_)) => {
                return Err(ConnectionError::Half {
                    present: names.password,
                    missing: names.username,
                });
            }
            (None, None, None) => {}
        }
        if let Some(tenant) = get(names.tenant) {
            set(HeaderName::from_static("x-scope-orgid"), &tenant, names.tenant)?;
        }
        let http = Egress::to(&base).client()?;
        Ok(Some(Self {
            base,
            http,
            headers,
            secrets,
        }))
    }

    pub(crate) fn secrets(&self) -> impl Iterator<Item = Secret> + '_ {
        self.secrets.iter().cloned()
    }
}
