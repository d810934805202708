//! Whose model it is, by the environment of the agent.

use std::time::Duration;

use node::egress::Egress;
use types::Secret;

use crate::connections::{ConnectionError, base_url, header_safe};

/// A model may think for long.
const WHOLE: Duration = Duration::from_secs(75);

/// How it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// The Messages API of Anthropic.
    Anthropic,
    /// The chat completions of OpenAI, which many servers speak.
    OpenAi,
}

/// A model with its key.
#[derive(Debug, Clone)]
pub struct LlmConnection {
    pub(crate) provider: Provider,
    /// Without its final slash: `https://api.anthropic.com`, `https://api.openai.com/v1`.
    pub(crate) base: String,
    pub(crate) key: Secret,
    pub(crate) model: String,
    pub(crate) http: reqwest::Client,
}

impl LlmConnection {
    /// `LLM_API_KEY`, `LLM_PROVIDER` (anthropic or openai), `LLM_MODEL`, `LLM_API_URL` (the provider's own by default).
    ///
    /// # Errors
    /// When one of them is there and wrong, or a needed one is missing. Without a key there is no connection.
    pub(crate) fn from_env(get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, ConnectionError> {
        let Some(key) = get("LLM_API_KEY") else {
            return Ok(None);
        };
        let need = |missing: &'static str| {
            get(missing).ok_or(ConnectionError::Needs {
                present: "LLM_API_KEY",
                missing,
            })
        };
        let provider = match need("LLM_PROVIDER")?.as_str() {
            "anthropic" => Provider::Anthropic,
            "openai" => Provider::OpenAi,
            _ => {
                return Err(ConnectionError::Word {
                    variable: "LLM_PROVIDER",
                    words: "anthropic or openai",
                });
            }
        };
        let model = need("LLM_MODEL")?;
        Self::new(provider, get("LLM_API_URL").as_deref(), key, model).map(Some)
    }

    /// To a provider's own address, or to another server that speaks as it does.
    ///
    /// # Errors
    /// When the URL is none, the key cannot stand in a header, the model's name is no word, or no client can be made.
    pub fn new(
        provider: Provider,
        url: Option<&str>,
        key: String,
        model: String,
    ) -> Result<Self, ConnectionError> {
        let own = match provider {
            Provider::Anthropic => "https://api.anthropic.com",
            Provider::OpenAi => "https://api.openai.com/v1",
        };
        let base = base_url(url.unwrap_or(own)).ok_or(ConnectionError::Url {
            variable: "LLM_API_URL",
            example: own,
        })?;
        header_safe(&key, "LLM_API_KEY")?;
        if model.len() > 100 || !model.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConnectionError::Word {
                variable: "LLM_MODEL",
                words: "a model's name of at most 100 letters",
            });
        }
        let egress = Egress {
            whole: WHOLE,
            ..Egress::to(&base)
        };
        Ok(Self {
            provider,
            base,
            key: Secret::new(key),
            model,
            http: egress.client()?,
        })
    }
}
