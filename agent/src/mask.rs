//! Secrets are replaced by `***` before a byte leaves the host.
//!
//! The result is a function of the bytes alone, not of how they come in pieces, and the masker holds no state: it says
//! how many bytes it is sure about, and the rest is shown to it again with what follows. So (bytes consumed, bytes
//! masked) is all that a restart needs.

mod forms;

use std::collections::BTreeSet;

use types::{Secret, limits};

use forms::{FORM_BYTES, Form};

/// What stands for a secret.
pub(crate) const MASK: &[u8] = b"***";
/// Shorter values are not masked: they would hit ordinary text.
pub(crate) const SECRET_MIN_BYTES: usize = 8;
/// Overlapping secrets are masked as one up to this length.
const REGION_BYTES: usize = 8 * 1024;
/// Pieces of a secret that was cut in two by a loss are masked from this length on.
const PIECE_BYTES: usize = 4;
/// The shortest lines into which encoders break what they print (`base64` 76, `xxd -p` 60).
const LINE_BYTES: usize = 16;

// What may become a secret fits into what is masked at once: it never waits for bytes that cannot be shown to it.
const _: () =
    assert!(REGION_BYTES + FORM_BYTES + 2 * (FORM_BYTES / LINE_BYTES + 1) < limits::LOG_CHUNK_BYTES);

/// Finds secrets in all forms in which they commonly appear ([`forms::of`]), whole and each long line of them. What it
/// cannot find: other encodings, encryption, compression, a secret in parts of the step's own making.
pub(crate) struct Masker {
    patterns: Vec<Form>,
    heads: Vec<Vec<usize>>,
}

enum Hit {
    None,
    Found(usize),
    /// It may become one with more bytes.
    Perhaps,
}

impl Masker {
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut patterns = BTreeSet::new();
        for secret in secrets {
            let text = secret.expose();
            for part in std::iter::once(text).chain(text.lines().map(str::trim)) {
                if part.len() >= SECRET_MIN_BYTES {
                    patterns.extend(forms::of(part));
                }
            }
        }
        let patterns: Vec<Form> = patterns
            .into_iter()
            .filter(|form| form.bytes.len() >= SECRET_MIN_BYTES)
            .collect();
        let mut heads = vec![Vec::new(); 256];
        for (n, pattern) in patterns.iter().enumerate() {
            heads[usize::from(pattern.bytes[0])].push(n);
        }
        Self { patterns, heads }
    }

    /// Masks what is certain and returns how many bytes of the input that was. With `last` nothing follows, and all of
    /// it is.
    pub(crate) fn mask(&self, input: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
        if self.patterns.is_empty() {
            out.extend_from_slice(input);
            return input.len();
        }
        let mut plain = 0;
        let mut at = 0;
        while at < input.len() {
            match self.region(input, at, last) {
                Hit::None => at += 1,
                Hit::Found(end) => {
                    out.extend_from_slice(&input[plain..at]);
                    out.extend_from_slice(MASK);
                    at = end;
                    plain = end;
                }
                Hit::Perhaps => break,
            }
        }
        out.extend_from_slice(&input[plain..at]);
        at
    }

    /// The end of the secrets that begin here and overlap.
    fn region(&self, input: &[u8], from: usize, last: bool) -> Hit {
        let mut end = match self.at(input, from, last) {
            Hit::Found(length) => from + length,
            other => return other,
        };
        let mut at = from + 1;
        while at < end && at - from <= REGION_BYTES {
            match self.at(input, at, last) {
                Hit::Found(length) => end = end.max(at + length),
                Hit::Perhaps => return Hit::Perhaps,
                Hit::None => {}
            }
            at += 1;
        }
        Hit::Found(end)
    }

    /// The longest secret that begins here.
    fn at(&self, input: &[u8], at: usize, last: bool) -> Hit {
        let rest = &input[at..];
        let mut hit = Hit::None;
        for pattern in self.heads[usize::from(rest[0])]
            .iter()
            .map(|n| &self.patterns[*n])
        {
            match begins(pattern, rest) {
                Hit::Found(length) => match hit {
                    Hit::Found(longest) if longest >= length => {}
                    _ => hit = Hit::Found(length),
                },
                Hit::Perhaps if !last => return Hit::Perhaps,
                Hit::Perhaps | Hit::None => {}
            }
        }
        hit
    }

    /// How many bytes at the end of what came before a loss are the beginning of a secret.
    pub(crate) fn cut_before(&self, input: &[u8]) -> usize {
        let longest = |p: &Form| {
            (PIECE_BYTES..p.bytes.len().min(input.len() + 1))
                .rev()
                .find(|n| input.ends_with(&p.bytes[..*n]))
                .unwrap_or(0)
        };
        self.patterns.iter().map(longest).max().unwrap_or(0)
    }

    /// How many bytes at the beginning of what came after a loss are the end of a secret.
    pub(crate) fn cut_after(&self, input: &[u8]) -> usize {
        let longest = |p: &Form| {
            (PIECE_BYTES..p.bytes.len().min(input.len() + 1))
                .rev()
                .find(|n| input.starts_with(&p.bytes[p.bytes.len() - n..]))
                .unwrap_or(0)
        };
        self.patterns.iter().map(longest).max().unwrap_or(0)
    }

    /// A whole text, masked.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut out = Vec::with_capacity(text.len());
        self.mask(text.as_bytes(), true, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Whether a secret is in it.
    pub(crate) fn finds(&self, bytes: &[u8]) -> bool {
        (0..bytes.len()).any(|at| matches!(self.at(bytes, at, true), Hit::Found(_)))
    }
}

/// Whether a form begins a text; one that wraps may have line breaks in it.
fn begins(form: &Form, text: &[u8]) -> Hit {
    let pattern = &form.bytes;
    if !form.wraps {
        return match () {
            () if text.starts_with(pattern) => Hit::Found(pattern.len()),
            () if pattern.starts_with(text) => Hit::Perhaps,
            () => Hit::None,
        };
    }
    let mut breaks = pattern.len() / LINE_BYTES + 1;
    let (mut p, mut t) = (0, 0);
    while p < pattern.len() {
        match text.get(t) {
            None => return Hit::Perhaps,
            Some(byte) if *byte == pattern[p] => {
                p += 1;
                t += 1;
            }
            Some(b'\n') if p > 0 && breaks > 0 => {
                breaks -= 1;
                t += 1;
            }
            Some(b'\r') if p > 0 && matches!(text.get(t + 1), None | Some(b'\n')) => t += 1,
            Some(_) => return Hit::None,
        }
    }
    Hit::Found(t)
}

#[cfg(test)]
mod tests;
