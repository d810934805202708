//! A page that says what went wrong, and where to go.

use askama::Template;

use crate::Shell;

/// An error's page.
#[derive(Debug, Template)]
#[template(path = "notice.html")]
pub struct Notice {
    /// Around it.
    pub shell: Shell,
    /// In a few words: "There is no such page".
    pub heading: String,
    /// What failed and why.
    pub reason: String,
    /// What to do.
    pub advice: String,
}
