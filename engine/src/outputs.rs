//! An agent's report is checked again: the agent did it, so that retries apply, but it may lie.

use types::{AttemptReport, Failure, FailureKind, Object, Value, Verdict, Work, limits};

/// How deep a value may be nested that a run keeps: well below what readers of JSON take (serde_json: 128).
pub(crate) const VALUE_DEPTH: usize = 64;

fn checked(mut report: AttemptReport, work: &Work) -> AttemptReport {
    if !matches!(report.verdict, Verdict::Succeeded | Verdict::Degraded { .. }) {
        report.outputs = Object::new();
        return report;
    }
    if let Err(message) = fits(&report.outputs, work) {
        let failure = Failure::new(
            FailureKind::Output,
            format!("the agent reported outputs that do not fit: {message}"),
        );
        report.verdict = Verdict::Failed { failure };
        report.outputs = Object::new();
    }
    if let Verdict::Degraded { reasons } = &mut report.verdict {
        if reasons.is_empty() {
            reasons.push("degraded without a reason".to_owned());
        }
        reasons.truncate(limits::REASONS);
    }
    report
}

fn fits(outputs: &Object, work: &Work) -> Result<(), String> {
    for name in outputs.keys() {
        if !work.outputs.contains_key(name) {
            return Err(format!("{name:?} is not declared"));
        }
    }
    for (name, decl) in &work.outputs {
        match outputs.get(name) {
            None | Some(serde_json::Value::Null) if decl.optional => {}
            None => return Err(format!("{name:?} is missing")),
            Some(value) => decl.ty.check(value).map_err(|e| format!("{name:?}: {e}"))?,
        }
    }
    let size = serde_json::to_string(outputs).map_or(usize::MAX, |text| text.len());
    if size > limits::OUTPUTS_BYTES {
        return Err(format!("{size} bytes, at most {}", limits::OUTPUTS_BYTES));
    }
    Ok(())
}
