//! A run's steps as a picture: a layered graph in SVG. Large runs are folded so that a browser stays quick, and what runs,
//! failed or is in doubt is shown whatever is folded.

mod draw;
mod fold;
mod layers;
mod place;
#[cfg(test)]
mod tests;

pub use draw::Graph;

/// A step as the picture needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step<'a> {
    /// Its key in the plan.
    pub key: &'a str,
    /// What it does, for people.
    pub what: &'a str,
    /// The API's word for where it is.
    pub state: &'a str,
    /// What a queued step waits for, for people; else empty.
    pub waits_for: String,
    /// How long it took or has taken, for people; empty when it has not begun.
    pub lasted: String,
    /// Tries of all its items.
    pub attempts: u32,
    /// Of a fan-out: items that ended, and items in all.
    pub items: Option<(u32, u32)>,
    /// The steps before it, as places in the list; each earlier or later, without a cycle.
    pub needs: Vec<usize>,
}
