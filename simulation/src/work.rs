//! What steps do, and what they leave: bytes that follow from their lease, so that anybody can tell whose they are.

use std::time::Duration;

use sha2::{Digest, Sha256};
use types::{LeaseToken, limits};

use crate::{machine, planted::Planted};

/// The workflow that the user starts.
pub const WORKFLOW: &str = "work";
/// The step that may be run again.
pub const MAY_RERUN: &str = "again";
/// The step whose artifact [`GETS`] has as a file.
pub const LEAVES: &str = "first";
/// What gets it.
pub const GETS: &str = "last";
/// The steps of which a success has an artifact.
pub const KEEP: [&str; 2] = [LEAVES, MAY_RERUN];

/// What steps do: `first`, `fails` and `last` must never run twice, `asks` waits in doubt for its agent, `again` may be
/// run again.
#[must_use]
pub fn definition(planted: Option<Planted>) -> String {
    let (fail, ask) = match planted {
        Some(Planted::ExpiryReruns) => ("rerun", "rerun"),
        _ => ("fail", "ask"),
    };
    format!(
        "name: {WORKFLOW}
steps:
  first:
    image: host
    run: work 4000 0
    disconnect: 15s
    if-lost: {fail}
    outputs: {{ token: string }}
    artifacts: {{ left: /tmp/left }}
  asks:
    image: host
    run: work 9000 0
    disconnect: 12s
    if-lost: {ask}
    outputs: {{ token: string }}
  fails:
    image: host
    run: work 1500 7
    disconnect: 30s
    allow-failure: true
  again:
    image: host
    run: work 5000 0
    disconnect: 4s
    if-lost: rerun
    outputs: {{ token: string }}
    artifacts: {{ left: /tmp/left }}
  many:
    foreach: ${{{{ [1, 2, 3, 4] }}}}
    needs: first
    image: host
    run: work 1200 0
    disconnect: 20s
    outputs: {{ token: string }}
  last:
    needs: [fails, many]
    image: host
    env: {{ TOKEN: \"${{{{ steps.first.outputs.token }}}}\" }}
    files: {{ /data/left: {{ artifact: first.left }} }}
    run: work 800 0
    disconnect: 20s
    outputs: {{ token: string }}
"
    )
}

/// How long the server waits, without having heard of a step's agent, until it calls an attempt of it lost.
#[must_use]
pub fn patience(step: &str) -> Duration {
    let disconnect = match step {
        "first" => 15,
        "asks" => 12,
        "fails" => 30,
        "again" => 4,
        _ => 20,
    };
    Duration::from_secs(disconnect) + Duration::from_millis(limits::LEASE_MARGIN_MS)
}

/// What an attempt leaves, so many bytes; without a number nothing, a few, or more than a message holds.
#[must_use]
pub fn left(token: &LeaseToken, bytes: Option<usize>) -> Vec<u8> {
    let seed = Sha256::digest(token.as_str());
    let mut state = u64::from_le_bytes([
        seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7],
    ]);
    let most = match seed[8] % 8 {
        0 => 1,
        1..=3 => 100,
        4..=6 => 20_000,
        _ => limits::ARTIFACT_CHUNK_BYTES + 20_000,
    };
    let less = usize::from(u16::from_le_bytes([seed[9], seed[10]])) % (most / 4 + 1);
    let bytes = bytes.unwrap_or(most.saturating_sub(1).saturating_sub(less));
    let words = std::iter::from_fn(|| Some(machine::draw(&mut state).to_le_bytes()));
    words.flatten().take(bytes).collect()
}

/// Its sum, as a history tells it.
#[must_use]
pub fn sum(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}
