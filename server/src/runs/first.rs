//! How large a run's first event may be.

use std::io;

use engine::RunStarted;
use types::limits;

/// It holds the run's plan, inputs and alert, and in a repetition which steps it takes over. It goes to watchers in one
/// message.
pub(crate) const FIRST_BYTES: usize = limits::ANSWER_BYTES - 64 * 1024;

/// Bytes that are counted, and go nowhere.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Its bytes, where they are too many.
///
/// # Errors
/// When it cannot be written at all.
pub(crate) fn too_large(first: &RunStarted) -> Result<Option<usize>, serde_json::Error> {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, first)?;
    Ok(Some(count.0).filter(|bytes| *bytes > FIRST_BYTES))
}
