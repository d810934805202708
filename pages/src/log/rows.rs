//! Rows by number: where they begin, some of them, and those that hold a text.

use super::{Row, Style, reader::Reader, reader::Sink};

/// Rows between two marks.
pub const MARK_ROWS: u64 = 512;

/// A piece of a log, as the store has it.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Of the first byte.
    pub offset: u64,
    /// Bytes lost right before it.
    pub lost: u64,
    /// The bytes.
    pub data: &'a [u8],
}

/// Where a row begins and how its text looks there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// The row, from 0.
    pub row: u64,
    /// The first byte; of a row that tells of lost bytes, the first of those.
    pub offset: u64,
    /// What holds from the rows before.
    pub style: Style,
}

/// Where every so many rows begin. Grows with the log.
#[derive(Debug, Clone)]
pub struct Index {
    reader: Reader,
    marks: Marks,
}

#[derive(Debug, Clone)]
struct Marks {
    marks: Vec<Mark>,
    rows: u64,
    /// Of the first byte of what is fed.
    base: u64,
    end: u64,
    lost: u64,
}

impl Sink for Marks {
    fn row(&mut self, _: Option<Row>, used: usize, style: Style) {
        self.rows += 1;
        if self.rows.is_multiple_of(MARK_ROWS) {
            self.marks.push(Mark {
                row: self.rows,
                offset: self.base + used as u64,
                style,
            });
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self {
            reader: Reader::new(Style::default(), false),
            marks: Marks {
                marks: vec![Mark::default()],
                rows: 0,
                base: 0,
                end: 0,
                lost: 0,
            },
        }
    }
}

impl Index {
    /// Takes the next piece; it begins where the last one ended.
    pub fn feed(&mut self, piece: Piece<'_>) {
        let marks = &mut self.marks;
        if piece.lost > 0 {
            marks.lost += piece.lost;
            if self.reader.begun() {
                marks.base = piece.offset - piece.lost;
                self.reader.close(marks);
            }
            marks.base = piece.offset;
            self.reader.lost(piece.lost, marks);
        }
        marks.base = piece.offset;
        self.reader.feed(piece.data, marks);
        marks.end = piece.offset + piece.data.len() as u64;
    }

    /// Rows so far, one that has only begun included.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.marks.rows + u64::from(self.reader.begun())
    }

    /// The offset behind what was fed.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.marks.end
    }

    /// Bytes that were lost.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.marks.lost
    }

    /// The last mark at or before a row.
    #[must_use]
    pub fn before(&self, row: u64) -> Mark {
        let after = self.marks.marks.partition_point(|mark| mark.row <= row);
        self.marks.marks[after.saturating_sub(1)]
    }
}

/// Reads the rows from `from` on, at most `most` of them and about `bytes` of text.
#[derive(Debug)]
pub struct Rows {
    reader: Reader,
    taken: Taken,
}

#[derive(Debug)]
struct Taken {
    row: u64,
    from: u64,
    most: usize,
    room: usize,
    rows: Vec<Row>,
}

impl Taken {
    fn full(&self) -> bool {
        self.rows.len() >= self.most || self.room == 0
    }

    fn take(&mut self, row: Row) {
        if self.row >= self.from && !self.full() {
            // What a span costs beside its text counts too.
            let size: usize = row.spans.iter().map(|span| span.text.len() + 32).sum();
            self.room = self.room.saturating_sub(size + 32);
            self.rows.push(row);
        }
        self.row += 1;
    }
}

impl Sink for Taken {
    fn row(&mut self, row: Option<Row>, _: usize, _: Style) {
        self.take(row.unwrap_or_default());
    }
}

impl Rows {
    /// From a mark at or before `from`.
    #[must_use]
    pub fn new(mark: Mark, from: u64, most: usize, bytes: usize) -> Self {
        Self {
            reader: Reader::new(mark.style, true),
            taken: Taken {
                row: mark.row,
                from,
                most,
                room: bytes,
                rows: Vec::new(),
            },
        }
    }

    /// Takes the next piece; whether more are wanted.
    pub fn feed(&mut self, piece: Piece<'_>) -> bool {
        if piece.lost > 0 {
            self.reader.close(&mut self.taken);
            self.reader.lost(piece.lost, &mut self.taken);
        }
        self.reader.feed(piece.data, &mut self.taken);
        !self.taken.full()
    }

    /// The rows; after the last piece the one that has only begun is among them.
    #[must_use]
    pub fn finish(mut self) -> Vec<Row> {
        if let Some(row) = self.reader.open() {
            self.taken.take(row);
        }
        self.taken.rows
    }
}

/// Looks for a text in all rows. Capital letters in it make their case matter.
#[derive(Debug)]
pub struct Search {
    reader: Reader,
    found: Found,
}

#[derive(Debug)]
struct Found {
    wanted: String,
    exact: bool,
    row: u64,
    most: usize,
    rows: Vec<u64>,
    count: u64,
}

impl Found {
    fn look(&mut self, row: &Row) {
        let text = row.text();
        let holds = if self.exact {
            text.contains(&self.wanted)
        } else {
            text.to_lowercase().contains(&self.wanted)
        };
        if holds {
            self.count += 1;
            if self.rows.len() < self.most {
                self.rows.push(self.row);
            }
        }
        self.row += 1;
    }
}

impl Sink for Found {
    fn row(&mut self, row: Option<Row>, _: usize, _: Style) {
        self.look(&row.unwrap_or_default());
    }
}

impl Search {
    /// For a text that is not empty; at most `most` rows are named, all are counted.
    #[must_use]
    pub fn new(wanted: &str, most: usize) -> Self {
        let exact = wanted.chars().any(char::is_uppercase);
        Self {
            reader: Reader::new(Style::default(), true),
            found: Found {
                wanted: wanted.to_owned(),
                exact,
                row: 0,
                most,
                rows: Vec::new(),
                count: 0,
            },
        }
    }

    /// Takes the next piece.
    pub fn feed(&mut self, piece: Piece<'_>) {
        if piece.lost > 0 {
            self.reader.close(&mut self.found);
            self.reader.lost(piece.lost, &mut self.found);
        }
        self.reader.feed(piece.data, &mut self.found);
    }

    /// The rows, from 0, and how many there are in all.
    #[must_use]
    pub fn finish(mut self) -> (Vec<u64>, u64) {
        if let Some(row) = self.reader.open() {
            self.found.look(&row);
        }
        (self.found.rows, self.found.count)
    }
}
