//! Cursors and page sizes, with the awkwardness clients must bear: a page may be short before the end.

use data_encoding::BASE64;

use super::{
    args::Args,
    errors::{Code, Failure},
};

/// Reads `limit`; `None` when absent (or 0, which Slack takes for absent).
pub(crate) fn limit(args: &Args, most: usize) -> Result<Option<usize>, Failure> {
    let Some(text) = args.text("limit") else {
        return Ok(None);
    };
    match text.parse::<usize>() {
        Ok(0) => Ok(None),
        Ok(limit) if limit <= most => Ok(Some(limit)),
        Ok(_) | Err(_) => Err(Code::InvalidLimit.into()),
    }
}

/// An opaque cursor that leads to the item with this key in the listing of this kind.
pub(crate) fn cursor(kind: &str, key: &str) -> String {
    BASE64.encode(format!("{kind}:{key}").as_bytes())
}

/// The key a cursor leads to; `None` without one.
///
/// # Errors
/// `invalid_cursor` for text this kind of listing never handed out.
pub(crate) fn start(args: &Args, kind: &str) -> Result<Option<String>, Failure> {
    let Some(text) = args.text("cursor") else {
        return Ok(None);
    };
    let decoded = BASE64
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let key = decoded
        .as_deref()
        .and_then(|text| text.strip_prefix(kind)?.strip_prefix(':'));
    key.map(|key| Some(key.to_owned()))
        .ok_or_else(|| Code::InvalidCursor.into())
}

/// One page of `items`: at most `size` from the cursor on, and the cursor to the next ("" at the end).
pub(crate) fn page<'i, T>(
    items: &'i [T],
    key: impl Fn(&T) -> &str,
    kind: &str,
    args: &Args,
    size: usize,
) -> Result<(&'i [T], String), Failure> {
    let from = match start(args, kind)? {
        None => 0,
        Some(wanted) => items
            .iter()
            .position(|item| key(item) == wanted)
            .ok_or(Failure::from(Code::InvalidCursor))?,
    };
    let until = items.len().min(from.saturating_add(size.max(1)));
    let next = items
        .get(until)
        .map_or_else(String::new, |item| cursor(kind, key(item)));
    Ok((&items[from..until], next))
}

/// A page size that is short on purpose: two thirds of what was asked, and never all at once.
pub(crate) fn short(limit: usize, total: usize) -> usize {
    (limit * 2 / 3).min(total.div_ceil(3)).max(1)
}
