//! What stands above every page of a run.

use proto::v1;

use crate::parts::{Shape, of_outcome};

/// A run as its pages show it above everything else.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// As the API has it, without steps and reasons.
    pub run: v1::Run,
    /// One line of the workflow for people; may be empty.
    pub description: String,
    /// The definition's version: SHA-256, hex.
    pub version: String,
    /// Whether that version is kept under the workflow's name, so that there is a page of it.
    pub kept: bool,
    /// Who or what started it.
    pub by: String,
    /// Why it is not succeeded, in the steps' order.
    pub reasons: Vec<Reason>,
    /// A cancel, once somebody asked for it.
    pub cancel: Option<Cancel>,
    /// How many steps there are, and how many of them have ended.
    pub steps: usize,
    /// See `steps`.
    pub ended: usize,
    /// The steps that are under way now, some of them.
    pub now: Vec<String>,
    /// The first steps that failed or are in doubt, some of them.
    pub wrong: Vec<String>,
}

/// Why a run is not succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The step, where it is one's.
    pub step: Option<String>,
    /// In words.
    pub message: String,
}

/// Somebody wants it to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// When, Unix milliseconds.
    pub at_ms: i64,
}

impl Head {
    /// Its address.
    #[must_use]
    pub fn base(&self) -> String {
        format!("/runs/{}", self.run.id)
    }

    /// The window's title: a sign that is seen in a row of tabs, then what it is.
    #[must_use]
    pub fn title(&self, of: &str) -> String {
        let sign = match of_outcome(self.run.outcome()).0.shape() {
            Shape::Good => "✓",
            Shape::Degraded => "⚠",
            Shape::Bad => "✗",
            Shape::Stopped => "■",
            _ => "●",
        };
        let of = if of.is_empty() {
            String::new()
        } else {
            format!("{of} · ")
        };
        format!("{sign} {of}{}", self.run.workflow)
    }

    /// The picture in the window's tab.
    pub(super) fn icon(&self) -> &'static str {
        match of_outcome(self.run.outcome()).0.shape() {
            Shape::Good => "icon-good.svg",
            Shape::Degraded => "icon-degraded.svg",
            Shape::Bad => "icon-bad.svg",
            Shape::Stopped => "icon-stopped.svg",
            _ => "icon-live.svg",
        }
    }

    /// Whether it goes on.
    #[must_use]
    pub fn live(&self) -> bool {
        self.run.outcome() == v1::Outcome::Unspecified
    }

    /// How it stands, in one sentence: what a screen reader says when it changes.
    pub(super) fn news(&self) -> String {
        let state = of_outcome(self.run.outcome()).0.word();
        let mut news = format!("Run {state}: {} of {} steps ended", self.ended, self.steps);
        for (word, keys) in [("now", &self.now), ("look at", &self.wrong)] {
            if !keys.is_empty() && self.live() {
                news.push_str(&format!("; {word}: {}", keys.join(", ")));
            }
        }
        news
    }

    /// The version as people say it.
    pub(super) fn short_version(&self) -> &str {
        self.version.get(..12).unwrap_or(&self.version)
    }
}
