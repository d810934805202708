//! Typed, sortable, prefixed ids: `run_01jd…`, 26 characters of Crockford base 32 over 48 bits of milliseconds
//! and 80 bits of entropy (the layout of a ULID, in lower case).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// Ten random bytes, drawn at the edge and handed to the pure rooms with a command.
pub type Entropy = [u8; 10];

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

/// Why a text is no id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError {
    /// The prefix that was expected, without the underscore.
    pub expected: &'static str,
    /// What was given, cut to 64 characters.
    pub given: String,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a valid id: {:?} (expected {}_ and {LENGTH} letters or digits)",
            self.given, self.expected
        )
    }
}

impl std::error::Error for IdError {}

fn encode(at: Timestamp, entropy: Entropy) -> String {
    let ms = u128::from(at.unix_ms().max(0).unsigned_abs()) & 0xffff_ffff_ffff;
    let tail = entropy
        .iter()
        .fold(0u128, |acc, byte| acc << 8 | u128::from(*byte));
    let bits = ms << 80 | tail;
    (0..LENGTH)
        .rev()
        .map(|i| char::from(ALPHABET[(bits >> (i * 5) & 31) as usize]))
        .collect()
}

/// The milliseconds in the first ten letters of an id's body.
fn decode(body: &str) -> Timestamp {
    let digit = |byte: u8| ALPHABET.iter().position(|letter| *letter == byte).unwrap_or(0);
    let ms = body
        .bytes()
        .take(10)
        .fold(0i64, |ms, byte| ms << 5 | i64::try_from(digit(byte)).unwrap_or(0));
    Timestamp::from_unix_ms(ms)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The prefix of this kind of id, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id from an instant and entropy; the same input gives the same id.
            #[must_use]
            pub fn new(at: Timestamp, entropy: Entropy) -> Self {
                Self(format!(concat!($prefix, "_{}"), encode(at, entropy)))
            }

            /// The instant it was made at.
            #[must_use]
            pub fn at(&self) -> Timestamp {
                decode(&self.0[Self::PREFIX.len() + 1..])
            }

            /// The whole id with its prefix.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = || IdError { expected: $prefix, given: text.chars().take(64).collect() };
                let body = text.strip_prefix(concat!($prefix, "_")).ok_or_else(wrong)?;
                if body.len() == LENGTH && body.bytes().all(|b| ALPHABET.contains(&b)) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(wrong())
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An agent: made once per data directory and kept there.
    AgentId = "agt";
    /// A received alert delivery that was accepted.
    AlertId = "alr";
    /// An incident: a stream of events.
    IncidentId = "inc";
    /// The fence of one attempt's lease: what a report must carry to be accepted. Not a secret.
    LeaseToken = "lse";
    /// One run of a plan: a stream of events.
    RunId = "run";
    /// One agent's stream to the server.
    SessionId = "ses";
}
