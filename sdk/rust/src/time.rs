//! Instants for people and programs.

use types::Timestamp;

/// RFC 3339 in UTC with milliseconds: `2026-02-03T04:05:06.789Z`. An instant that the calendar does not have
/// (before year -9999 or after 9999) is given as its milliseconds.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.unix_ms()) {
        Ok(instant) => format!("{instant:.3}"),
        Err(_) => at.unix_ms().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_always_three_digits() {
        assert_eq!(rfc3339(Timestamp::from_unix_ms(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            rfc3339(Timestamp::from_unix_ms(1_751_283_588_120)),
            "2025-06-30T11:39:48.120Z"
        );
        assert_eq!(rfc3339(Timestamp::from_unix_ms(i64::MAX)), i64::MAX.to_string());
    }
}
