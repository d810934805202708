//! What the agent keeps out of sight, for what an action sends to others.

use std::{fmt, sync::Arc};

/// Takes secrets out of a text.
#[derive(Clone)]
pub struct Mask(Arc<dyn Fn(&str) -> String + Send + Sync>);

impl Mask {
    /// From a function.
    pub fn new(mask: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(mask))
    }

    /// For an agent without secrets.
    #[must_use]
    pub fn none() -> Self {
        Self::new(str::to_owned)
    }

    /// The text without them.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        (self.0)(text)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}
