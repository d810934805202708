//! One line of a terminal: what is written over what is there.

use super::Style;

/// Characters of a line that are shown; what comes behind them is counted.
pub(super) const CELLS: usize = 10_000;

/// A run of characters that look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Without control characters; a tab is one.
    pub text: String,
    /// How it looks.
    pub style: Style,
}

/// A line, or a place where bytes were lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// What it shows.
    pub spans: Vec<Span>,
    /// Characters behind the last one that is shown.
    pub cut: u64,
    /// Bytes lost here; then there is nothing else.
    pub lost: u64,
}

impl Row {
    /// Its text without looks.
    #[must_use]
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    cells: Vec<(char, Style)>,
    cursor: usize,
    cut: u64,
}

impl Line {
    pub(super) fn put(&mut self, c: char, style: Style) {
        if self.cursor >= CELLS {
            self.cut += 1;
            return;
        }
        while self.cells.len() < self.cursor {
            self.cells.push((' ', Style::default()));
        }
        match self.cells.get_mut(self.cursor) {
            Some(cell) => *cell = (c, style),
            None => self.cells.push((c, style)),
        }
        self.cursor += 1;
    }

    /// To a column from 0.
    pub(super) fn go(&mut self, column: usize) {
        self.cursor = column.min(CELLS);
    }

    pub(super) const fn column(&self) -> usize {
        self.cursor
    }

    /// ECMA-48 EL: 0 from the cursor on, 1 up to it, 2 all.
    pub(super) fn erase(&mut self, what: usize) {
        match what {
            0 => self.cells.truncate(self.cursor),
            1 => {
                let end = (self.cursor + 1).min(self.cells.len());
                self.cells[..end].fill((' ', Style::default()));
            }
            2 => self.cells.clear(),
            _ => return,
        }
        self.cut = 0;
    }

    pub(super) fn row(&self) -> Row {
        let mut spans: Vec<Span> = Vec::new();
        for (c, style) in &self.cells {
            match spans.last_mut() {
                Some(span) if span.style == *style => span.text.push(*c),
                _ => spans.push(Span {
                    text: c.to_string(),
                    style: *style,
                }),
            }
        }
        Row {
            spans,
            cut: self.cut,
            lost: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.cells.clear();
        (self.cursor, self.cut) = (0, 0);
    }
}
