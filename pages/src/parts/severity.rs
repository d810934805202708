//! How bad it is: bars and a word.

use askama::{Template, filters::Safe};

/// A severity, to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Template)]
#[template(path = "parts/severity.html")]
pub struct Severity<'a> {
    word: &'a str,
    bars: u8,
}

impl Severity<'_> {
    fn lit(&self, bar: u8) -> &'static str {
        if bar < self.bars { "lit" } else { "unlit" }
    }
}

/// By the API's word. Unknown has no bars: nothing is made up.
#[must_use]
pub fn severity(word: &str) -> Safe<Severity<'_>> {
    let bars = match word {
        "critical" => 4,
        "high" => 3,
        "medium" => 2,
        "low" => 1,
        _ => 0,
    };
    Safe(Severity { word, bars })
}
