//! The words for severity that sources use. A word that is not here is unknown, and noted.

use types::Severity;

/// From a word, in any case.
pub(super) fn from_word(word: &str) -> Option<Severity> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "critical" | "crit" | "fatal" | "emergency" | "disaster" | "p1" | "sev1" | "sev-1" => {
            Severity::Critical
        }
        "high" | "error" | "major" | "p2" | "sev2" | "sev-2" => Severity::High,
        "medium" | "moderate" | "warning" | "warn" | "p3" | "sev3" | "sev-3" => Severity::Medium,
        "low" | "minor" | "p4" | "p5" | "sev4" | "sev-4" | "sev5" | "sev-5" => Severity::Low,
        "info" | "informational" | "notice" => Severity::Info,
        _ => return None,
    })
}

/// One step less bad; unknown stays.
pub(super) fn lower(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::High,
        Severity::High => Severity::Medium,
        Severity::Medium => Severity::Low,
        Severity::Low | Severity::Info => Severity::Info,
        Severity::Unknown => Severity::Unknown,
    }
}
