//! GitHub, or a GitHub Enterprise Server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use node::egress::Egress;
use reqwest::header::HeaderValue;
use serde_json::Value;
use types::Secret;

use crate::{
    ConnectionError,
    connections::{Get, base_url},
};

/// Answers that are kept to be asked for again: those that have not changed cost nothing of the limit.
const KEPT: usize = 64;

/// GitHub's API with a token.
#[derive(Debug, Clone)]
pub struct GithubConnection {
    /// `https://api.github.com`, or `https://HOST/api/v3`, without a final slash.
    pub(crate) base: String,
    pub(crate) token: HeaderValue,
    secret: Secret,
    pub(crate) http: reqwest::Client,
    kept: Arc<Mutex<HashMap<String, Page>>>,
}

/// A page, as it was when it had this tag.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) etag: String,
    pub(crate) body: Value,
    pub(crate) next: Option<String>,
}

impl GithubConnection {
    /// To an API, with a token.
    ///
    /// # Errors
    /// When the URL is none, the token cannot stand in a header, or no client can be made.
    pub fn new(url: Option<&str>, token: String) -> Result<Self, ConnectionError> {
        let example = "https://github.example.com/api/v3";
        let base = base_url(url.unwrap_or("https://api.github.com")).ok_or(ConnectionError::Url {
            variable: "GITHUB_API_URL",
            example,
        })?;
        let wrong = |_| ConnectionError::Token {
            variable: "GITHUB_TOKEN",
        };
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(wrong)?;
        header.set_sensitive(true);
        let http = Egress::to(&base).client()?;
        Ok(Self {
            base,
            token: header,
            secret: Secret::new(token),
            http,
            kept: Arc::default(),
        })
    }

    /// From the environment; none without a token.
    pub(crate) fn from_env(get: Get<'_>) -> Result<Option<Self>, ConnectionError> {
        match get("GITHUB_TOKEN") {
            Some(token) => Self::new(get("GITHUB_API_URL").as_deref(), token).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn secret(&self) -> Secret {
        self.secret.clone()
    }

    /// The page of a URL, when it was asked for before.
    pub(crate) fn kept(&self, url: &str) -> Option<Page> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(url).cloned()
    }

    /// Keeps a page; all are forgotten when there are too many.
    pub(crate) fn keep(&self, url: &str, page: &Page) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(url.to_owned(), page.clone());
    }
}
