//! What has been drawn, and the bytes that bring it up to date: rows that did not change are not written again.

use std::fmt::Write;

use super::rows::Row;

/// The rows on the terminal, right above the cursor.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    drawn: Vec<(String, usize)>,
    width: usize,
}

impl Screen {
    /// The bytes that turn what is there into these rows.
    pub(crate) fn draw(&mut self, rows: &[Row], width: usize, coloured: bool) -> String {
        // The last column stays free: a terminal may wrap on it.
        let next: Vec<(String, usize)> = rows.iter().map(|row| row.render(width - 1, coloured)).collect();
        let mut bytes = String::new();
        if width == self.width && next.len() >= self.drawn.len() {
            self.update(&next, &mut bytes);
        } else {
            bytes.push_str(&self.clear(width));
            for (row, _) in &next {
                push(&mut bytes, format_args!("{row}\r\n"));
            }
        }
        (self.drawn, self.width) = (next, width);
        bytes
    }

    /// The bytes that put a line above the rows and forget them: the next draw starts afresh below.
    pub(crate) fn above(&mut self, line: &str) -> String {
        let clear = self.clear(self.width);
        self.drawn.clear();
        format!("{clear}{line}\r\n")
    }

    fn update(&self, next: &[(String, usize)], bytes: &mut String) {
        let height = self.drawn.len();
        for (i, (row, _)) in next.iter().enumerate() {
            match self.drawn.get(i) {
                Some((old, _)) if old == row => {}
                Some(_) => {
                    let up = height - i;
                    push(bytes, format_args!("\u{1b}[{up}A\r\u{1b}[2K{row}\u{1b}[{up}B\r"));
                }
                None => push(bytes, format_args!("{row}\r\n")),
            }
        }
    }

    /// Rows that were drawn wider than the terminal is now have wrapped.
    fn clear(&self, width: usize) -> String {
        let lines: usize = self
            .drawn
            .iter()
            .map(|(_, used)| used.div_ceil(width.max(1)).max(1))
            .sum();
        if lines == 0 {
            String::new()
        } else {
            format!("\u{1b}[{lines}A\r\u{1b}[J")
        }
    }
}

fn push(bytes: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = bytes.write_fmt(args);
}
