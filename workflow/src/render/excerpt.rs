//! The lines of a source that an excerpt shows: only those that are pointed at, long ones cut around the place, and
//! nothing in them that a terminal obeys. Places are carried along.

use std::ops::Range;

use super::show::{self, visible_char};

/// A line of more bytes is cut.
const LINE: usize = 1_000;
/// What is kept of a cut line, in bytes around the first place in it.
const BEFORE: usize = 200;
const AFTER: usize = 400;
/// A range over more lines is pointed at by its first line.
const TALL: usize = 8;
/// A range within a line is pointed at by so many of its characters.
const LONG: usize = 100;
/// Places that are further apart, in lines, get excerpts of their own.
const APART: usize = 100;

/// A part of the source as it is shown.
pub(super) struct Excerpt {
    pub(super) text: String,
    /// From 1.
    pub(super) first_line: usize,
    /// Where the source's bytes went: pieces that begin together, in order.
    pieces: Vec<Piece>,
    /// The places that it was made for, by their order.
    pub(super) holds: Vec<usize>,
    /// Whether a line lost its left part, so that columns are others.
    pub(super) shifted: bool,
}

struct Piece {
    from: Range<usize>,
    to: usize,
}

/// The lines of a source by where they start.
pub(super) struct Lines<'a> {
    pub(super) text: &'a str,
    pub(super) starts: &'a [usize],
}

impl Lines<'_> {
    fn of(&self, at: usize) -> usize {
        self.starts
            .partition_point(|start| *start <= at)
            .saturating_sub(1)
    }

    /// Without its line break.
    fn range(&self, line: usize) -> Range<usize> {
        let start = self.starts[line];
        let next = self.starts.get(line + 1).copied();
        let end = next.map_or(self.text.len(), |next| next - 1);
        let text = &self.text[start..end];
        start..end - usize::from(text.ends_with('\r'))
    }

    /// A range over many lines becomes its first one, a long one its beginning.
    pub(super) fn pointed(&self, range: &Range<usize>) -> Range<usize> {
        let start = range.start.min(self.text.len());
        let end = range.end.clamp(start, self.text.len());
        let (first, last) = (self.of(start), self.of(end));
        if first < last && last - first < TALL {
            return start..end;
        }
        let end = end.min(self.range(first).end).max(start);
        let long = self.text[start..end].char_indices().nth(LONG);
        start..long.map_or(end, |(offset, _)| start + offset)
    }
}

/// Excerpts that hold the places, by their order; the first place comes first.
pub(super) fn excerpts(lines: &Lines<'_>, places: &[Range<usize>]) -> Vec<Excerpt> {
    let spread = |place: &Range<usize>| lines.of(place.start)..lines.of(place.end) + 1;
    let mut groups: Vec<(Range<usize>, Vec<usize>)> = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let here = spread(place);
        let near = |group: &&mut (Range<usize>, Vec<usize>)| {
            here.start <= group.0.end + APART && group.0.start <= here.end + APART
        };
        match groups.iter_mut().find(near) {
            Some((range, holds)) => {
                *range = range.start.min(here.start)..range.end.max(here.end);
                holds.push(index);
            }
            None => groups.push((here, vec![index])),
        }
    }
    groups
        .into_iter()
        .map(|(range, holds)| excerpt(lines, range, places, holds))
        .collect()
}

fn excerpt(lines: &Lines<'_>, range: Range<usize>, places: &[Range<usize>], holds: Vec<usize>) -> Excerpt {
    let mut shown = Excerpt {
        text: String::new(),
        first_line: range.start + 1,
        pieces: Vec::new(),
        holds,
        shifted: false,
    };
    for line in range {
        let whole = lines.range(line);
        let ends = shown
            .holds
            .iter()
            .flat_map(|place| [places[*place].start, places[*place].end]);
        let at = ends.filter(|at| (whole.start..=whole.end).contains(at)).min();
        let kept = cut(lines.text, &whole, at);
        if kept.start > whole.start {
            shown.shifted = true;
            shown.text.push('…');
        }
        shown.copy(lines.text, kept.clone());
        if kept.end < whole.end {
            shown.text.push('…');
        }
        shown.text.push('\n');
    }
    shown
}

/// What is kept of a line.
fn cut(text: &str, whole: &Range<usize>, at: Option<usize>) -> Range<usize> {
    if whole.len() <= LINE {
        return whole.clone();
    }
    let at = at.unwrap_or(whole.start);
    let start = at.saturating_sub(BEFORE).max(whole.start);
    let end = (at + AFTER).min(whole.end);
    text.ceil_char_boundary(start)..text.floor_char_boundary(end)
}

impl Excerpt {
    fn copy(&mut self, text: &str, range: Range<usize>) {
        let mut from = range.start;
        self.pieces.push(Piece {
            from: from..range.end,
            to: self.text.len(),
        });
        for (offset, c) in text[range.clone()].char_indices() {
            let at = range.start + offset;
            let shown = visible_char(c);
            if shown == c || c == '\t' {
                continue;
            }
            let next = at + c.len_utf8();
            self.text.push_str(&text[from..at]);
            self.pieces.push(Piece {
                from: at..next,
                to: self.text.len(),
            });
            self.text.push(shown);
            self.pieces.push(Piece {
                from: next..range.end,
                to: self.text.len(),
            });
            from = next;
        }
        self.text.push_str(&text[from..range.end]);
    }

    /// Where a byte of the source is in the excerpt; the nearest shown one when it was cut off.
    fn place(&self, at: usize) -> usize {
        let index = self.pieces.partition_point(|piece| piece.from.start <= at);
        let Some(piece) = index.checked_sub(1).and_then(|index| self.pieces.get(index)) else {
            return self.pieces.first().map_or(0, |piece| piece.to);
        };
        piece.to + at.min(piece.from.end) - piece.from.start
    }

    pub(super) fn range(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.place(range.start);
        start..self.place(range.end).max(start)
    }

    /// Whether all of a range is shown as it is, so that it can be shown with something else in its place.
    pub(super) fn is_whole(&self, source: &str, range: &Range<usize>) -> bool {
        let shown = self.text.get(self.range(range));
        let index = self
            .pieces
            .partition_point(|piece| piece.from.start <= range.start);
        let within = index
            .checked_sub(1)
            .is_some_and(|index| range.start <= self.pieces[index].from.end);
        within && shown == source.get(range.clone()).map(show::visible).as_deref()
    }
}
