//! The workflows that we ship, embedded in the binary.

/// Each runbook's name and its source.
pub const ALL: &[(&str, &str)] = &[("incident-response", include_str!("../incident-response.yaml"))];

/// Beginnings of workflows for `firehall new`, each complete as it stands: its name and its source.
pub const TEMPLATES: &[(&str, &str)] = &[
    ("script", include_str!("../templates/script.yaml")),
    ("alert", include_str!("../templates/alert.yaml")),
];
