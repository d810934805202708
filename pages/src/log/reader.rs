//! A log's bytes as rows. Colours and overwriting are followed, every other escape sequence is dropped, invalid UTF-8
//! becomes U+FFFD. The bytes are an outsider's: nothing of them reaches a page but text and colours from a fixed list.

use super::{
    Row, Style,
    line::{CELLS, Line},
};

/// Bytes of one escape sequence's parameters; a longer one is dropped whole.
const PARAMS: usize = 128;

/// Within an escape sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After ESC.
    Escape,
    /// After ESC and intermediate bytes.
    Intermediate,
    /// After ESC [.
    Csi,
    /// In a string (OSC, DCS, …) that ST or BEL ends.
    String,
    /// The same after ESC.
    StringEscape,
}

/// What a reader finds.
pub(super) trait Sink {
    /// A row ended; `used` bytes of what was fed are behind it and `style` holds for the next. An index asks for no row.
    fn row(&mut self, row: Option<Row>, used: usize, style: Style);
}

/// Reads a log from the beginning of a line on.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    line: Line,
    style: Style,
    state: State,
    params: Vec<u8>,
    utf8: Vec<u8>,
    /// Whether the line has begun.
    begun: bool,
    /// Whether rows are wanted, or only where they end.
    shows: bool,
}

impl Reader {
    pub(super) fn new(style: Style, shows: bool) -> Self {
        Self {
            line: Line::default(),
            style,
            state: State::Text,
            params: Vec::new(),
            utf8: Vec::new(),
            begun: false,
            shows,
        }
    }

    /// Whether a line has begun that no newline has ended.
    pub(super) const fn begun(&self) -> bool {
        self.begun
    }

    /// The line that has begun, as it is now.
    pub(super) fn open(&self) -> Option<Row> {
        self.begun.then(|| self.line.row())
    }

    pub(super) fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let mut at = 0;
        while at < bytes.len() {
            if !self.shows && self.state == State::Text {
                // Only ends of lines and escape sequences matter.
                let next = bytes[at..].iter().position(|b| matches!(b, b'\n' | 0x1b));
                let skip = next.unwrap_or(bytes.len() - at);
                self.begun |= skip > 0;
                at += skip;
                if next.is_none() {
                    return;
                }
            }
            let byte = bytes[at];
            at += 1;
            if byte == b'\n' {
                self.end(at, sink);
            } else {
                self.begun = true;
                self.byte(byte);
            }
        }
    }

    /// Ends the line that has begun, if one has.
    pub(super) fn close(&mut self, sink: &mut impl Sink) {
        if self.begun {
            self.end(0, sink);
        }
    }

    /// Bytes are missing at the beginning of a line: a row says how many.
    pub(super) fn lost(&mut self, lost: u64, sink: &mut impl Sink) {
        let row = self.shows.then(|| Row {
            lost,
            ..Row::default()
        });
        sink.row(row, 0, self.style);
    }

    fn end(&mut self, used: usize, sink: &mut impl Sink) {
        self.flush_utf8();
        let row = self.shows.then(|| self.line.row());
        self.line.clear();
        self.begun = false;
        // A sequence that is not ended by now must not swallow the rest of the log.
        self.state = State::Text;
        sink.row(row, used, self.style);
    }

    fn byte(&mut self, byte: u8) {
        match (self.state, byte) {
            (_, 0x18 | 0x1a) => self.state = State::Text,
            (State::Text, _) => self.text(byte),
            (State::String, 0x07) | (State::StringEscape, b'\\') => self.state = State::Text,
            (State::String, 0x1b) => self.state = State::StringEscape,
            (State::String, _) => {}
            (_, 0x1b) => self.state = State::Escape,
            (State::StringEscape, _) => {
                // ESC ends a string; this byte goes with it.
                self.state = State::Escape;
                self.byte(byte);
            }
            (State::Escape, b'[') => {
                self.params.clear();
                self.state = State::Csi;
            }
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => self.state = State::String,
            (State::Escape | State::Intermediate, 0x20..=0x2f) => self.state = State::Intermediate,
            (State::Escape | State::Intermediate, _) => self.state = State::Text,
            (State::Csi, 0x40..=0x7e) => {
                self.state = State::Text;
                self.csi(byte);
            }
            (State::Csi, 0x20..=0x3f) => {
                if self.params.len() <= PARAMS {
                    self.params.push(byte);
                }
            }
            (State::Csi, b'\r') => self.line.go(0),
            (State::Csi, _) => {}
        }
    }

    fn text(&mut self, byte: u8) {
        if byte < 0x80 {
            self.flush_utf8();
        }
        match byte {
            0x1b => self.state = State::Escape,
            b'\r' => self.line.go(0),
            0x08 => self.line.go(self.line.column().saturating_sub(1)),
            0x07 => {}
            b'\t' => self.put('\t'),
            0..=0x1f => self.put(char::from_u32(0x2400 + u32::from(byte)).unwrap_or('\u{fffd}')),
            0x7f => self.put('\u{2421}'),
            0x20..=0x7e => self.put(char::from(byte)),
            0x80.. => self.multibyte(byte),
        }
    }

    fn put(&mut self, c: char) {
        if self.shows {
            self.line.put(c, self.style);
        }
    }

    fn multibyte(&mut self, byte: u8) {
        self.utf8.push(byte);
        while !self.utf8.is_empty() {
            match std::str::from_utf8(&self.utf8) {
                Ok(text) => {
                    for c in text.chars().map(harmless).collect::<Vec<_>>() {
                        self.put(c);
                    }
                    self.utf8.clear();
                }
                Err(error) => match error.error_len() {
                    None => return,
                    Some(wrong) => {
                        self.put('\u{fffd}');
                        self.utf8.drain(..wrong);
                    }
                },
            }
        }
    }

    fn flush_utf8(&mut self) {
        if !self.utf8.is_empty() {
            self.utf8.clear();
            self.put('\u{fffd}');
        }
    }

    fn csi(&mut self, end: u8) {
        if self.params.len() > PARAMS {
            return;
        }
        let params = std::mem::take(&mut self.params);
        let plain = params.iter().all(|b| matches!(b, b'0'..=b'9' | b';' | b':'));
        let first: usize = std::str::from_utf8(&params)
            .ok()
            .and_then(|text| text.split(';').next()?.parse().ok())
            .unwrap_or(0);
        let column = self.line.column();
        match end {
            _ if !plain => {}
            b'm' => self.style.apply(&params),
            b'K' => self.line.erase(first),
            b'C' => self.line.go(column.saturating_add(first.max(1)).min(CELLS)),
            b'D' => self.line.go(column.saturating_sub(first.max(1))),
            b'G' => self.line.go(first.max(1) - 1),
            _ => {}
        }
        self.params = params;
    }
}

/// Characters that would hide, or change how the text around them is read, are shown as U+FFFD.
const fn harmless(c: char) -> char {
    if types::text::is_unsafe(c) { '\u{fffd}' } else { c }
}
