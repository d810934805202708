//! The Slack emulator on a runtime of its own, for tests that are not async.

use emulators::slack::{Config, Emulator, spawn};

/// A running emulator.
pub struct Slack {
    runtime: tokio::runtime::Runtime,
    emulator: Option<Emulator>,
}

impl Slack {
    /// With the demo's directory.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Config::demo())
    }

    /// With a configuration.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn with(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let emulator = runtime.block_on(spawn(config)).expect("the emulator listens");
        Self {
            runtime,
            emulator: Some(emulator),
        }
    }

    /// The emulator.
    ///
    /// # Panics
    /// Never: it is there until it is dropped.
    #[must_use]
    pub fn emulator(&self) -> &Emulator {
        self.emulator.as_ref().expect("there until dropped")
    }

    /// What the agent is told.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("SLACK_API_URL".to_owned(), self.emulator().api_url()),
            ("SLACK_BOT_TOKEN".to_owned(), TOKEN.to_owned()),
        ]
    }
}

/// The demo's token: what must appear nowhere.
pub const TOKEN: &str = "xoxb-emulator-demo";

impl Drop for Slack {
    fn drop(&mut self) {
        let _guard = self.runtime.enter();
        drop(self.emulator.take());
    }
}
