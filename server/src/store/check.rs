//! What every store refuses before it looks at what it holds.

use std::collections::BTreeSet;

use super::{Append, Head, StoreError, StreamAppend, StreamId};

/// An append that can be stored: no stream and no key twice, and each stream has events, a head of its kind and a seq
/// that does not overflow.
pub(super) fn append(append: &Append) -> Result<(), StoreError> {
    let mut keys = BTreeSet::new();
    if let Some(twice) = append
        .claims
        .iter()
        .find(|claim| !keys.insert((&claim.scope, &claim.key)))
    {
        return Err(StoreError::Invalid(format!(
            "key {:?} of {:?} is claimed twice",
            twice.key, twice.scope
        )));
    }
    let mut streams = BTreeSet::new();
    if let Some(twice) = append.streams.iter().find(|part| !streams.insert(&part.stream)) {
        return Err(StoreError::Invalid(format!(
            "{} is appended to twice",
            twice.stream
        )));
    }
    append.streams.iter().try_for_each(stream)
}

fn stream(part: &StreamAppend) -> Result<(), StoreError> {
    let fits = matches!(
        (&part.stream, &part.head),
        (StreamId::Run(_), Head::Run(_)) | (StreamId::Incident(_), Head::Incident(_))
    );
    if !fits {
        return Err(StoreError::Invalid(format!(
            "the head of {} is of another kind",
            part.stream
        )));
    }
    if part.events.is_empty() {
        return Err(StoreError::Invalid(format!("no events for {}", part.stream)));
    }
    number("the expected seq", part.expected_seq)
}

/// A number that fits into the 63 bits that a database keeps, with room to count on.
pub(super) fn number(what: &str, value: u64) -> Result<(), StoreError> {
    if value < i64::MAX.unsigned_abs() - u64::from(u32::MAX) {
        Ok(())
    } else {
        Err(StoreError::Invalid(format!("{what} is too large: {value}")))
    }
}
