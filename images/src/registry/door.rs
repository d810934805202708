//! Asking, and saying who asks when the registry wants to know: by name and password, or by a token of the service that
//! it names (distribution: spec/auth/token).

use std::sync::PoisonError;
use std::time::Duration;

use data_encoding::BASE64;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RANGE, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;

use super::{Registry, http};
use crate::ImageError;

/// A token service's answer.
const TOKEN_BYTES: usize = 256 * 1024;

/// Its words for a token; older ones use the first.
#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
}

/// How the registry wants to be answered.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Token { realm: String, service: Option<String> },
}

impl Registry {
    /// What the registry takes now for a proof of who asks.
    pub(super) fn proof(&self) -> Option<HeaderValue> {
        self.proof.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for something of the image's repository. An answer is one of success, or, to a request for a part, one that says
    /// which part there is; `whole` bounds all of it.
    pub(super) async fn ask(
        &self,
        what: &str,
        headers: &HeaderMap,
        whole: Option<Duration>,
    ) -> Result<Response, ImageError> {
        let mut url = self.base.clone();
        url.set_path(&format!("v2/{}/{what}", self.reference.repository()));
        let mut shown = false;
        loop {
            let mut request = self.client.get(url.clone()).headers(headers.clone());
            if let Some(whole) = whole {
                request = request.timeout(whole);
            }
            if let Some(proof) = self.proof() {
                request = request.header(AUTHORIZATION, proof);
            }
            let response = request.send().await.map_err(|error| self.failed(error))?;
            match response.status() {
                StatusCode::OK => return Ok(response),
                // What is not there of a layer's part is asked for anew.
                StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE
                    if headers.contains_key(RANGE) =>
                {
                    return Ok(response);
                }
                // Only the registry itself may ask who we are, not a place that it leads to.
                StatusCode::UNAUTHORIZED if !shown && response.url().origin() == self.base.origin() => {
                    shown = true;
                    let proof = self.prove(&response).await?;
                    *self.proof.lock().unwrap_or_else(PoisonError::into_inner) = Some(proof);
                }
                _ => return Err(self.refused(response).await),
            }
        }
    }

    async fn prove(&self, response: &Response) -> Result<HeaderValue, ImageError> {
        let challenge = challenge(response.headers());
        let proof = match (challenge, &self.login) {
            (Some(Challenge::Token { realm, service }), _) => {
                format!("Bearer {}", self.token(&realm, service.as_deref()).await?)
            }
            (Some(Challenge::Basic), Some(login)) => {
                let plain = format!("{}:{}", login.username, login.password.expose());
                format!("Basic {}", BASE64.encode(plain.as_bytes()))
            }
            (Some(Challenge::Basic), None) => return Err(self.unauthorized()),
            (None, _) => {
                return Err(self.answered("HTTP 401 without a way to log in that is known here".to_owned()));
            }
        };
        let mut proof = HeaderValue::from_str(&proof)
            .map_err(|_| self.answered("a token that no header can hold".to_owned()))?;
        proof.set_sensitive(true);
        Ok(proof)
    }

    /// A token for pulling from this repository.
    async fn token(&self, realm: &str, service: Option<&str>) -> Result<String, ImageError> {
        let no = |why: String| self.answered(format!("its token service cannot be asked: {why}"));
        let mut url: Url = realm
            .parse()
            .map_err(|error| no(format!("it is no URL: {error}")))?;
        http::place(&url, self.base.scheme() == "https", self.near).map_err(no)?;
        let scope = format!("repository:{}:pull", self.reference.repository());
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = service {
                query.append_pair("service", service);
            }
            query.append_pair("scope", &scope);
        }
        let mut request = self.client.get(url).timeout(self.answer);
        if let Some(login) = &self.login {
            request = request.basic_auth(&login.username, Some(login.password.expose()));
        }
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        if response.status() != StatusCode::OK {
            return Err(self.no_token(response).await);
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if bytes.len() + chunk.len() > TOKEN_BYTES {
                return Err(self.too_large("the answer of its token service", TOKEN_BYTES as u64));
            }
            bytes.extend_from_slice(&chunk);
        }
        // What cannot be read may hold a token: it is not quoted.
        let granted = serde_json::from_slice::<Granted>(&bytes).ok();
        let token = granted.and_then(|granted| granted.token.or(granted.access_token));
        token.ok_or_else(|| self.answered("its token service gave an answer without a token".to_owned()))
    }
}

/// The way to log in that a registry names; a token service before a password.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter();
    let mut basic = None;
    for text in texts.filter_map(|text| text.to_str().ok()) {
        for challenge in http_auth::parse_challenges(text).unwrap_or_default() {
            let param = |name: &str| {
                let mut params = challenge.params.iter();
                let found = params.find(|(known, _)| known.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = param("realm")
            {
                let service = param("service");
                return Some(Challenge::Token { realm, service });
            }
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
        }
    }
    basic
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&'static str]) -> Option<Challenge> {
        let texts = texts
            .iter()
            .map(|text| (WWW_AUTHENTICATE, HeaderValue::from_static(text)));
        challenge(&texts.collect())
    }

    #[test]
    fn a_token_service_comes_before_a_password_and_other_ways_are_none() {
        let token = Challenge::Token {
            realm: "https://auth.example/token".to_owned(),
            service: Some("r.example".to_owned()),
        };
        let bearer =
            r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:x:pull""#;
        assert_eq!(of(&["Basic realm=\"x\"", bearer]), Some(token));
        assert_eq!(of(&["basic realm=\"x\""]), Some(Challenge::Basic));
        for none in ["", "Negotiate", "Bearer", "Bearer service=\"x\"", "\t,,="] {
            assert_eq!(of(&[none]), None, "{none}");
        }
    }
}
