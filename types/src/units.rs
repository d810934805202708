//! Durations, sizes and processor time as definitions and configuration files write them.

use crate::Millis;

/// `500ms`, `20s`, `5m`, `1h`, `2d`.
#[must_use]
pub fn duration(text: &str) -> Option<Millis> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    digits.parse::<Millis>().ok()?.checked_mul(factor)
}

/// As a person writes it.
#[must_use]
pub fn duration_text(ms: Millis) -> String {
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

/// `64MiB`, `512MB`, `1GiB`, in bytes.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// `0.5`, `2`, `500m`, in thousandths of a core.
#[must_use]
pub fn cpu(text: &str) -> Option<u32> {
    if let Some(millis) = text.strip_suffix('m') {
        return millis
            .parse()
            .ok()
            .filter(|millis| (1..=1_024_000).contains(millis));
    }
    let cores: f64 = text.parse().ok()?;
    let millis = (cores * 1_000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked first"
    )]
    (1.0..=1_024_000.0).contains(&millis).then_some(millis as u32)
}

#[cfg(test)]
mod tests {
    use super::{cpu, duration, size};

    #[test]
    fn units() {
        assert_eq!(duration("500ms"), Some(500));
        assert_eq!(duration("20s"), Some(20_000));
        assert_eq!(duration("1h"), Some(3_600_000));
        assert!(
            [
                "20",
                "s",
                "-5s",
                "5 m",
                "1.5h",
                "",
                "99999999999999999999h",
                "18446744073709551615d"
            ]
            .iter()
            .all(|text| duration(text).is_none())
        );
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("512MB"), Some(512_000_000));
        assert!(
            ["64", "MiB", "64mib", "-1MiB", "99999999999999GiB"]
                .iter()
                .all(|text| size(text).is_none())
        );
        assert_eq!(cpu("0.5"), Some(500));
        assert_eq!(cpu("500m"), Some(500));
        assert_eq!(cpu("2"), Some(2_000));
        assert!(
            ["0", "-1", "NaN", "inf", "1e300", "m", "0m"]
                .iter()
                .all(|text| cpu(text).is_none())
        );
    }
}
