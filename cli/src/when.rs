//! Instants as people write them.

use types::Timestamp;

/// `2026-11-25` (midnight in UTC), RFC 3339 with its offset, or a duration for "that long ago".
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    at(text, node::clock::wall())
}

fn at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = "expected a date (2026-11-25), an instant (2026-11-25T08:00:00Z) or how long ago (2h, 3d)";
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_unix_ms(instant.as_millisecond()));
    }
    // A time without an offset is refused, not guessed at.
    if let (10, Ok(date)) = (text.len(), text.parse::<jiff::civil::Date>()) {
        let midnight = jiff::tz::TimeZone::UTC
            .to_timestamp(date.to_datetime(jiff::civil::Time::midnight()))
            .map_err(|_| wrong.to_owned())?;
        return Ok(Timestamp::from_unix_ms(midnight.as_millisecond()));
    }
    let ago = ago(text).ok_or(wrong)?;
    now.unix_ms()
        .checked_sub(ago)
        .map(Timestamp::from_unix_ms)
        .ok_or_else(|| wrong.to_owned())
}

/// Milliseconds; a day has 24 hours here, as it has in UTC.
fn ago(text: &str) -> Option<i64> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok());
    if let Some(days) = days {
        return days.checked_mul(24 * 3_600_000).filter(|ms| *ms >= 0);
    }
    let duration: jiff::SignedDuration = text.parse().ok()?;
    i64::try_from(duration.as_millis()).ok().filter(|ms| *ms >= 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn dates_instants_and_durations_are_instants() {
        let now = Timestamp::from_unix_ms(1_000_000_000);
        let of = |text: &str| at(text, now).map(Timestamp::unix_ms);
        assert_eq!(of("1970-01-02"), Ok(86_400_000));
        assert_eq!(of("1970-01-01T01:00:00+01:00"), Ok(0));
        assert_eq!(of("2h"), Ok(1_000_000_000 - 7_200_000));
        assert_eq!(of("1d"), Ok(1_000_000_000 - 86_400_000));
        for wrong in ["yesterday", "-2h", "", "2026-13-01", "2026-11-25T08:00:00"] {
            assert!(of(wrong).unwrap_err().contains("expected a date"), "{wrong}");
        }
    }
}
