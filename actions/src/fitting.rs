//! Lists of a vendor's texts as outputs: each text and all of them within their bounds.

use serde_json::Value;

/// Bytes of one list: outputs take 256 KiB together.
const LIST_BYTES: usize = 160 * 1024;
/// Characters of one text.
const TEXT: usize = 2_000;

/// The items that fit, and how many do not.
pub(crate) fn fitting(items: Vec<Value>) -> (Vec<Value>, usize) {
    let total = items.len();
    let mut room = LIST_BYTES;
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
