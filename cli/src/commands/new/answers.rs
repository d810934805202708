//! What a new workflow is made with: each answer checked by the same rule, whether it is typed or given as a flag.

use types::{Severity, text::is_unsafe};

/// The templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Template {
    /// From an alert to a staffed war room with findings: the shipped runbook
    IncidentResponse,
    /// One step: a script in a fresh container
    Script,
    /// The disk of each affected host
    Alert,
}

impl Template {
    pub(super) const ALL: [Self; 3] = [Self::IncidentResponse, Self::Script, Self::Alert];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::IncidentResponse => "incident-response",
            Self::Script => "script",
            Self::Alert => "alert",
        }
    }

    pub(super) const fn says(self) -> &'static str {
        match self {
            Self::IncidentResponse => "from an alert to a staffed war room with findings",
            Self::Script => "one step: a script in a fresh container",
            Self::Alert => "the disk of each affected host",
        }
    }

    /// Whether it calls people into a room.
    pub(super) const fn has_room(self) -> bool {
        matches!(self, Self::IncidentResponse)
    }

    /// Whether alerts start it.
    pub(super) const fn has_alert(self) -> bool {
        !matches!(self, Self::Script)
    }
}

/// Who may see the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Privacy {
    /// Anybody in the workspace
    Public,
    /// Only those who are invited
    Private,
    /// Public, and private where no public channel can be created
    Auto,
}

impl Privacy {
    pub(super) const ALL: [Self; 3] = [Self::Auto, Self::Public, Self::Private];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Auto => "auto",
        }
    }

    pub(super) const fn says(self) -> &'static str {
        match self {
            Self::Public => "anybody in the workspace may see it",
            Self::Private => "only those who are invited",
            Self::Auto => "public, and private where no public channel can be created",
        }
    }
}

/// How bad an alert must be, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum AtLeast {
    /// Only the worst
    Critical,
    /// High and critical
    High,
    /// Medium and worse
    Medium,
    /// Low and worse
    Low,
    /// Each alert
    Info,
}

impl AtLeast {
    pub(super) const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }

    /// The words of `alert.severity` that start the workflow. Unknown belongs to them: a source that does not say how
    /// bad it is must not be taken for a harmless one.
    pub(super) fn words(self) -> Vec<&'static str> {
        let own = Self::ALL.iter().take_while(|one| **one != self).chain([&self]);
        let known = own.map(|one| one.word());
        known.chain([Severity::Unknown.as_str()]).collect()
    }
}

/// What it is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) template: Template,
    pub(super) name: String,
    /// For a room.
    pub(super) users: Option<Vec<String>>,
    pub(super) privacy: Option<Privacy>,
    /// For alerts.
    pub(super) severity: Option<AtLeast>,
    /// Of an incident to open with it, not of the workflow.
    pub(super) incident: Incident,
}

/// An incident to open: its id and its title are in no workflow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Incident {
    pub(super) id: Option<String>,
    pub(super) title: Option<String>,
}

/// A workflow's name.
pub(super) fn name(text: &str) -> Result<String, String> {
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if text.len() > 63 {
        return Err(format!("{} characters, at most 63", text.chars().count()));
    }
    if starts && text.chars().all(rest) {
        return Ok(text.to_owned());
    }
    Err("a small letter, then small letters, digits, - and _".to_owned())
}

/// Whom to call: an e-mail address, an @handle, a user id or a name.
pub(super) fn user(text: &str) -> Result<String, String> {
    let text = line("a person", text, 200)?;
    if let Some((local, domain)) = text.split_once('@').filter(|(local, _)| !local.is_empty()) {
        let spaced = text.contains(char::is_whitespace);
        if spaced || domain.is_empty() || domain.contains('@') || local.contains('/') {
            return Err(format!(
                "{text:?} is no e-mail address; a handle begins with @, a name has no @"
            ));
        }
    }
    if text.contains("${{") {
        return Err("${{ begins an expression: a person's name has none".to_owned());
    }
    if text == "@" {
        return Err("an @ without a handle".to_owned());
    }
    Ok(text)
}

/// Several, with commas between them.
pub(super) fn users(text: &str) -> Result<Vec<String>, String> {
    let all: Vec<String> = text.split(',').map(user).collect::<Result<_, _>>()?;
    if all.len() > 100 {
        return Err(format!("{} people, at most 100", all.len()));
    }
    Ok(all)
}

/// An incident's id under which others know it.
pub(super) fn incident_id(text: &str) -> Result<String, String> {
    line("an id", text, 200)
}

/// An incident's title.
pub(super) fn incident_title(text: &str) -> Result<String, String> {
    line("a title", text, 1_000)
}

fn line(what: &str, text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    if text.len() > most {
        return Err(format!("{what} has {} bytes, at most {most}", text.len()));
    }
    if text.chars().any(is_unsafe) {
        return Err(format!(
            "{what} is one line without control characters and marks of direction"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_refused_with_its_reason() {
        for wrong in ["", "A", "1a", "a b", "a/b", "ä", "-a"] {
            assert!(name(wrong).is_err(), "{wrong:?}");
        }
        for wrong in [
            "",
            " ",
            "@",
            "a@",
            "a@b@c",
            "a b@c",
            "x\u{1b}[1m",
            "\u{202e}x",
            "a,,b",
            "a,",
            "${{ run }}",
        ] {
            assert!(users(wrong).is_err(), "{wrong:?}");
        }
        assert!(incident_title("two\nlines").is_err() && incident_id(&"x".repeat(201)).is_err());
    }

    #[test]
    fn people_may_be_written_in_each_way() {
        let all = users("@oncall-backend, maria@example.com,U0123ABCD,Maria Müller").unwrap_or_default();
        assert_eq!(
            all,
            [
                "@oncall-backend",
                "maria@example.com",
                "U0123ABCD",
                "Maria Müller"
            ]
        );
    }

    #[test]
    fn a_severity_has_those_that_are_worse_and_the_unknown_one() {
        assert_eq!(AtLeast::Critical.words(), ["critical", "unknown"]);
        assert_eq!(AtLeast::Medium.words(), ["critical", "high", "medium", "unknown"]);
    }
}
