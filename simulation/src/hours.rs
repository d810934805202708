//! Hours of one agent and its server: sessions and connections grow old and are replaced by new ones, and a result waits for as
//! long as it must.

use std::{ops::RangeInclusive, time::Duration};

use tokio::time::sleep;
use types::{RunId, RunOutcome};

use crate::{
    machine,
    pair::{AGENT, Agent, Pair},
    work::WORKFLOW,
    world::{Outcome, on_a_thread},
};

/// The clocks of libc go on by this.
const SLICE: Duration = Duration::from_millis(100);
/// How often it is looked whether all is over.
const LOOK: Duration = Duration::from_secs(1);
/// What is left to do at the end must take no longer.
const SETTLED: Duration = Duration::from_secs(240);
/// The agent's directory.
const DIR: &str = "agent";
/// Seed of all ids and draws.
const SEED: u64 = 30;
/// An hour.
const HOUR: Duration = Duration::from_secs(3_600);
/// When the cable is pulled out: what the step does takes longer.
const BEFORE: Duration = Duration::from_secs(30);

/// How many [`quiet`] takes: a step's timeout, which is longer, is a day at most.
pub const QUIET: RangeInclusive<u8> = 1..=23;
/// How many [`outage`] takes: longer than the step goes on without a server, and no longer than it waits for an answer.
pub const OUTAGE: RangeInclusive<u8> = 2..=24;

/// So many hours without a fault, in which one step runs all the time, and another every ten minutes.
#[must_use]
pub fn quiet(hours: u8) -> Outcome {
    on_a_thread(SEED, move |dirs| {
        Pair::live(dirs, steady(hours), SLICE, async |pair| {
            let (agent, run) = begun(pair).await?;
            sleep(HOUR * u32::from(hours)).await;
            over(pair, &run, &agent).await?;
            let connections = pair.cable.carried().len();
            agent.leave().await?;
            let (starts, doubts) = (pair.record.starts().len(), pair.record.doubts().len());
            let wanted = usize::from(hours) * 6;
            if (starts, doubts) == (wanted, 0) {
                Ok(format!("{connections} connections in {hours} hours"))
            } else {
                Err(format!("{starts} starts, of {wanted}, and {doubts} doubts"))
            }
        })
    })
}

/// A step ends while the cable is out, for so many hours: its result is delivered by the first session after them.
#[must_use]
pub fn outage(hours: u8) -> Outcome {
    on_a_thread(SEED, move |dirs| {
        Pair::live(dirs, waits(hours), SLICE, async |pair| {
            let (agent, run) = begun(pair).await?;
            sleep(BEFORE).await;
            let long = HOUR * u32::from(hours);
            pair.record.fault(format_args!("the cable is out for {hours} h"));
            pair.record.trouble(AGENT, machine::elapsed() + long);
            pair.cable.pull();
            sleep(long).await;
            let doubts = pair.record.doubts().len();
            pair.cable.plug();
            over(pair, &run, &agent).await?;
            agent.leave().await?;
            let starts = pair.record.starts().len();
            if (starts, doubts) == (1, 1) {
                Ok(format!("a result came {hours} hours late"))
            } else {
                Err(format!("{starts} starts and {doubts} doubts"))
            }
        })
    })
}

fn steady(hours: u8) -> String {
    let long = (HOUR * u32::from(hours)).as_millis();
    let often: Vec<u8> = (1..hours * 6).collect();
    format!(
        "name: {WORKFLOW}
steps:
  long:
    image: host
    run: work {long} 0
    timeout: {}h
    disconnect: 1m
    outputs: {{ token: string }}
  often:
    foreach: ${{{{ {often:?} }}}}
    max-parallel: 1
    image: host
    run: work 599000 0
    timeout: 11m
    disconnect: 1m
    outputs: {{ token: string }}
",
        hours + 1
    )
}

/// A step that is in doubt once its disconnect budget of an hour is over, and waits there for as long as the cable is out.
fn waits(hours: u8) -> String {
    format!(
        "name: {WORKFLOW}
steps:
  only:
    image: host
    run: work 60000 0
    disconnect: 1h
    timeout: 2h
    if-lost: {{ ask: {hours}h }}
    outputs: {{ token: string }}
"
    )
}

async fn begun(pair: &Pair<'_>) -> Result<(Agent, RunId), String> {
    let agent = pair.agent(DIR);
    let run = pair.start().await?;
    Ok((agent, run))
}

/// It has succeeded, soon.
async fn over(pair: &Pair<'_>, run: &RunId, agent: &Agent) -> Result<(), String> {
    let begun = machine::elapsed();
    loop {
        match pair.ended(run, agent) {
            Some(RunOutcome::Succeeded) => return Ok(()),
            Some(other) => return Err(format!("{run} ended as {other:?}")),
            None if machine::elapsed() > begun + SETTLED => return Err(format!("{run} is not over")),
            None => sleep(LOOK).await,
        }
    }
}
