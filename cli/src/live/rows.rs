//! Rows of a terminal: pieces of harmless text with a meaning.

use unicode_width::UnicodeWidthStr;

use crate::text;

/// What a piece of a row means; a terminal makes it a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Faint,
    Good,
    Warning,
    Bad,
    Busy,
    Strong,
}

impl Paint {
    /// The parameters of "select graphic rendition".
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Busy => "36",
            Self::Strong => "1",
        }
    }
}

/// A row: harmless pieces of text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Row(Vec<(Paint, String)>);

impl Row {
    /// One piece of text.
    pub(crate) fn plain(text: &str) -> Self {
        Self(Vec::new()).put(Paint::Plain, text)
    }

    pub(super) fn new(indent: usize) -> Self {
        Self(vec![(Paint::Plain, " ".repeat(indent))])
    }

    pub(super) fn put(mut self, paint: Paint, text: &str) -> Self {
        self.0.push((paint, text::line(text).into_owned()));
        self
    }

    /// Cut to a width; with escapes when coloured. And its width on the screen.
    pub(crate) fn render(&self, width: usize, coloured: bool) -> (String, usize) {
        let mut rendered = String::new();
        let mut used = 0;
        for (paint, piece) in &self.0 {
            let piece = text::fit(piece, width.saturating_sub(used));
            used += piece.width();
            if coloured && *paint != Paint::Plain && !piece.is_empty() {
                rendered.push_str(&format!("\u{1b}[{}m{piece}\u{1b}[0m", paint.code()));
            } else {
                rendered.push_str(&piece);
            }
            if used >= width {
                break;
            }
        }
        (rendered, used)
    }
}
