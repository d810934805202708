//! Ends that are written and told, and not on the disk yet.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;
use types::LeaseToken;

/// How long an end waits for a flush that comes anyway: that of the next step's intent, most of the time.
const SOON: Duration = Duration::from_millis(100);

/// What the next flush is for.
#[derive(Debug, Default)]
pub(super) struct Unflushed {
    ends: BTreeSet<LeaseToken>,
    /// When it comes at the latest.
    at: Option<Instant>,
    /// Attempts of which nothing is needed any more once their ends are flushed.
    removable: Vec<LeaseToken>,
}

impl Unflushed {
    /// An attempt's end was written.
    pub(super) fn end(&mut self, token: &LeaseToken, now: Instant) {
        self.ends.insert(token.clone());
        self.at.get_or_insert(now + SOON);
    }

    pub(super) const fn at(&self) -> Option<Instant> {
        self.at
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The attempt, where nothing of it waits; else it is kept for [`Self::flushed`].
    pub(super) fn or_later(&mut self, token: LeaseToken) -> Option<LeaseToken> {
        if self.ends.contains(&token) {
            self.removable.push(token);
            return None;
        }
        Some(token)
    }

    /// All that was written is on the disk; what can be removed now.
    pub(super) fn flushed(&mut self) -> Vec<LeaseToken> {
        self.ends.clear();
        self.at = None;
        std::mem::take(&mut self.removable)
    }
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::*;

    fn token(n: u8) -> LeaseToken {
        LeaseToken::new(Timestamp::from_unix_ms(1), [n; 10])
    }

    #[test]
    fn an_end_waits_for_a_flush_and_its_removal_for_both() {
        let mut unflushed = Unflushed::default();
        let begin = Instant::now();
        assert!(unflushed.is_empty() && !unflushed.is_due(begin));
        let (one, two) = (token(1), token(2));
        unflushed.end(&one, begin);
        unflushed.end(&two, begin + SOON / 2);
        assert!(!unflushed.is_due(begin + SOON / 2));
        assert_eq!(unflushed.or_later(one.clone()), None);
        // The first of them says when.
        assert!(unflushed.is_due(begin + SOON));
        assert_eq!(unflushed.flushed(), std::slice::from_ref(&one));
        assert!(unflushed.is_empty() && unflushed.at().is_none());
        assert_eq!(unflushed.or_later(one.clone()), Some(one));
    }
}
