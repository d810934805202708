//! PagerDuty's REST API with a key, by the environment of the agent.

use node::egress::Egress;
use types::Secret;

use crate::connections::{ConnectionError, base_url, header_safe};

/// The service region of the United States; Europe's is `https://api.eu.pagerduty.com`.
const BASE: &str = "https://api.pagerduty.com";

/// PagerDuty's REST API with a key.
#[derive(Debug, Clone)]
pub struct PagerDutyConnection {
    /// Without its final slash.
    pub(crate) base: String,
    pub(crate) token: Secret,
    /// The address of the user in whose name something is written.
    pub(crate) from: Option<String>,
    pub(crate) http: reqwest::Client,
}

impl PagerDutyConnection {
    /// `PAGERDUTY_TOKEN`, `PAGERDUTY_FROM` (an e-mail address, for what writes), `PAGERDUTY_API_URL`.
    ///
    /// # Errors
    /// When one of them is there and wrong. Without a token there is no connection.
    pub(crate) fn from_env(get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, ConnectionError> {
        let Some(token) = get("PAGERDUTY_TOKEN") else {
            return Ok(None);
        };
        Self::new(get("PAGERDUTY_API_URL").as_deref(), token, get("PAGERDUTY_FROM")).map(Some)
    }

    /// To PagerDuty itself, or to an explicit URL.
    ///
    /// # Errors
    /// When the URL is none, the token or the address cannot stand in a header, or no client can be made.
    pub fn new(url: Option<&str>, token: String, from: Option<String>) -> Result<Self, ConnectionError> {
        let base = base_url(url.unwrap_or(BASE)).ok_or(ConnectionError::Url {
            variable: "PAGERDUTY_API_URL",
            example: BASE,
        })?;
        header_safe(&token, "PAGERDUTY_TOKEN")?;
        if from
            .as_deref()
            .is_some_and(|from| !super::client::is_address(from))
        {
            return Err(ConnectionError::Word {
                variable: "PAGERDUTY_FROM",
                words: "the e-mail address of a PagerDuty user",
            });
        }
        let http = Egress::to(&base).client()?;
        Ok(Self {
            base,
            token: Secret::new(token),
            from,
            http,
        })
    }
}
