//! What was told of artifacts, against what steps really left and what the artifact store holds.

use std::collections::BTreeMap;

use futures::FutureExt;
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use types::{Artifact, AttemptKey, RunId, Verdict};

use super::Told;
use crate::{
    record::{Left, Start},
    work::{self, GETS, KEEP, LEAVES},
};

/// Every artifact that is told has the bytes that its step left, and so has the store; a success that was to leave something
/// has; who was given one had it whole.
pub(super) fn whole(starts: &[Start], told: &Told, objects: &InMemory) -> Result<(), String> {
    let mut sums: BTreeMap<&RunId, Vec<&str>> = BTreeMap::new();
    let left: BTreeMap<_, _> = starts
        .iter()
        .map(|start| (&start.token, start.left.as_ref()))
        .collect();
    for (token, (key, artifacts)) in &told.artifacts {
        if !told.finished.contains_key(token) {
            return Err(format!("an artifact of {key} of {} without its result", key.run));
        }
        let left = left.get(token).copied().flatten();
        let left = left.ok_or_else(|| format!("{key} of {} left nothing", key.run))?;
        for artifact in artifacts {
            same(key, artifact, left)?;
            held(key, artifact, objects)?;
            if key.step == LEAVES {
                sums.entry(&key.run).or_default().push(&artifact.sha256);
            }
        }
    }
    for (token, (key, report)) in &told.finished {
        let has = told.artifacts.contains_key(token);
        if KEEP.contains(&key.step.as_str()) && report.verdict == Verdict::Succeeded && !has {
            return Err(format!("{key} of {} succeeded and what it left is lost", key.run));
        }
    }
    for start in starts.iter().filter(|start| start.attempt.step == GETS) {
        let (key, got) = (&start.attempt, start.got.as_deref());
        let given = sums.get(&key.run).map_or(&[][..], Vec::as_slice);
        if !got.is_some_and(|got| given.contains(&got)) {
            return Err(format!("{key} of {} got {got:?}, not one of {given:?}", key.run));
        }
    }
    Ok(())
}

fn same(key: &AttemptKey, told: &Artifact, left: &Left) -> Result<(), String> {
    if told.bytes == left.bytes && told.sha256 == left.sum {
        return Ok(());
    }
    Err(format!("{key} of {} left {left:?}, told is {told:?}", key.run))
}

fn held(key: &AttemptKey, told: &Artifact, objects: &InMemory) -> Result<(), String> {
    let path = Path::from(format!("sha256/{}/{}", &told.sha256[..2], told.sha256));
    let read = async { objects.get(&path).await?.bytes().await };
    let bytes = read
        .now_or_never()
        .ok_or("the artifact store in memory waits")?
        .map_err(|error| format!("the artifact of {key} of {} is lost: {error}", key.run))?;
    if work::sum(&bytes) == told.sha256 {
        return Ok(());
    }
    Err(format!(
        "the artifact store has {} other bytes for the artifact of {key} of {}",
        bytes.len(),
        key.run
    ))
}
