//! Bounded waiting.

use std::time::{Duration, Instant};

/// Asks until it is so, every 5 ms.
///
/// # Panics
/// When it is not so in time: the test fails with what was waited for.
pub fn until<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ask() {
            return value;
        }
        assert!(start.elapsed() < within, "waited {within:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
