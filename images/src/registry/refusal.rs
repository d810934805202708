//! A registry's refusals told apart. Its words are a stranger's: they are cut, made one line, and what it was shown of
//! ours is taken out of them.

use std::time::Duration;

use data_encoding::BASE64;
use reqwest::{Response, StatusCode};
use runtime::kit::with_causes;
use serde::Deserialize;

use super::Registry;
use crate::ImageError;

/// What is read of a refusal.
const WORDS_BYTES: usize = 16 * 1024;
/// And how long.
const WORDS: Duration = Duration::from_secs(10);
/// What is shown of it.
const SHOWN_CHARS: usize = 300;

/// The body of an error (OCI distribution-spec, "Error Codes").
#[derive(Deserialize)]
struct Envelope {
    errors: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Registry {
    /// Why an answer is none of success.
    pub(super) async fn refused(&self, response: Response) -> ImageError {
        let status = response.status();
        let words = words(response).await;
        let said = serde_json::from_slice::<Envelope>(&words).ok();
        let said = said.and_then(|envelope| envelope.errors.into_iter().next());
        let code = said.as_ref().map_or("", |said| said.code.as_str());
        match (status, code) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) | (_, "UNAUTHORIZED" | "DENIED") => {
                self.unauthorized()
            }
            (StatusCode::NOT_FOUND, _)
            | (
                _,
                "MANIFEST_UNKNOWN" | "NAME_UNKNOWN" | "NOT_FOUND" | "BLOB_UNKNOWN" | "MANIFEST_BLOB_UNKNOWN",
            ) => ImageError::NotFound {
                reference: self.reference.whole(),
                registry: self.reference.registry().to_owned(),
            },
            _ => {
                let words = match &said {
                    Some(said) => format!("{}: {}", said.code, said.message),
                    None => String::from_utf8_lossy(&words).into_owned(),
                };
                self.answered(format!("HTTP {}: {words}", status.as_u16()))
            }
        }
    }

    /// Why its token service gives none. What it says of itself says nothing of the image.
    pub(super) async fn no_token(&self, response: Response) -> ImageError {
        let status = response.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return self.unauthorized();
        }
        let words = words(response).await;
        let words = String::from_utf8_lossy(&words);
        self.answered(format!(
            "its token service said HTTP {}: {words}",
            status.as_u16()
        ))
    }

    /// It does not know us, or does not let us.
    pub(super) fn unauthorized(&self) -> ImageError {
        let registry = self.reference.registry().to_owned();
        let (who, remedy) = if self.login.is_some() {
            (
                "the credentials of this host",
                format!(
                    "mend [registries.\"{registry}\"] in agent.toml or run `docker login {registry}` anew, or ask for the right to pull"
                ),
            )
        } else {
            (
                "an unknown caller",
                format!(
                    "name a login in [registries.\"{registry}\"] of agent.toml, or run `docker login {registry}` on this host as the agent's user, or check the name: some registries say this of images that they do not have"
                ),
            )
        };
        ImageError::Unauthorized {
            reference: self.reference.whole(),
            registry,
            who,
            remedy,
        }
    }

    /// It said something else.
    pub(super) fn answered(&self, why: String) -> ImageError {
        ImageError::Registry {
            reference: self.reference.whole(),
            registry: self.reference.registry().to_owned(),
            why: self.shown(why),
        }
    }

    /// No connection, or it broke: another try may help.
    pub(super) fn broke(&self, why: String) -> ImageError {
        ImageError::Unreachable {
            reference: self.reference.whole(),
            registry: self.reference.registry().to_owned(),
            why: self.shown(why),
        }
    }

    /// A request without an answer, or an answer that broke off. Without its URL, which a redirect may have put a
    /// signature into.
    pub(super) fn failed(&self, error: reqwest::Error) -> ImageError {
        let led = error.is_redirect();
        let why = with_causes(&error.without_url());
        if led { self.answered(why) } else { self.broke(why) }
    }

    fn shown(&self, mut words: String) -> String {
        let mut secrets = Vec::new();
        if let Some(login) = &self.login {
            let password = login.password.expose();
            secrets.push(BASE64.encode(format!("{}:{password}", login.username).as_bytes()));
            secrets.push(password.to_owned());
        }
        // A token, behind the word for its kind.
        let proof = self.proof();
        let proof = proof
            .as_ref()
            .and_then(|proof| proof.to_str().ok()?.split_once(' '));
        secrets.extend(proof.map(|(_, token)| token.to_owned()));
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            words = words.replace(secret.as_str(), "…");
        }
        types::text::clip(&words, SHOWN_CHARS)
    }
}

/// The start of a refusal's body, as far as it comes.
async fn words(mut response: Response) -> Vec<u8> {
    let mut words = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = WORDS_BYTES - words.len();
            words.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if words.len() == WORDS_BYTES {
                break;
            }
        }
    };
    // What has come until then is enough.
    let _read = tokio::time::timeout(WORDS, reading).await;
    words
}
