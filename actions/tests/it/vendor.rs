//! An action run against a vendor's emulator.

use std::time::Duration;

use actions::{ActionError, ActionOutput, Connections, Mask, Registry};
use serde_json::Value;

use crate::bench::{context, run_id};

/// How often it is tried, how long it has, what is secret.
pub(crate) struct Ask {
    pub(crate) attempt: u32,
    pub(crate) budget: Duration,
    pub(crate) mask: Mask,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            attempt: 1,
            budget: Duration::from_secs(40),
            mask: Mask::none(),
        }
    }
}

impl Ask {
    pub(crate) async fn run(
        &self,
        connections: &Connections,
        name: &str,
        params: Value,
    ) -> Result<ActionOutput, ActionError> {
        let (mut context, _lines) = context(connections.clone(), run_id(), "step", self.attempt, self.budget);
        context.mask = self.mask.clone();
        Registry::builtin()
            .run(name, &context, params.as_object().unwrap().clone())
            .await
    }
}

pub(crate) async fn ask(
    connections: &Connections,
    name: &str,
    params: Value,
) -> Result<ActionOutput, ActionError> {
    Ask::default().run(connections, name, params).await
}
