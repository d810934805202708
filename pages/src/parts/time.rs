//! Instants and durations for people: relative in the text, exact in UTC in the title.

use askama::{Template, filters::Safe};
use jiff::Timestamp;
use types::text::duration;

/// An instant, to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/time.html")]
pub struct Time {
    iso: String,
    utc: String,
    relative: String,
}

/// An instant in Unix milliseconds, as seen from another. 0 or less is none, and shows as a dash.
#[must_use]
pub fn time(at_ms: i64, now_ms: i64) -> Safe<Time> {
    let relative = match now_ms.saturating_sub(at_ms) {
        past @ 0.. => format!("{} ago", coarse(past.unsigned_abs())),
        future => format!("in {}", coarse(future.unsigned_abs())),
    };
    Safe(Time {
        iso: iso(at_ms),
        utc: utc(at_ms),
        relative,
    })
}

/// An instant in Unix milliseconds by the clock, `09:41:02`, for lists of what happened within hours.
#[must_use]
pub fn clock(at_ms: &i64) -> Safe<Clock> {
    let at_ms = *at_ms;
    let at = known(at_ms).map_or_else(String::new, |at| at.strftime("%H:%M:%S").to_string());
    Safe(Clock {
        iso: iso(at_ms),
        utc: utc(at_ms),
        at,
    })
}

/// An instant by the clock, to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/clock.html")]
pub struct Clock {
    iso: String,
    utc: String,
    at: String,
}

/// With one unit; seconds below a minute. The page's script says the same words.
fn coarse(ms: u64) -> String {
    let (min, h) = (ms / 60_000, ms / 3_600_000);
    match h {
        0 if min == 0 => format!("{} s", ms / 1_000),
        0 => format!("{min} min"),
        1..48 => format!("{h} h"),
        _ => format!("{} d", h / 24),
    }
}

/// `2026-11-25T09:41:02.123Z`; empty for none.
#[must_use]
pub fn iso(at_ms: i64) -> String {
    known(at_ms).map_or_else(String::new, |at| {
        at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    })
}

/// `2026-11-25 09:41:02 UTC`; empty for none.
#[must_use]
pub fn utc(at_ms: i64) -> String {
    known(at_ms).map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn known(at_ms: i64) -> Option<Timestamp> {
    Some(at_ms)
        .filter(|at| *at > 0)
        .and_then(|at| Timestamp::from_millisecond(at).ok())
}

/// How long it took, or has taken until now; empty when it has not begun.
#[must_use]
pub fn lasted(from_ms: i64, to_ms: i64, now_ms: i64) -> String {
    if from_ms <= 0 {
        return String::new();
    }
    let to = if to_ms > 0 { to_ms } else { now_ms };
    duration(u64::try_from(to.saturating_sub(from_ms)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_relative_and_exact() {
        let shown = time(1_764_063_662_123, 1_764_063_662_123 + 190_000).0.to_string();
        assert_eq!(
            shown,
            "<time datetime=\"2025-11-25T09:41:02.123Z\" title=\"2025-11-25 09:41:02 UTC\">3 min ago</time>"
        );
        assert!(time(90_000, 1).0.to_string().contains(">in 1 min<"));
        assert_eq!(
            time(0, 1_764_063_662_123).0.to_string(),
            "<span class=\"none\">–</span>"
        );
    }

    #[test]
    fn what_has_not_ended_lasts_until_now() {
        assert_eq!(lasted(0, 0, 50), "");
        assert_eq!(lasted(1_000, 0, 3_400), "2.4 s");
        assert_eq!(lasted(1_000, 1_017, 99_999), "17 ms");
    }
}
