//! Who we are to Slack: `auth.test` and the granted scopes of its answer's header.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use super::{
    client::{Repeat, Slack},
    error::SlackError,
};

/// How long it is believed.
const KEPT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) team: String,
    pub(crate) team_id: String,
    pub(crate) url: String,
    pub(crate) user_id: String,
    pub(crate) user: String,
    /// None when Slack did not say.
    pub(crate) scopes: Option<Vec<String>>,
}

impl Slack<'_> {
    /// Asks anew.
    pub(crate) async fn identify(&self) -> Result<Arc<Identity>, SlackError> {
        let reply = self.write("auth.test", Repeat::Safe, &json!({})).await?;
        let text = |key: &str| reply.text(&[key]).unwrap_or_default().to_owned();
        let identity = Arc::new(Identity {
            team: text("team"),
            team_id: text("team_id"),
            url: text("url"),
            user_id: text("user_id"),
            user: text("user"),
            scopes: reply.scopes.clone(),
        });
        *self.connection.cache.identity.lock().await = Some((Instant::now(), identity.clone()));
        Ok(identity)
    }

    /// What was learnt within the last minute, else asks.
    pub(crate) async fn identity(&self) -> Result<Arc<Identity>, SlackError> {
        if let Some((at, identity)) = &*self.connection.cache.identity.lock().await
            && at.elapsed() < KEPT
        {
            return Ok(identity.clone());
        }
        self.identify().await
    }
}
