//! Lists of a vendor's texts as outputs: each text and all of them within their bounds.

use serde_json::Value;
use types::Finding;

use crate::{ActionError, args};

/// Bytes of one list: outputs take 256 KiB together.
const LIST_BYTES: usize = 160 * 1024;
/// Bytes of all findings beside one list.
const FINDINGS_BYTES: usize = 80 * 1024;
/// Characters of one text.
const TEXT: usize = 2_000;

/// The items that fit, and how many do not.
pub(crate) fn fitting(items: Vec<Value>) -> (Vec<Value>, usize) {
    within(items, LIST_BYTES)
}

/// Findings as an output: each tells its whole query, so that many of a long one are bounded together; the first ones
/// are told, and that there were more.
///
/// # Errors
/// One has no JSON form: a defect.
pub(crate) fn findings(all: &[Finding], degraded: &mut Vec<String>) -> Result<Value, ActionError> {
    let all = all.iter().map(args::json).collect::<Result<Vec<Value>, _>>()?;
    let (told, left) = within(all, FINDINGS_BYTES);
    if left > 0 {
        let told = told.len();
        degraded.push(format!(
            "only the first {told} findings are told, {left} more are too large beside them"
        ));
    }
    Ok(Value::Array(told))
}

/// The items that fit into so many bytes of JSON, and how many do not.
pub(crate) fn within(items: Vec<Value>, bytes: usize) -> (Vec<Value>, usize) {
    let total = items.len();
    let mut room = bytes;
    let mut kept = Vec::new();
    for item in items {
        let size = item.to_string().len() + 1;
        if size > room {
            break;
        }
        room -= size;
        kept.push(item);
    }
    let left = total - kept.len();
    (kept, left)
}

/// A text, cut where it is too long, with a sign of it.
pub(crate) fn text(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}
