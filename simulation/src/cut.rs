//! One short conversation of an agent with its server (hello, two steps, their logs, an artifact sent and got), again and
//! again, each time cut after one byte more. Both are the real ones, on one runtime whose time goes on by itself.

use std::time::Duration;

use tokio::time::sleep;

pub use crate::cable::{Carried, Cut, Way};
use crate::{
    pair::Pair,
    work::WORKFLOW,
    world::{Outcome, on_a_thread},
};

/// The clocks of libc go on by this.
const SLICE: Duration = Duration::from_millis(20);
/// How often it is looked how far a conversation is.
const LOOK: Duration = Duration::from_millis(50);
/// Looks after which it must be over: two minutes.
const LOOKS: u32 = 2_400;
/// A conversation that is longer is none that was meant.
const LONGEST: u64 = 100_000;
/// Seed of all ids and draws.
const SEED: u64 = 28;

/// Two steps, the second of which gets what the first one left.
fn definition() -> String {
    format!(
        "name: {WORKFLOW}
steps:
  first:
    image: host
    run: work 40 0 100
    disconnect: 60s
    outputs: {{ token: string }}
    artifacts: {{ left: /tmp/left }}
  last:
    needs: first
    image: host
    env: {{ TOKEN: \"${{{{ steps.first.outputs.token }}}}\" }}
    files: {{ /data/left: {{ artifact: first.left }} }}
    run: work 40 0
    disconnect: 60s
    outputs: {{ token: string }}
"
    )
}

/// Which bytes are cut off, one conversation each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// The how manieth connection, from 0.
    pub connection: usize,
    /// Whose bytes are counted.
    pub way: Way,
    /// From one cut to the next, in bytes.
    pub step: usize,
}

/// Sweeps; without one, a conversation that is not cut. What was carried by a conversation that went through is in the last
/// line.
#[must_use]
pub fn run(sweep: Option<Sweep>) -> Outcome {
    on_a_thread(SEED, move |dirs| {
        Pair::live(dirs, definition(), SLICE, async |pair| {
            let said = swept(pair, sweep).await?;
            // Each ran whole, and no doubt was one.
            let (starts, runs) = (pair.record.starts().len(), pair.record.runs().len());
            if starts == 2 * runs && pair.record.doubts().is_empty() {
                Ok(said)
            } else {
                Err(format!("{starts} starts of {runs} runs of two steps"))
            }
        })
    })
}

async fn swept(pair: &Pair<'_>, sweep: Option<Sweep>) -> Result<String, String> {
    let Some(Sweep {
        connection,
        way,
        step,
    }) = sweep
    else {
        conversation(pair, None).await?;
        let carried = pair.cable.carried();
        let carried = carried
            .iter()
            .map(|one| format!("{} up {} down", one.up, one.down));
        return Ok(format!("carried: {}", carried.collect::<Vec<_>>().join(", ")));
    };
    for (cuts, after) in (0..LONGEST).step_by(step.max(1)).enumerate() {
        let cut = Cut {
            connection,
            way,
            after,
        };
        pair.record.fault(format_args!("{cut:?}"));
        conversation(pair, Some(cut)).await?;
        if !pair.cable.is_cut() {
            return Ok(format!(
                "connection {connection}, {way}: {cuts} cuts, one every {step} bytes, the last after {} bytes",
                step * cuts.saturating_sub(1)
            ));
        }
    }
    Err(format!("a conversation of more than {LONGEST} bytes"))
}

/// An agent comes, does one run and goes; what must be is so at its end. Each conversation's agent is a new one: what its
/// spool holds of others would have to be read each time.
async fn conversation(pair: &Pair<'_>, cut: Option<Cut>) -> Result<(), String> {
    pair.cable.begin(cut);
    let agent = pair.agent(&pair.record.runs().len().to_string());
    let run = pair.start().await?;
    for look in 0.. {
        if pair.ended(&run, &agent).is_some() {
            break;
        }
        if look == LOOKS {
            return Err(format!("{run} is not over, after {cut:?}"));
        }
        sleep(LOOK).await;
    }
    agent.leave().await
}
