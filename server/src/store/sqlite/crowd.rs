//! Whether many write at once: then a flush waits a little for what is about to come.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// With as many streams written to of late, a flush waits: as PostgreSQL's `commit_siblings`.
const SIBLINGS: usize = 5;
/// How long that is of late: what one of them does between two of its writes, on a disk that is quick.
const LATE: Duration = Duration::from_millis(20);
/// How long a flush then waits: as PostgreSQL's `commit_delay`.
pub(super) const LINGER: Duration = Duration::from_millis(3);

/// The streams that were written to of late.
#[derive(Debug, Default)]
pub(super) struct Crowd(HashMap<String, Instant>);

impl Crowd {
    pub(super) fn wrote(&mut self, stream: &str, now: Instant) {
        match self.0.get_mut(stream) {
            Some(at) => *at = now,
            None => drop(self.0.insert(stream.to_owned(), now)),
        }
    }

    /// Asked before each flush, so that it holds no more than was written of late.
    pub(super) fn is_there(&mut self, now: Instant) -> bool {
        self.0.retain(|_, at| now.duration_since(*at) < LATE);
        self.0.len() >= SIBLINGS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_of_several_streams_and_of_late() {
        let mut crowd = Crowd::default();
        let begin = Instant::now();
        for _ in 0..SIBLINGS {
            crowd.wrote("one", begin);
        }
        assert!(!crowd.is_there(begin), "one that writes often is none");
        for n in 1..SIBLINGS {
            crowd.wrote(&n.to_string(), begin);
        }
        assert!(crowd.is_there(begin));
        crowd.wrote("one", begin + LATE / 2);
        assert!(crowd.is_there(begin + LATE / 2));
        assert!(!crowd.is_there(begin + LATE));
        assert_eq!(crowd.0.len(), 1, "what is not of late is not kept");
    }
}
