//! An agent's report is checked again: the agent did it, so that retries apply, but it may lie.

use std::collections::BTreeSet;

use types::{Artifact, AttemptReport, Failure, FailureKind, Object, Value, Verdict, Work, WorkBody, limits};

/// How deep a value may be nested that a run keeps: well below what readers of JSON take (serde_json: 128).
pub(crate) const VALUE_DEPTH: usize = 64;

/// The report as the run keeps it: outputs that fit, at most `limits::REASONS` reasons, each cut to its limit.
pub(crate) fn checked(mut report: AttemptReport, work: &Work) -> AttemptReport {
    let unfit = match &report.verdict {
        Verdict::Succeeded | Verdict::Degraded { .. } => fits(&report.outputs, work).err(),
        Verdict::Failed { .. } | Verdict::Cancelled { .. } => {
            report.outputs = Object::new();
            None
        }
    };
    if let Some(message) = unfit {
        let message = format!("the agent reported outputs that do not fit: {message}");
        report.verdict = Verdict::Failed {
            failure: Failure::new(FailureKind::Output, message),
        };
        report.outputs = Object::new();
    }
    let declared = match &work.body {
        WorkBody::Container(container) => Some(&container.artifacts),
        WorkBody::Action(_) => None,
    };
    let is_declared = |artifact: &Artifact| {
        artifact.is_well_formed() && declared.is_some_and(|all| all.contains_key(&artifact.name))
    };
    let mut seen = BTreeSet::new();
    report
        .artifacts
        .retain(|artifact| is_declared(artifact) && seen.insert(artifact.name.clone()));
    if matches!(&report.verdict, Verdict::Succeeded | Verdict::Degraded { .. })
        && let Some(name) = declared
            .into_iter()
            .flatten()
            .find_map(|(name, decl)| (!decl.optional && !seen.contains(name)).then_some(name))
    {
        let message = format!("the agent reported success without the declared artifact {name}");
        report.verdict = Verdict::Failed {
            failure: Failure::new(FailureKind::Output, message),
        };
        report.outputs = Object::new();
    }
    match &mut report.verdict {
        Verdict::Degraded { reasons } => {
            if reasons.is_empty() {
                reasons.push("degraded without a reason".to_owned());
            }
            reasons.iter_mut().for_each(cut);
            at_most(reasons, limits::REASONS);
        }
        Verdict::Failed { failure } => cut(&mut failure.message),
        Verdict::Succeeded | Verdict::Cancelled { .. } => {}
    }
    let known = match &work.body {
        WorkBody::Action(_) => None,
        WorkBody::Container(container) => Some(&container.services),
    };
    // Of services that the step does not have nothing is kept, and of each it is said once.
    let mut told = BTreeSet::new();
    report.services.retain(|service| {
        known.is_some_and(|known| known.contains_key(&service.name)) && told.insert(service.name.clone())
    });
    for service in &mut report.services {
        if let Some(end) = &mut service.ended {
            cut(&mut end.message);
        }
        if let Some(digest) = &mut service.image_digest {
            cut(digest);
        }
    }
    report
}

/// Cuts a list of reasons to `most`; the last one then says how many more there are.
pub(crate) fn at_most(reasons: &mut Vec<String>, most: usize) {
    if reasons.len() > most {
        let more = reasons.len() - (most - 1);
        reasons.truncate(most - 1);
        reasons.push(format!("and {more} more"));
    }
}

fn cut(text: &mut String) {
    if text.chars().count() > limits::MESSAGE_CHARS {
        *text = text
            .chars()
            .take(limits::MESSAGE_CHARS - 1)
            .chain(['…'])
            .collect();
    }
}

/// Whether a value is nested at most `VALUE_DEPTH` deep.
pub(crate) fn is_shallow(value: &Value) -> bool {
    fn within(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left > 0 && items.iter().all(|item| within(item, left - 1)),
            Value::Object(map) => left > 0 && map.values().all(|item| within(item, left - 1)),
            _ => true,
        }
    }
    within(value, VALUE_DEPTH)
}

fn fits(outputs: &Object, work: &Work) -> Result<(), String> {
    for name in outputs.keys() {
        if !work.outputs.contains_key(name) {
            return Err(format!("{name:?} is not declared"));
        }
    }
    for (name, decl) in &work.outputs {
        match outputs.get(name) {
            None | Some(Value::Null) if decl.optional => {}
            None => return Err(format!("{name:?} is missing")),
            Some(value) => decl.ty.check(value).map_err(|e| format!("{name:?}: {e}"))?,
        }
    }
    if let Some((name, _)) = outputs.iter().find(|(_, value)| !is_shallow(value)) {
        return Err(format!("{name:?} is nested deeper than {VALUE_DEPTH}"));
    }
    let size = serde_json::to_string(outputs).map_or(usize::MAX, |text| text.len());
    if size > limits::OUTPUTS_BYTES {
        return Err(format!("{size} bytes, at most {}", limits::OUTPUTS_BYTES));
    }
    Ok(())
}
