//! docs/limits.md: every limit by name, read from where it stands in the code.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::sh;

const SOURCE: &str = "types/src/limits.rs";

pub(super) fn page() -> Result<String> {
    let source = std::fs::read_to_string(sh::root().join(SOURCE)).context(SOURCE)?;
    let mut page = format!(
        "# Limits\n\nEvery limit has a name, and one that is exceeded is a clear error. They stand in \
         [`{SOURCE}`](../{SOURCE}); bytes are counted in JSON form where a value is meant.\n\n| limit | is | name |\n|---|---|---|\n"
    );
    let mut values = BTreeMap::new();
    let mut about = Vec::new();
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("/// ") {
            about.push(text);
        } else if let Some(constant) = line.strip_prefix("pub const ") {
            let (name, rest) = constant
                .split_once(": ")
                .with_context(|| format!("{SOURCE}: {line}"))?;
            let (kind, value) = rest
                .split_once(" = ")
                .with_context(|| format!("{SOURCE}: {line}"))?;
            let value =
                product(value.trim_end_matches(';'), &values).with_context(|| format!("{SOURCE}: {line}"))?;
            values.insert(name.to_owned(), value);
            let about = std::mem::take(&mut about).join(" ");
            page.push_str(&format!(
                "| {about} | {} | `{name}` |\n",
                shown(name, kind, value)
            ));
        } else {
            about.clear();
        }
    }
    Ok(page)
}

/// `1024 * NAME`.
fn product(text: &str, known: &BTreeMap<String, u64>) -> Option<u64> {
    let factors = text.split(" * ").map(|word| {
        let number = word.replace('_', "").parse().ok();
        number.or_else(|| known.get(word).copied())
    });
    factors.product()
}

fn shown(name: &str, kind: &str, value: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    let whole = |unit: u64| value >= unit && value.is_multiple_of(unit);
    if name.ends_with("_BYTES") {
        return match value {
            _ if whole(MIB) => format!("{} MiB", value / MIB),
            _ if whole(1024) => format!("{} KiB", value / 1024),
            _ => format!("{value} bytes"),
        };
    }
    if kind == "Millis" {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
        let unit = units.iter().find(|(unit, _)| whole(*unit));
        return unit.map_or(format!("{value} ms"), |(unit, word)| {
            format!("{} {word}", value / unit)
        });
    }
    value.to_string()
}
