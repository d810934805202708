//! How a terminal's text looks: the part of SGR (ECMA-48, 8.3.117, and xterm's colours) that a page shows.

use super::palette;

/// How a character looks. Colours are indices of xterm's palette of 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    fg: Option<u8>,
    bg: Option<u8>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
    strike: bool,
    inverse: bool,
}

impl Style {
    /// Applies one SGR sequence's parameters, `1;38;5;208` for example. What is unknown changes nothing; concealed text
    /// stays visible on purpose.
    pub(super) fn apply(&mut self, params: &[u8]) {
        let text = std::str::from_utf8(params).unwrap_or_default();
        // `38:2::255:0:0` is one parameter with parts; `38;2;255;0;0` is five.
        let mut params = text.split(';');
        while let Some(param) = params.next() {
            let mut parts = param.split(':');
            let code = number(parts.next());
            match code {
                Some(38 | 48) => {
                    let inner: Vec<&str> = parts.collect();
                    let colour = if inner.is_empty() {
                        spread(&mut params)
                    } else {
                        packed(&inner)
                    };
                    match (code, colour) {
                        (_, None) => {}
                        (Some(38), colour) => self.fg = colour,
                        (_, colour) => self.bg = colour,
                    }
                }
                Some(4) => self.underline = number(parts.next()) != Some(0) || param == "4",
                Some(code) => self.one(code),
                None => {}
            }
        }
    }

    fn one(&mut self, code: u8) {
        match code {
            0 => *self = Self::default(),
            1 => self.bold = true,
            2 => self.dim = true,
            3 => self.italic = true,
            7 => self.inverse = true,
            9 => self.strike = true,
            21 => self.underline = true,
            22 => (self.bold, self.dim) = (false, false),
            23 => self.italic = false,
            24 => self.underline = false,
            27 => self.inverse = false,
            29 => self.strike = false,
            30..=37 => self.fg = Some(code - 30),
            39 => self.fg = None,
            40..=47 => self.bg = Some(code - 40),
            49 => self.bg = None,
            90..=97 => self.fg = Some(code - 90 + 8),
            100..=107 => self.bg = Some(code - 100 + 8),
            _ => {}
        }
    }

    /// Its classes in `log.css`, empty for plain text. A colour that could not be read on its background is left to the
    /// background's own.
    #[must_use]
    pub fn classes(&self) -> String {
        let (fg, bg) = if self.inverse {
            (self.bg, self.fg)
        } else {
            (self.fg, self.bg)
        };
        let mut classes: Vec<String> = Vec::new();
        match (fg, bg) {
            (Some(fg), None) => classes.push(format!("c{fg} fg")),
            (Some(fg), Some(bg)) if palette::legible(fg, bg) => classes.push(format!("c{fg} fx k{bg}")),
            (_, Some(bg)) => classes.push(format!("k{bg}")),
            (None, None) => {}
        }
        let inverse = self.inverse && self.fg.is_none() && self.bg.is_none();
        let flags = [
            (self.bold, "sb"),
            (self.dim, "sd"),
            (self.italic, "si"),
            (self.underline, "su"),
            (self.strike, "ss"),
            (inverse, "sv"),
        ];
        classes.extend(
            flags
                .iter()
                .filter(|(on, _)| *on)
                .map(|(_, class)| (*class).to_owned()),
        );
        classes.join(" ")
    }
}

/// An absent number is 0, as the standard has it.
fn number(text: Option<&str>) -> Option<u8> {
    match text {
        None => None,
        Some("") => Some(0),
        Some(text) => text.parse().ok(),
    }
}

/// `5;N` or `2;R;G;B` behind 38 or 48.
fn spread<'a>(params: &mut impl Iterator<Item = &'a str>) -> Option<u8> {
    match number(params.next())? {
        5 => number(params.next()),
        2 => {
            let mut channel = || number(params.next());
            let (r, g, b) = (channel(), channel(), channel());
            Some(palette::nearest(r?, g?, b?))
        }
        _ => None,
    }
}

/// `5:N`, `2:R:G:B` or `2:SPACE:R:G:B`.
fn packed(parts: &[&str]) -> Option<u8> {
    match (number(parts.first().copied())?, parts.len()) {
        (5, 2..) => number(Some(parts[1])),
        (2, len @ 4..) => {
            let rgb = if len == 4 { &parts[1..4] } else { &parts[2..5] };
            let channel = |n: usize| number(Some(rgb[n]));
            Some(palette::nearest(channel(0)?, channel(1)?, channel(2)?))
        }
        _ => None,
    }
}
