//! Ids as Slack hands them out: opaque strings, and `ts`, which is both an id and a place in time.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as Slack writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A person or bot user, `U…` or `W…`.
    UserId
);
id!(
    /// A conversation, `C…`.
    ChannelId
);
id!(
    /// A user group, `S…`.
    GroupId
);

/// A message's id: microseconds since the epoch, unique in its channel, written `1763923500.000100`.
///
/// Kept as an integer: as a float the last digits would be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ts(u64);

impl Ts {
    /// From microseconds since the epoch.
    pub fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The next possible id.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Whole seconds since the epoch.
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Reads an id exactly as it was handed out: seconds, a dot, six digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (_, fraction) = text.split_once('.')?;
        (fraction.len() == 6).then(|| Self::parse_bound(text))?
    }

    /// Reads a bound of a time range, where the fraction may be short or missing.
    pub fn parse_bound(text: &str) -> Option<Self> {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if seconds.is_empty() || fraction.len() > 6 || !digits(seconds) || !digits(fraction) {
            return None;
        }
        let seconds = seconds.parse::<u64>().ok()?;
        let micros = format!("{fraction:0<6}").parse::<u64>().ok()?;
        seconds.checked_mul(1_000_000)?.checked_add(micros).map(Self)
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.seconds(), self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::Ts;

    #[test]
    fn ts_reads_back_what_it_wrote_and_nothing_else() {
        let ts = Ts::from_micros(1_763_923_500_000_100);
        assert_eq!(ts.to_string(), "1763923500.000100");
        assert_eq!(Ts::parse("1763923500.000100"), Some(ts));
        for wrong in [
            "1763923500",
            "1763923500.0001",
            "1763923500.0001000",
            "x.000100",
            "-1.000000",
            "",
        ] {
            assert_eq!(Ts::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Ts::parse_bound("1763923500.0001"), Some(ts));
    }
}
