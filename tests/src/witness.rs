//! The witness: steps tell it by TCP that they began and ended. The product never reads it, so it says how often a
//! step really ran.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::wait;

/// A listener that keeps every line it hears.
#[derive(Debug, Clone)]
pub struct Witness {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Witness {
    /// Listens on loopback.
    ///
    /// # Panics
    /// When it cannot.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let witness = Self {
            address: listener.local_addr().expect("an address"),
            lines: Arc::default(),
        };
        let lines = Arc::clone(&witness.lines);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let lines = Arc::clone(&lines);
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let mut text = String::new();
                    drop(stream.set_read_timeout(Some(Duration::from_secs(5))));
                    drop(stream.read_to_string(&mut text));
                    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                    lines.extend(text.lines().map(str::to_owned));
                });
            }
        });
        witness
    }

    /// A shell command (bash) that says a word to the witness. The step needs `network: host`.
    #[must_use]
    pub fn say(&self, word: &str) -> String {
        format!(
            "bash -c 'echo {word} > /dev/tcp/127.0.0.1/{}'",
            self.address.port()
        )
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every line so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a word was said.
    #[must_use]
    pub fn count(&self, word: &str) -> usize {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|line| *line == word)
            .count()
    }

    /// How many lines begin so.
    #[must_use]
    pub fn count_prefix(&self, begin: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(begin)).count()
    }

    /// Waits until a line that begins so was said.
    ///
    /// # Panics
    /// When it is not said within 40 seconds.
    pub fn wait_for_prefix(&self, begin: &str) {
        wait::until(
            &format!("the witness to hear {begin:?}"),
            crate::stack::PATIENCE,
            || {
                self.lines()
                    .iter()
                    .any(|line| line.starts_with(begin))
                    .then_some(())
            },
        );
    }

    /// Waits until a word was said.
    ///
    /// # Panics
    /// When it is not said within 20 seconds.
    pub fn wait_for(&self, word: &str) {
        wait::until(
            &format!("the witness to hear {word:?}"),
            Duration::from_secs(20),
            || (self.count(word) > 0).then_some(()),
        );
    }
}
