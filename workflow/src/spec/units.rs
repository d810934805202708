//! What somebody meant who wrote a duration or a size otherwise.

pub(crate) use types::units::{cpu, duration, duration_text, size};

/// What somebody meant who wrote it otherwise, and why it is not read.
pub(crate) fn meant_duration(text: &str) -> Option<(&'static str, String)> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    if digits.is_empty() {
        return None;
    }
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" => return Some(("say the unit", format!("{digits}s"))),
        "ms" | "msec" | "millis" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        _ => return None,
    };
    Some((
        "write the number and ms, s, m, h or d, without a space",
        format!("{digits}{unit}"),
    ))
}

/// The size that somebody meant who wrote it otherwise.
pub(crate) fn meant_size(text: &str) -> Option<String> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "k" | "kb" => "kB",
        "ki" | "kib" => "KiB",
        "m" | "mb" => "MB",
        "mi" | "mib" => "MiB",
        "g" | "gb" => "GB",
        "gi" | "gib" => "GiB",
        _ => return None,
    };
    (!digits.is_empty()).then(|| format!("{digits}{unit}"))
}
