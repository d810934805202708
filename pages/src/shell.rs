//! What stands around every page: title, navigation, and what makes it anew.

use askama::filters::Safe;

use crate::{assets, parts};

/// A place in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What burns now.
    Home,
    /// Incidents.
    Incidents,
    /// Runs.
    Runs,
    /// Agents.
    Agents,
    /// Workflows.
    Workflows,
    /// None of them: an error's page.
    None,
}

impl Section {
    const NAVIGATION: [Self; 5] = [
        Self::Home,
        Self::Incidents,
        Self::Runs,
        Self::Agents,
        Self::Workflows,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Home => "Now",
            Self::Incidents => "Incidents",
            Self::Runs => "Runs",
            Self::Agents => "Agents",
            Self::Workflows => "Workflows",
            Self::None => "",
        }
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Home | Self::None => "/",
            Self::Incidents => "/incidents",
            Self::Runs => "/runs",
            Self::Agents => "/agents",
            Self::Workflows => "/workflows",
        }
    }

    /// The letter that leads to it after `g`.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Home | Self::None => "h",
            Self::Incidents => "i",
            Self::Runs => "r",
            Self::Agents => "a",
            Self::Workflows => "w",
        }
    }
}

/// What every page has.
#[derive(Debug, Clone)]
pub struct Shell {
    /// The window's title; may hold an outsider's text.
    pub title: String,
    /// Where it is in the navigation.
    pub section: Section,
    /// The instant it is seen from, Unix milliseconds.
    pub now_ms: i64,
    /// The stream (`text/event-stream`) of which each event means that the page is to be fetched anew; none for a page that does not
    /// change.
    pub live: Option<String>,
}

impl Shell {
    pub(crate) fn navigation(&self) -> [Section; 5] {
        Section::NAVIGATION
    }

    pub(crate) fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    pub(crate) fn seen_iso(&self) -> String {
        parts::iso(self.now_ms)
    }

    pub(crate) fn seen_utc(&self) -> String {
        parts::utc(self.now_ms)
    }

    /// An instant as seen now.
    #[must_use]
    pub fn time(&self, at_ms: &i64) -> Safe<parts::Time> {
        parts::time(*at_ms, self.now_ms)
    }

    /// How long it took, or has taken until now.
    #[must_use]
    pub fn lasted(&self, from_ms: &i64, to_ms: &i64) -> String {
        parts::lasted(*from_ms, *to_ms, self.now_ms)
    }
}
