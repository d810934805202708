//! The workflows that we ship, embedded in the binary.

/// Each runbook's name and its source.
pub const ALL: &[(&str, &str)] = &[("incident-response", include_str!("../incident-response.yaml"))];
