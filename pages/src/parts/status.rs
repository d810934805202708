//! A state as a shape, a word and a colour: readable without the colour, and without the shape.

use askama::{Template, filters::Safe};
use proto::v1;

/// What a state is like; each has a shape and a colour of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It went well.
    Good,
    /// It went, but not wholly.
    Degraded,
    /// It went wrong, or is wrong now.
    Bad,
    /// It is under way.
    Live,
    /// Nobody knows.
    Doubt,
    /// It has not begun.
    Waiting,
    /// Somebody stopped it.
    Stopped,
    /// It was left out.
    Left,
}

impl Shape {
    /// The class that colours it.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Degraded => "degraded",
            Self::Bad => "bad",
            Self::Live => "live",
            Self::Doubt => "doubt",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Left => "left",
        }
    }

    /// Its outline in a square of 16.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Good => {
                "M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2Zm3.5 5.1-4.1 4.5a.8.8 0 0 1-1.2 0L4.4 8.9l1.1-1.1 1.3 1.3 3.6-3.9Z"
            }
            Self::Degraded => {
                "M7.1 1.9.9 13a1 1 0 0 0 .9 1.6h12.4a1 1 0 0 0 .9-1.6L8.9 1.9a1 1 0 0 0-1.8 0ZM7.2 5.6h1.6v4.2H7.2Zm0 5.4h1.6v1.6H7.2Z"
            }
            Self::Bad => {
                "M5.2 1.2 1.2 5.2v5.6l4 4h5.6l4-4V5.2l-4-4ZM5.9 4.8 8 6.9l2.1-2.1 1.1 1.1L9.1 8l2.1 2.1-1.1 1.1L8 9.1l-2.1 2.1-1.1-1.1L6.9 8 4.8 5.9Z"
            }
            Self::Live => {
                "M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2Zm0 1.6a5.2 5.2 0 1 1 0 10.4A5.2 5.2 0 0 1 8 2.8Zm0 2.4a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6Z"
            }
            Self::Doubt => {
                "M8 .8.8 8 8 15.2 15.2 8Zm0 3.7c1.3 0 2.2.8 2.2 1.9 0 .8-.5 1.3-1 1.6-.4.3-.5.4-.5.8H7.3c0-1 .4-1.4.9-1.8.4-.3.6-.4.6-.7 0-.3-.3-.5-.8-.5s-.8.3-.9.8l-1.3-.4c.2-1 1-1.7 2.2-1.7Zm-.8 5.2h1.6v1.6H7.2Z"
            }
            Self::Waiting => {
                "M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2Zm0 1.6a5.2 5.2 0 1 1 0 10.4A5.2 5.2 0 0 1 8 2.8Z"
            }
            Self::Stopped => "M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2ZM5.4 5.4h5.2v5.2H5.4Z",
            Self::Left => {
                "M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2Zm0 1.6a5.2 5.2 0 1 1 0 10.4A5.2 5.2 0 0 1 8 2.8ZM4.9 7.2h6.2v1.6H4.9Z"
            }
        }
    }
}

/// A state, to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Template)]
#[template(path = "parts/status.html")]
pub struct Status<'a> {
    shape: Shape,
    word: &'a str,
}

impl<'a> Status<'a> {
    /// A state of this shape with this word.
    #[must_use]
    pub const fn new(shape: Shape, word: &'a str) -> Safe<Self> {
        Safe(Self { shape, word })
    }

    /// Its shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Its word.
    #[must_use]
    pub const fn word(&self) -> &'a str {
        self.word
    }
}

/// A run's; without an outcome it is live.
#[must_use]
pub const fn of_outcome(outcome: v1::Outcome) -> Safe<Status<'static>> {
    match outcome {
        v1::Outcome::Unspecified => Status::new(Shape::Live, "running"),
        v1::Outcome::Succeeded => Status::new(Shape::Good, "succeeded"),
        v1::Outcome::Degraded => Status::new(Shape::Degraded, "degraded"),
        v1::Outcome::Failed => Status::new(Shape::Bad, "failed"),
        v1::Outcome::Cancelled => Status::new(Shape::Stopped, "cancelled"),
    }
}

/// A step's or an attempt's, by the API's word; a word that is new to the page shows as it is.
#[must_use]
pub fn of_step(state: &str) -> Safe<Status<'_>> {
    match state {
        "succeeded" => Status::new(Shape::Good, state),
        "degraded" => Status::new(Shape::Degraded, state),
        "failed" => Status::new(Shape::Bad, state),
        "running" | "accepted" | "offered" => Status::new(Shape::Live, state),
        "in_doubt" => Status::new(Shape::Doubt, "in doubt"),
        "cancelled" => Status::new(Shape::Stopped, state),
        "skipped" | "omitted" => Status::new(Shape::Left, state),
        "not_run" => Status::new(Shape::Left, "not run"),
        "retry_wait" => Status::new(Shape::Waiting, "waits to retry"),
        _ => Status::new(Shape::Waiting, state),
    }
}

/// An incident's, by the API's word.
#[must_use]
pub fn of_incident(state: &str) -> Safe<Status<'_>> {
    match state {
        "open" => Status::new(Shape::Bad, "open"),
        "resolved" => Status::new(Shape::Good, "resolved"),
        other => Status::new(Shape::Doubt, other),
    }
}

/// An agent's.
#[must_use]
pub fn of_agent(agent: &v1::AgentInfo) -> Safe<Status<'_>> {
    match (agent.state.as_str(), agent.draining) {
        ("connected", true) if agent.drained => Status::new(Shape::Stopped, "drained"),
        ("disconnected", true) if agent.drained => Status::new(Shape::Stopped, "disconnected, drained"),
        ("connected", false) => Status::new(Shape::Good, "connected"),
        ("connected", true) => Status::new(Shape::Stopped, "draining"),
        ("disconnected", false) => Status::new(Shape::Bad, "disconnected"),
        ("disconnected", true) => Status::new(Shape::Stopped, "disconnected, draining"),
        (other, _) => Status::new(Shape::Doubt, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_a_shape_a_word_and_a_colour() {
        let shown = of_outcome(v1::Outcome::Failed).0.to_string();
        assert!(shown.starts_with("<span class=\"status bad\"><svg"), "{shown}");
        assert!(shown.ends_with("</svg>failed</span>"), "{shown}");
        assert!(of_step("in_doubt").0.to_string().ends_with(">in doubt</span>"));
        assert!(
            of_step("new <word>")
                .0
                .to_string()
                .ends_with(">new &lt;word&gt;</span>")
        );
    }
}
