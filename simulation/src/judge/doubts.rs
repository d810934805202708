//! Whether a doubt is one: the server calls an attempt lost only when it could have heard of its agent and did not.

use std::time::Duration;

use crate::{
    record::{Doubt, Record, Start},
    work::patience,
};

/// Looks at the leases come once a second, and slices of time are not shorter than this together.
const SLACK: Duration = Duration::from_secs(1);
/// Who was in trouble is back after this: keepalive and its timeout to find a dead connection, the longest wait between two
/// tries, and an answer.
const BACK: Duration = Duration::from_secs(30 + 30 + 10);

/// Every doubt has its time and its reason.
pub(super) fn true_ones(record: &Record, starts: &[Start]) -> Result<(), String> {
    let troubles = record.troubles();
    for doubt in record.doubts() {
        let Doubt {
            token,
            step,
            at,
            listened,
        } = &doubt;
        let patience = patience(step);
        if *listened + SLACK < patience {
            return Err(format!(
                "{step} ({token}) was called lost {} ms after the server was there to hear of it, not {} ms",
                listened.as_millis(),
                patience.as_millis()
            ));
        }
        let start = starts.iter().find(|start| start.token == *token);
        let from = at.saturating_sub(patience + BACK);
        let concerns = |host: &str| host == "server" || start.is_none_or(|start| start.host == host);
        let had_a_reason = troubles
            .iter()
            .any(|trouble| concerns(trouble.host) && trouble.from < *at && trouble.until > from);
        if !had_a_reason {
            return Err(format!(
                "{step} ({token}) was called lost at {} ms although nothing was wrong with its host",
                at.as_millis()
            ));
        }
    }
    Ok(())
}
