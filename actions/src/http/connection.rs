//! What the operator gives `http/request`: the networks that it may reach, and places by name with their secrets.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use ipnet::IpNet;
use node::egress::{guarded::Guarded, reach::Reach};
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};
use types::Secret;

use crate::{ConnectionError, connections::base_url};

/// The longest name of a connection.
const NAME: usize = 40;

/// How a connection proves who we are.
#[derive(Debug, Clone)]
pub enum HttpAuth {
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// `Authorization: Basic …`, of `USER:PASSWORD`.
    Basic(Secret),
    /// Another header, as `NAME: VALUE`.
    Header(Secret),
}

/// A place by name.
#[derive(Debug, Clone)]
pub struct HttpConnection {
    pub(crate) base: Url,
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    secrets: Vec<Secret>,
}

impl HttpConnection {
    /// A base URL, to which a step adds its path, and what proves who we are.
    ///
    /// # Errors
    /// When the URL is none, or the secret cannot stand in a header.
    pub fn new(name: &str, base: &str, auth: Option<HttpAuth>) -> Result<Self, ConnectionError> {
        let wrong = |why: &'static str| ConnectionError::Http {
            name: name.chars().take(NAME).collect(),
            why,
        };
        if !is_name(name) {
            return Err(wrong(
                "a name is lower-case letters, digits and hyphens, at most 40",
            ));
        }
        let base = base_url(base)
            .and_then(|base| Url::parse(&base).ok())
            .ok_or(wrong(
                "expected an http or https URL without user name, query and fragment",
            ))?;
        let (header, secrets) = match auth {
            None => (None, Vec::new()),
            Some(auth) => header(auth).map(|(header, secrets)| (Some(header), secrets)).ok_or(wrong(
                "its secret cannot stand in a header (a line break? a header is `NAME: VALUE`, basic is `USER:PASSWORD`)",
            ))?,
        };
        Ok(Self {
            base,
            header,
            secrets,
        })
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= NAME && name.chars().all(fits)
}

/// The header, and the secrets in it.
fn header(auth: HttpAuth) -> Option<((HeaderName, HeaderValue), Vec<Secret>)> {
    let (name, value, secrets) = match auth {
        HttpAuth::Bearer(secret) => (AUTHORIZATION, format!("Bearer {}", secret.expose()), vec![secret]),
        HttpAuth::Basic(secret) => {
            let (_, password) = secret.expose().split_once(':')?;
            let password = Secret::new(password.to_owned());
            let encoded = BASE64.encode(secret.expose().as_bytes());
            let value = format!("Basic {encoded}");
            (AUTHORIZATION, value, vec![password, Secret::new(encoded)])
        }
        HttpAuth::Header(secret) => {
            let (name, value) = secret.expose().split_once(':')?;
            let name = name.trim().parse().ok()?;
            let value = value.trim().to_owned();
            (name, value.clone(), vec![Secret::new(value)])
        }
    };
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some((
        (name, value),
        secrets
            .into_iter()
            .filter(|secret| !secret.expose().is_empty())
            .collect(),
    ))
}

/// Where `http/request` may go.
#[derive(Debug, Clone, Default)]
pub struct Http {
    pub(crate) client: Guarded,
    pub(crate) named: BTreeMap<String, HttpConnection>,
}

impl Http {
    /// Public addresses and these networks; and these places by name, wherever they are.
    pub fn new(
        allowed: impl IntoIterator<Item = IpNet>,
        named: impl IntoIterator<Item = (String, HttpConnection)>,
    ) -> Self {
        Self {
            client: Guarded::new(Reach::with(allowed)),
            named: named.into_iter().collect(),
        }
    }

    /// What places are called for placement: `http:jira`.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.named.keys().map(|name| format!("http:{name}"))
    }

    pub(crate) fn secrets(&self) -> impl Iterator<Item = Secret> + '_ {
        self.named
            .values()
            .flat_map(|connection| connection.secrets.iter().cloned())
    }
}
