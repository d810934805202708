//! What a stored plan leaves out: a step that says nothing special is short, so that ten thousand of them fit into one
//! event. Stored plans mean these values for ever: another default of the language does not change them here.

use types::{IfLost, Millis, Resources, Retry};

pub(super) const PICKUP: Millis = 300_000;
pub(super) const TIMEOUT: Millis = 600_000;
pub(super) const GRACE: Millis = 5_000;
pub(super) const DISCONNECT: Millis = 600_000;
pub(super) const ASK: Millis = 600_000;

/// The value of a time that is left out.
pub(super) const fn ms<const LEFT_OUT: Millis>() -> Millis {
    LEFT_OUT
}

pub(super) const fn is_ms<const LEFT_OUT: Millis>(ms: &Millis) -> bool {
    *ms == LEFT_OUT
}

pub(super) const fn if_lost() -> IfLost {
    IfLost::Fail
}

pub(super) const fn is_if_lost(given: &IfLost) -> bool {
    matches!(given, IfLost::Fail)
}

pub(super) const fn retry() -> Retry {
    Retry {
        limit: 0,
        delay_ms: 1_000,
        backoff: 2.0,
        max_delay_ms: 60_000,
        jitter: true,
        on: Vec::new(),
    }
}

pub(super) fn is_retry(given: &Retry) -> bool {
    *given == retry()
}

pub(super) const fn resources() -> Resources {
    Resources {
        memory_bytes: 256 * 1024 * 1024,
        pids: 128,
        cpu_millis: None,
    }
}

pub(super) fn is_resources(given: &Resources) -> bool {
    *given == resources()
}

pub(super) const fn file_mode() -> u32 {
    0o444
}

pub(super) const fn is_file_mode(given: &u32) -> bool {
    *given == file_mode()
}

pub(super) const fn is_false(given: &bool) -> bool {
    !*given
}

/// For what has a least value that no release changes: no network, the file.
pub(super) fn is_least<T: Default + PartialEq>(given: &T) -> bool {
    *given == T::default()
}
