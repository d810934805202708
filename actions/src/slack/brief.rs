//! The room's first message: what is known of the incident, and who was found how and who was not.
//!
//! The alert's text goes into plain text objects only; marked-up lines hold our words, escaped names, links whose
//! label shows their host, and mentions of people who are in the room.

use types::{Incident, Invitation, Match, Person, Severity};

use super::{escape, pages::Pages};

/// Hosts and tags that are named.
const NAMED: usize = 100;

/// The brief as messages: the first, and what spilled over into its thread.
pub(crate) struct Brief<'a> {
    pub(crate) incident: &'a Incident,
    pub(crate) people: &'a [Person],
    pub(crate) invited: &'a [Invitation],
    pub(crate) private: bool,
    pub(crate) notes: &'a [String],
    pub(crate) run: &'a str,
}

impl Brief<'_> {
    /// What notifications and screen readers get.
    pub(crate) fn text(&self) -> String {
        let title = escape::escape_within(&escape::clean(&self.incident.title), 3_000);
        format!(
            "{} {}: {title}",
            sign(self.incident.severity),
            self.incident.severity
        )
    }

    pub(crate) fn pages(&self) -> Pages {
        let incident = self.incident;
        let mut pages = Pages::default();
        pages.headline(&incident.title);
        let mut facts = vec![
            (
                "Severity".to_owned(),
                format!("{} {}", sign(incident.severity), incident.severity),
            ),
            ("Incident".to_owned(), incident.id.clone()),
            ("Source".to_owned(), incident.source.clone()),
        ];
        if let Some(monitor) = &incident.monitor {
            let parts = [
                ("Monitor", &monitor.name),
                ("Monitor id", &monitor.id),
                ("Threshold", &monitor.threshold),
                ("Value", &monitor.value),
            ];
            let given = parts
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
            facts.extend(given);
        }
        pages.facts(&facts);
        if !incident.hosts.is_empty() {
            pages.plain(&format!(
                "Hosts ({}): {}",
                incident.hosts.len(),
                listed(&incident.hosts)
            ));
        }
        if !incident.metrics.is_empty() {
            let metrics: Vec<(String, String)> = incident.metrics.clone().into_iter().take(NAMED).collect();
            pages.facts(&metrics);
        }
        let links: Vec<String> = incident
            .links
            .iter()
            .filter_map(|link| escape::link(&link.title, &link.url))
            .collect();
        pages.marked(&links.iter().map(|link| format!("• {link}")).collect::<Vec<_>>());
        pages.marked(&self.people_lines());
        if let Some(query) = incident
            .monitor
            .as_ref()
            .and_then(|monitor| monitor.query.as_deref())
        {
            pages.plain(&format!("Query: {query}"));
        }
        if let Some(description) = &incident.description {
            pages.plain(description);
        }
        if !incident.tags.is_empty() {
            pages.context(&format!("Tags: {}", listed(&incident.tags)));
        }
        for note in incident.notes.iter().chain(self.notes).take(10) {
            pages.context(&format!("Note: {note}"));
        }
        pages.context(&format!("Firehall · {} · {}", incident.reference, self.run));
        pages
    }

    fn people_lines(&self) -> Vec<String> {
        if self.people.is_empty() {
            return vec!["*People:* nobody was asked for".to_owned()];
        }
        let mut lines = vec!["*People*".to_owned()];
        lines.extend(self.people.iter().map(|person| self.person_line(person)));
        lines
    }

    fn person_line(&self, person: &Person) -> String {
        let query = short(&person.query);
        let name = short(person.name.as_deref().unwrap_or(&person.query));
        let guest = if person.guest { " (guest)" } else { "" };
        let others = |what: &str| {
            let names = short(&person.candidates.join(", "));
            if person.candidates.is_empty() {
                String::new()
            } else {
                format!(" ({what}: {names})")
            }
        };
        let of = person
            .note
            .as_deref()
            .filter(|note| note.starts_with("of @"))
            .map(|note| format!(", {}", short(note)))
            .unwrap_or_default();
        let note = person
            .note
            .as_deref()
            .map(|note| format!(": {}", short(note)))
            .unwrap_or_default();
        let invitation = self
            .invited
            .iter()
            .find(|invitation| Some(&invitation.user_id) == person.user_id.as_ref());
        match (person.matched, invitation) {
            (Match::Missing, _) => {
                format!("• {query}: not in the directory{note}{}", others("nearest"))
            }
            (Match::Ambiguous, _) => {
                format!("• {query}: ambiguous, nobody was chosen{}", others("these fit"))
            }
            (Match::Fuzzy, _) if self.private => format!(
                "• {query}: perhaps {name}{guest} (likeness {:.2}), not invited to a private room; invite them if it is so",
                person.score
            ),
            (
                how,
                Some(Invitation {
                    refused: None,
                    user_id,
                    ..
                }),
            ) => {
                let sure = if how == Match::Fuzzy {
                    format!(", likeness {:.2}: please check", person.score)
                } else {
                    String::new()
                };
                format!(
                    "• {}: {name}{guest}, found by {}{of}{sure}",
                    mention(user_id),
                    how_found(how)
                )
            }
            (
                how,
                Some(Invitation {
                    refused: Some(why), ..
                }),
            ) => {
                format!(
                    "• {name}{guest}: found by {}, but not in the room: {}",
                    how_found(how),
                    short(why)
                )
            }
            (how, None) => format!("• {name}{guest}: found by {}, not invited", how_found(how)),
        }
    }
}

/// Ids come from Slack's own directory; anything else is shown as text.
fn mention(user_id: &str) -> String {
    if user_id
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    {
        format!("<@{user_id}>")
    } else {
        escape::escape(user_id)
    }
}

fn short(text: &str) -> String {
    escape::escape_within(&escape::line(text), 300)
}

fn how_found(matched: Match) -> &'static str {
    match matched {
        Match::Id => "id",
        Match::Email => "e-mail",
        Match::DisplayName => "display name",
        Match::Username => "username",
        Match::Fuzzy => "likeness",
        Match::Ambiguous | Match::Missing => "nothing",
    }
}

fn listed(list: &[String]) -> String {
    let more = if list.len() > NAMED {
        format!(", and {} more", list.len() - NAMED)
    } else {
        String::new()
    };
    let shown: Vec<String> = list.iter().take(NAMED).map(|item| escape::line(item)).collect();
    format!("{}{more}", shown.join(", "))
}

/// A sign beside the word, never instead of it.
pub(crate) fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "🔴",
        Severity::High => "🟠",
        Severity::Medium => "🟡",
        Severity::Low => "🔵",
        Severity::Info => "⚪",
        Severity::Unknown => "❔",
    }
}
