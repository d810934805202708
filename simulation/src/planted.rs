//! Bugs that are built in on request: a simulation that does not find them proves nothing.

use std::{fmt, path::Path, str::FromStr};

use serde_json::Value;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A result is dropped when it was sent, not when it was acknowledged: a crash takes it out of the spool.
    ResultDroppedWhenSent,
    /// The spool is not kept over a crash of the agent.
    SpoolNotKept,
    /// A restarted agent does not look for containers, and starts what is there.
    NoAdoption,
    /// The store answers some appends that it never writes.
    AnsweredNotStored,
    /// The end of a lease runs a step again that must not run twice.
    ExpiryReruns,
    /// A server that stood still does not notice it.
    PauseUnnoticed,
    /// The artifact store does not outlive the server.
    ArtifactsNotKept,
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ResultDroppedWhenSent,
        Self::SpoolNotKept,
        Self::NoAdoption,
        Self::AnsweredNotStored,
        Self::ExpiryReruns,
        Self::PauseUnnoticed,
        Self::ArtifactsNotKept,
    ];
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResultDroppedWhenSent => "result-dropped-when-sent",
            Self::SpoolNotKept => "spool-not-kept",
            Self::NoAdoption => "no-adoption",
            Self::AnsweredNotStored => "answered-not-stored",
            Self::ExpiryReruns => "expiry-reruns",
            Self::PauseUnnoticed => "pause-unnoticed",
            Self::ArtifactsNotKept => "artifacts-not-kept",
        })
    }
}

impl FromStr for Planted {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|one| one.to_string() == text)
            .ok_or_else(|| format!("no planted bug is called {text:?}"))
    }
}

/// The first bytes of a spool.
const MAGIC: usize = 8;
/// Length and checksum of a record.
const HEADER: usize = 8;

/// Takes every result out of a spool, as if it had been dropped when it was sent.
pub fn drop_results(spool: &Path) {
    let Ok(bytes) = std::fs::read(spool) else { return };
    let mut kept = bytes[..MAGIC.min(bytes.len())].to_vec();
    let mut rest = bytes.get(MAGIC..).unwrap_or_default();
    while let Some((length, more)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some(payload) = more.get(4..4 + length) else {
            break;
        };
        let record: Value = serde_json::from_slice(payload).unwrap_or_default();
        match &record["token"] {
            token if record["lease"]["phase"] == "finished" => {
                let erased = serde_json::json!({ "record": "erase", "token": token });
                append(&mut kept, erased.to_string().as_bytes());
            }
            _ => append(&mut kept, payload),
        }
        rest = &rest[HEADER + length..];
    }
    // Nothing else of the world may hold the file: its process is gone.
    drop(std::fs::write(spool, kept));
}

fn append(into: &mut Vec<u8>, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    into.extend_from_slice(payload);
}
