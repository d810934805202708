//! `[images]`: what stays of images that nothing uses.

use std::time::Duration;

use ::images::Keep;
use types::{limits, units};

use super::table::Reader;

pub(super) fn read(reader: &mut Reader<'_>) -> Keep {
    let table = reader.table(&["images"]);
    let mut keep = Keep::default();
    let size = |text: &str| units::size(text).ok_or_else(|| format!("{text:?} is no size"));
    if let Some(bytes) = reader.value(table, ("size", "images.size"), "write 5GiB or 500MiB", size) {
        keep.bytes = bytes;
    }
    let age = |text: &str| match units::duration(text) {
        Some(ms) if ms <= limits::IMAGE_AGE_MAX_MS => Ok(Duration::from_millis(ms)),
        Some(_) => Err(format!("{text:?} is more than ten years")),
        None => Err(format!("{text:?} is no duration")),
    };
    if let Some(time) = reader.value(table, ("age", "images.age"), "write 14d or 48h", age) {
        keep.age = time;
    }
    keep
}
