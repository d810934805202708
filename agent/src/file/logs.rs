//! `[logs]`: what logs that the server does not have may take of the disk.

use types::{limits, units};

use super::table::Reader;

pub(super) fn read(reader: &mut Reader<'_>) -> u64 {
    let table = reader.table(&["logs"]);
    let size = |text: &str| units::size(text).ok_or_else(|| format!("{text:?} is no size"));
    let help = "write 8GiB or 500MiB";
    reader
        .value(table, ("waiting", "logs.waiting"), help, size)
        .unwrap_or(limits::LOGS_WAITING_BYTES)
}
