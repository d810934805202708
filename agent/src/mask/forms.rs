//! The forms in which a text commonly appears: what a program prints, what a template, a shell or an encoder makes of it.

use std::collections::BTreeSet;
use std::fmt::Write;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// The longest form. Together with what overlaps it, it must fit into what is masked at once.
pub(super) const FORM_BYTES: usize = 48 * 1024;

/// One form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    pub(super) bytes: Vec<u8>,
    /// Encoders break it into lines.
    pub(super) wraps: bool,
}

/// All forms of a text: as it is and backwards; base64 in both alphabets and every alignment, and hexadecimal, also in
/// lines; percent-encoded (each usual set of characters, and all); escaped for JSON (also twice, also in ASCII only), HTML,
/// SQL, C and shells.
pub(super) fn of(text: &str) -> BTreeSet<Form> {
    let mut forms = BTreeSet::new();
    let mut add = |bytes: Vec<u8>, wraps: bool| {
        if bytes.len() <= FORM_BYTES {
            forms.insert(Form { bytes, wraps });
        }
    };
    let bytes = text.as_bytes();
    add(bytes.to_vec(), false);
    add(text.chars().rev().collect::<String>().into_bytes(), false);
    for hex in [&HEXLOWER, &HEXUPPER] {
        add(hex.encode(bytes).into_bytes(), true);
    }
    for shift in 0..3 {
        let shifted = [&vec![0; shift], bytes].concat();
        // Characters that depend on what stands before or behind are left out.
        let (from, to) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
        for encoded in [BASE64.encode(&shifted), BASE64URL.encode(&shifted)] {
            add(encoded.as_bytes()[from..to].to_vec(), true);
        }
    }
    for escaped in percent(bytes)
        .into_iter()
        .chain(json(text))
        .chain(html(text))
        .chain(quoted(text))
    {
        add(escaped.into_bytes(), false);
    }
    forms
}

/// RFC 3986's unreserved characters, forms, `encodeURIComponent`, `encodeURI`, nothing.
fn percent(bytes: &[u8]) -> Vec<String> {
    let sets: [(&[u8], bool); 5] = [
        (b"-._~", false),
        (b"*-._", true),
        (b"-_.!~*'()", false),
        (b"-_.!~*'();/?:@&=+$,#", false),
        (b"/-._~", false),
    ];
    let mut forms = Vec::new();
    for upper in [true, false] {
        let hex = |out: &mut String, byte: u8| {
            // Writing to a String cannot fail.
            let _infallible = if upper {
                write!(out, "%{byte:02X}")
            } else {
                write!(out, "%{byte:02x}")
            };
        };
        for (plain, plus) in sets {
            let mut out = String::new();
            for byte in bytes {
                match byte {
                    b' ' if plus => out.push('+'),
                    byte if byte.is_ascii_alphanumeric() || plain.contains(byte) => {
                        out.push(char::from(*byte))
                    }
                    byte => hex(&mut out, *byte),
                }
            }
            forms.push(out);
        }
        let mut all = String::new();
        bytes.iter().for_each(|byte| hex(&mut all, *byte));
        forms.push(all);
    }
    forms
}

/// As serde, Python (ASCII only), Go (safe in HTML) and PHP (`\/`) write it; each also as a text within JSON.
fn json(text: &str) -> Vec<String> {
    let inner = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let plain = inner(text);
    let safe = |upper: bool| {
        plain.chars().fold(String::new(), |mut out, c| {
            match c {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => unicode(&mut out, c, upper),
                c => out.push(c),
            }
            out
        })
    };
    let ascii = |upper: bool| {
        plain.chars().fold(String::new(), |mut out, c| {
            if c.is_ascii() {
                out.push(c);
            } else {
                unicode(&mut out, c, upper);
            }
            out
        })
    };
    let mut forms = vec![
        plain.replace('/', "\\/"),
        safe(false),
        safe(true),
        ascii(false),
        ascii(true),
    ];
    forms.push(plain.clone());
    let twice: Vec<String> = forms.iter().map(|form| inner(form)).collect();
    forms.extend(twice);
    forms
}

/// `\u00e9`, in two parts beyond the basic plane.
fn unicode(out: &mut String, c: char, upper: bool) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _infallible = if upper {
            write!(out, "\\u{unit:04X}")
        } else {
            write!(out, "\\u{unit:04x}")
        };
    }
}

/// Every usual spelling of the five characters of HTML and XML.
fn html(text: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for double in ["\"", "&quot;", "&#34;", "&#x22;"] {
        for single in ["'", "&#39;", "&#x27;", "&#039;", "&apos;"] {
            let escaped = text
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', double)
                .replace('\'', single);
            forms.push(escaped);
        }
    }
    forms
}

/// Within the quotes of shells, SQL, C and Rust.
fn quoted(text: &str) -> Vec<String> {
    let behind_backslash = |which: &dyn Fn(char) -> bool| {
        text.chars().fold(String::new(), |mut out, c| {
            if which(c) {
                out.push('\\');
            }
            out.push(c);
            out
        })
    };
    let c_like = |single: bool| {
        text.chars().fold(String::new(), |mut out, c| {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\\' => out.push_str("\\\\"),
                '\'' if single => out.push_str("\\'"),
                '"' if !single => out.push_str("\\\""),
                c if c.is_ascii() => out.push(c),
                c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| {
                    let _infallible = write!(out, "\\x{byte:02x}");
                }),
            }
            out
        })
    };
    let debug = format!("{text:?}");
    vec![
        text.replace('\'', "'\\''"),
        text.replace('\'', "'\"'\"'"),
        text.replace('\'', "''"),
        behind_backslash(&|c| "$`\"\\".contains(c)),
        behind_backslash(&|c| "$`\"\\!".contains(c)),
        // As bash's `printf %q` does.
        behind_backslash(&|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_./-:=@%+".contains(c)),
        behind_backslash(&|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_./-:=@%+,".contains(c)),
        text.replace('\\', "\\\\").replace('\'', "\\'"),
        c_like(true),
        c_like(false),
        debug[1..debug.len() - 1].to_owned(),
    ]
}
