//! An action's log: lines into the attempt's standard output.

use tokio::sync::mpsc;

/// Where lines go. It waits when the reader is behind; a reader that is gone ends the log, not the action.
#[derive(Debug, Clone)]
pub struct LogSink(Option<mpsc::Sender<Vec<u8>>>);

impl LogSink {
    /// Into a bounded channel; each message is one line with its line break.
    #[must_use]
    pub fn new(sender: mpsc::Sender<Vec<u8>>) -> Self {
        Self(Some(sender))
    }

    /// Nowhere.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Writes one line. Control characters become `\u{…}`, so that no text forges a line or steers a terminal.
    pub async fn line(&self, text: &str) {
        let Some(sender) = &self.0 else { return };
        let mut line = String::with_capacity(text.len() + 1);
        for c in text.chars() {
            if c.is_control() {
                line.extend(c.escape_default())
            } else {
                line.push(c)
            }
        }
        line.push('\n');
        let _gone = sender.send(line.into_bytes()).await;
    }
}
