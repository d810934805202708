//! Attempts of which something lies on this host and nothing in the spool: it was lost, or that part of it.
//!
//! The server hears of them as over, so that none is offered again as one that never came here. It hears that at the beginning of
//! each session until it says that it knows, for which their directories need not stay: a file of its own says who they are.

use std::{collections::BTreeSet, io, path::PathBuf};

use types::{LeaseToken, Millis, Timestamp};

use crate::data_dir::{replace, write_durably};

/// How long one is kept at most; no lease is as long.
const KEPT_MS: Millis = 7 * 24 * 3_600_000;

#[derive(Debug, Default)]
pub(super) struct Unrecorded {
    file: PathBuf,
    tokens: BTreeSet<LeaseToken>,
}

impl Unrecorded {
    /// Those that were known, and those that were found now; on the disk when it returns. Where the disk is full, an agent starts all
    /// the same, and says them for as long as it lives.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn open(file: PathBuf, found: BTreeSet<LeaseToken>, now: Timestamp) -> io::Result<Self> {
        let text = match fs_err::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // What is no token is damage: of it nobody knows whose it was.
        let known: BTreeSet<LeaseToken> = text.lines().filter_map(|line| line.parse().ok()).collect();
        let mut tokens: BTreeSet<LeaseToken> = known.union(&found).cloned().collect();
        tokens.retain(|token| found.contains(token) || now.since(token.at()) < KEPT_MS);
        let this = Self { file, tokens };
        if this.tokens != known
            && let Err(error) = write_durably(&this.file, this.text().as_bytes())
        {
            tracing::error!(
                %error,
                "cannot note which attempts the spool does not know: an agent after this one does not say them, unless the server \
                 hears of them before"
            );
        }
        Ok(this)
    }

    pub(super) const fn tokens(&self) -> &BTreeSet<LeaseToken> {
        &self.tokens
    }

    /// The server knows. What is not forgotten for good is said once more.
    pub(super) fn forget(&mut self, token: &LeaseToken) {
        if self.tokens.remove(token)
            && let Err(error) = replace(&self.file, self.text().as_bytes())
        {
            tracing::warn!(%token, %error, "cannot note that the server knows of an attempt that the spool did not know");
        }
    }

    fn text(&self) -> String {
        self.tokens.iter().map(|token| format!("{token}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn token(n: u8) -> LeaseToken {
        LeaseToken::new(Timestamp::from_unix_ms(1_000), [n; 10])
    }

    #[test]
    fn what_was_found_once_is_said_until_the_server_knows() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("unrecorded");
        let open = |found: &[LeaseToken], at: i64| {
            let found = found.iter().cloned().collect();
            Unrecorded::open(file.clone(), found, Timestamp::from_unix_ms(at)).unwrap()
        };
        let (one, two) = (token(1), token(2));
        assert!(open(&[], 2_000).tokens().is_empty() && !file.exists());
        open(&[one.clone(), two.clone()], 2_000);
        // Their directories are gone.
        let mut again = open(&[], 3_000);
        assert_eq!(again.tokens().len(), 2);
        again.forget(&one);
        assert_eq!(open(&[], 4_000).tokens(), &BTreeSet::from([two]));
        let late = 2_000 + i64::try_from(KEPT_MS).unwrap();
        assert!(open(&[], late).tokens().is_empty());
        assert_eq!(
            open(std::slice::from_ref(&one), late).tokens().len(),
            1,
            "it lies here"
        );
    }

    #[test]
    fn what_cannot_be_noted_is_said_all_the_same() {
        let dir = tempfile::TempDir::new().unwrap();
        let (file, one) = (dir.path().join("missing/unrecorded"), token(1));
        let mut open = Unrecorded::open(file, [one.clone()].into(), Timestamp::from_unix_ms(2_000)).unwrap();
        assert!(open.tokens().contains(&one));
        open.forget(&one);
        assert!(open.tokens().is_empty());
    }
}
