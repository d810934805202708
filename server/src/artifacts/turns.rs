//! Who sends which artifact now: one stream at a time, and room that is promised to it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use types::{LeaseToken, RunId};

/// How long one that takes the place of another's stream waits for its end.
const TURN: Duration = Duration::from_secs(30);

/// One artifact of one attempt.
pub(crate) type Key = (LeaseToken, String);

/// All that are being sent.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    all: Mutex<HashMap<Key, Turn>>,
    /// Held from counting what there is to the promise: two that come at once are not both given the last room.
    pub(crate) promising: tokio::sync::Mutex<()>,
}

/// One artifact that is being sent.
#[derive(Debug)]
struct Turn {
    run: RunId,
    /// Streams that have the turn or wait for it.
    streams: usize,
    /// What the one that has it was promised.
    bytes: u64,
    /// The one that has the turn gives it up.
    yields: CancellationToken,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The right to write one artifact.
pub(crate) struct Writing {
    /// Another stream wants to go on with it.
    pub(crate) yielded: CancellationToken,
    _turn: OwnedMutexGuard<()>,
    place: Place,
}

/// Among the streams of one artifact, for as long as this lives: also one that is dropped while it waits leaves.
struct Place {
    turns: Arc<Turns>,
    key: Key,
}

impl Turns {
    /// Takes the turn of one artifact: a stream whose agent is gone must not hold up the one that it opens next.
    /// None when the other one does not end.
    pub(crate) async fn take(
        self: &Arc<Self>,
        token: &LeaseToken,
        name: &str,
        run: &RunId,
    ) -> Option<Writing> {
        let key = (token.clone(), name.to_owned());
        let yielded = CancellationToken::new();
        let turn = {
            let mut all = self.lock();
            let turn = all.entry(key.clone()).or_insert_with(|| Turn {
                run: run.clone(),
                streams: 0,
                bytes: 0,
                yields: CancellationToken::new(),
                turn: Arc::default(),
            });
            turn.streams += 1;
            std::mem::replace(&mut turn.yields, yielded.clone()).cancel();
            Arc::clone(&turn.turn)
        };
        let place = Place {
            turns: Arc::clone(self),
            key,
        };
        let turn = tokio::time::timeout(TURN, turn.lock_owned()).await.ok()?;
        Some(Writing {
            yielded,
            _turn: turn,
            place,
        })
    }

    /// What of a run is promised room, one artifact aside.
    pub(crate) fn promised(&self, run: &RunId, but: &Writing) -> HashMap<Key, u64> {
        let all = self.lock();
        let others = all
            .iter()
            .filter(|(key, turn)| **key != but.place.key && turn.run == *run);
        others.map(|(key, turn)| (key.clone(), turn.bytes)).collect()
    }

    /// Whether somebody sends it.
    pub(crate) fn is_sent(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Turn>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writing {
    /// From now on its room counts as taken.
    pub(crate) fn promise(&self, bytes: u64) {
        self.place.set(bytes);
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Whoever waits is promised its own room.
        self.place.set(0);
    }
}

impl Place {
    fn set(&self, bytes: u64) {
        if let Some(turn) = self.turns.lock().get_mut(&self.key) {
            turn.bytes = bytes;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.turns.lock();
        if let Some(turn) = all.get_mut(&self.key) {
            turn.streams -= 1;
            if turn.streams == 0 {
                all.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use types::Timestamp;

    use super::*;

    fn ids() -> (LeaseToken, RunId) {
        let at = Timestamp::from_unix_ms(1);
        (LeaseToken::new(at, [1; 10]), RunId::new(at, [2; 10]))
    }

    #[tokio::test]
    async fn one_that_is_dropped_while_it_waits_leaves_nothing() {
        let (token, run) = ids();
        let turns = Arc::new(Turns::default());
        let first = turns.take(&token, "heap", &run).await.unwrap();
        first.promise(5);
        {
            let waits = turns.take(&token, "heap", &run);
            tokio::pin!(waits);
            assert!(futures::poll!(waits.as_mut()).is_pending());
            assert!(first.yielded.is_cancelled());
            drop(first);
            // It could have it, and is dropped before it looks.
        }
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn what_is_promised_is_the_last_word_of_the_one_that_has_it() {
        let (token, run) = ids();
        let turns = Arc::new(Turns::default());
        let other = turns.take(&token, "other", &run).await.unwrap();
        let promised = || turns.promised(&run, &other).into_values().sum::<u64>();
        let first = turns.take(&token, "heap", &run).await.unwrap();
        first.promise(5);
        assert_eq!(promised(), 5);
        drop(first);
        let second = turns.take(&token, "heap", &run).await.unwrap();
        assert_eq!(promised(), 0, "not yet");
        second.promise(7);
        assert_eq!(promised(), 7);
        drop(second);
        assert!(promised() == 0 && !turns.is_sent(&(token, "heap".to_owned())));
    }
}
