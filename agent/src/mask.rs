//! Secrets are replaced by `***` before a byte leaves the host.
//!
//! The result is a function of the bytes alone, not of how they come in pieces, and the masker holds no state: it says
//! how many bytes it is sure about, and the rest is shown to it again with what follows. So (bytes consumed, bytes
//! masked) is all that a restart needs.

use std::collections::BTreeSet;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use types::Secret;

/// What stands for a secret.
pub(crate) const MASK: &[u8] = b"***";
/// Shorter values are not masked: they would hit ordinary text.
pub(crate) const SECRET_MIN_BYTES: usize = 8;
/// Overlapping secrets are masked as one up to this length.
const REGION_BYTES: usize = 16 * 1024;
/// Pieces of a secret that was cut in two by a loss are masked from this length on.
const PIECE_BYTES: usize = 4;

/// Finds secrets in all forms in which they commonly appear: as they are, each long line of them, base64 in every
/// alignment and both alphabets, hexadecimal, percent-encoded, escaped for JSON.
pub(crate) struct Masker {
    patterns: Vec<Vec<u8>>,
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
                    patterns.extend(forms(part));
                }
            }
        }
        let patterns: Vec<Vec<u8>> = patterns
            .into_iter()
            .filter(|p| p.len() >= SECRET_MIN_BYTES)
            .collect();
        let mut heads = vec![Vec::new(); 256];
        for (n, pattern) in patterns.iter().enumerate() {
            heads[usize::from(pattern[0])].push(n);
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
        while at < end && end - from <= REGION_BYTES {
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
            if rest.starts_with(pattern) {
                match hit {
                    Hit::Found(length) if length >= pattern.len() => {}
                    _ => hit = Hit::Found(pattern.len()),
                }
            } else if !last && pattern.starts_with(rest) {
                return Hit::Perhaps;
            }
        }
        hit
    }

    /// How many bytes at the end of what came before a loss are the beginning of a secret.
    pub(crate) fn cut_before(&self, input: &[u8]) -> usize {
        let longest = |p: &Vec<u8>| {
            (PIECE_BYTES..p.len().min(input.len() + 1))
                .rev()
                .find(|n| input.ends_with(&p[..*n]))
                .unwrap_or(0)
        };
        self.patterns.iter().map(longest).max().unwrap_or(0)
    }

    /// How many bytes at the beginning of what came after a loss are the end of a secret.
    pub(crate) fn cut_after(&self, input: &[u8]) -> usize {
        let longest = |p: &Vec<u8>| {
            (PIECE_BYTES..p.len().min(input.len() + 1))
                .rev()
                .find(|n| input.starts_with(&p[p.len() - n..]))
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

fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut forms = vec![
        bytes.to_vec(),
        HEXLOWER.encode(bytes).into(),
        HEXUPPER.encode(bytes).into(),
    ];
    for shift in 0..3 {
        let shifted = [&vec![0; shift], bytes].concat();
        // Characters that depend on what stands before or behind are left out.
        let (from, to) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
        for encoded in [BASE64.encode(&shifted), BASE64URL.encode(&shifted)] {
            forms.push(encoded.as_bytes()[from..to].to_vec());
        }
    }
    if let Ok(json) = serde_json::to_string(secret) {
        forms.push(json.as_bytes()[1..json.len() - 1].to_vec());
    }
    for hex in [&HEXUPPER, &HEXLOWER] {
        let mut percent = Vec::new();
        for byte in bytes {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
                percent.push(*byte);
            } else {
                percent.push(b'%');
                percent.extend_from_slice(hex.encode(&[*byte]).as_bytes());
            }
        }
        forms.push(percent);
    }
    forms
}

#[cfg(test)]
mod tests;
