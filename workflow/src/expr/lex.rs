//! Tokens of an expression.

use super::{ast::Span, parse::SyntaxError};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Name(String),
    /// Without its sign.
    Int(u64),
    Float(f64),
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// Longest first.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "+", "-", "*", "/",
    "%", "<", ">", "!",
];

pub(crate) fn tokens(source: &str) -> Result<Vec<(Token, Span)>, SyntaxError> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let Some(first) = rest.chars().next() else { break };
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let raw = rest.len() > 1 && matches!(first, 'r' | 'R') && matches!(rest.as_bytes()[1], b'\'' | b'"');
        let (token, length) = if raw || matches!(first, '\'' | '"') {
            text(rest, raw).map_err(|message| SyntaxError::at(at, source.len(), message))?
        } else if first.is_ascii_digit() {
            number(rest).map_err(|message| SyntaxError::at(at, at + 1, message))?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            (Token::Name(rest[..end].to_owned()), end)
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (Token::Sign(sign), sign.len())
        } else {
            return Err(meaningless(rest, at, first));
        };
        let span = Span {
            start: at,
            end: at + length,
        };
        found.push((token, span));
        at += length;
    }
    let end = Span {
        start: source.len(),
        end: source.len(),
    };
    found.push((Token::End, end));
    Ok(found)
}

/// A character of other languages.
fn meaningless(rest: &str, at: usize, first: char) -> SyntaxError {
    let error = |length: usize| {
        let shown: String = rest.chars().take(length).collect();
        SyntaxError::at(
            at,
            at + shown.len(),
            format!("`{shown}` has no meaning in an expression"),
        )
    };
    match first {
        '=' => error(1).but("to compare write `==`", Some("==")),
        '&' => error(1).but("for and write `&&`", Some("&&")),
        '|' => error(1).but(
            "for or write `||`; functions are called `default(x, y)`, not by a pipe",
            None,
        ),
        '$' => error(1).but(
            "no expression reads the environment: name where the value comes from, `inputs.name`",
            None,
        ),
        '“' | '”' | '‘' | '’' => error(1).but("texts stand in straight quotes: 'text'", None),
        '~' => error(1).but(
            "regular expressions are not there; `contains`, `startsWith` and `endsWith` are",
            None,
        ),
        '#' => error(1).but("a comment cannot stand in an expression", None),
        ';' => error(1).but("an expression is one value", None),
        _ => error(1),
    }
}

fn number(rest: &str) -> Result<(Token, usize), String> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = digits(0);
    let mut float = false;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        float = true;
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            float = true;
            end += 1 + sign + exponent;
        }
    }
    if bytes
        .get(end)
        .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
    {
        return Err("a number is written in decimal digits: 42 or 0.5".to_owned());
    }
    let written = &rest[..end];
    if float {
        return match written.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok((Token::Float(value), end)),
            _ => Err(format!("{written} is no number that fits 64 bits")),
        };
    }
    written
        .parse()
        .map(|value| (Token::Int(value), end))
        .map_err(|_| format!("{written} does not fit 64 bits"))
}

fn text(rest: &str, raw: bool) -> Result<(Token, usize), String> {
    let mut chars = rest.char_indices().skip(usize::from(raw));
    let quote = chars.next().map(|(_, c)| c);
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if Some(c) == quote => return Ok((Token::Text(value), at + c.len_utf8())),
            '\\' if !raw => value.push(escape(&mut chars)?),
            '\n' | '\r' => return Err("a text must end on its line; write \\n for a line break".to_owned()),
            _ => value.push(c),
        }
    }
    Err("this text has no closing quote".to_owned())
}

fn escape(chars: &mut impl Iterator<Item = (usize, char)>) -> Result<char, String> {
    let mut next = || chars.next().map(|(_, c)| c);
    let Some(c) = next() else {
        return Err("this text has no closing quote".to_owned());
    };
    let width = match c {
        'a' => return Ok('\u{7}'),
        'b' => return Ok('\u{8}'),
        'f' => return Ok('\u{c}'),
        'n' => return Ok('\n'),
        'r' => return Ok('\r'),
        't' => return Ok('\t'),
        'v' => return Ok('\u{b}'),
        '\\' | '\'' | '"' | '?' | '`' => return Ok(c),
        'x' | 'X' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Err(format!("\\{c} is no escape; write \\\\ for a backslash")),
    };
    let mut code = 0_u32;
    for _ in 0..width {
        let digit = next().and_then(|c| c.to_digit(16));
        let Some(digit) = digit else {
            return Err(format!("\\{c} takes {width} hexadecimal digits"));
        };
        code = code.wrapping_mul(16).wrapping_add(digit);
    }
    char::from_u32(code).ok_or_else(|| format!("\\{c} names no character"))
}
