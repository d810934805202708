#![allow(clippy::unwrap_used, reason = "tests")]

use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use proptest::prelude::*;

use super::*;

fn masker(secrets: &[&str]) -> Masker {
    let secrets: Vec<Secret> = secrets.iter().map(|s| Secret::new((*s).to_owned())).collect();
    Masker::new(&secrets)
}

/// Feeds pieces as a tailer does: what was not consumed comes again with the next.
fn in_pieces(masker: &Masker, input: &[u8], cuts: &[usize]) -> Vec<u8> {
    let (mut out, mut consumed, mut seen) = (Vec::new(), 0, 0);
    for cut in cuts {
        seen = (seen + cut).min(input.len());
        consumed += masker.mask(&input[consumed..seen], false, &mut out);
    }
    consumed += masker.mask(&input[consumed..], true, &mut out);
    assert_eq!(consumed, input.len());
    out
}

#[test]
fn every_form_is_masked() {
    let secret = "xoxb-12\"34/5 6+\u{e9}";
    let masker = masker(&[secret]);
    let json = serde_json::to_string(secret).unwrap();
    let basic = BASE64.encode(format!("user:{secret}").as_bytes());
    let after_one = BASE64.encode(format!("u{secret}").as_bytes());
    for text in [
        secret,
        &json,
        &basic,
        &after_one,
        &HEXLOWER.encode(secret.as_bytes()),
    ] {
        let masked = masker.text(&format!("<{text}>"));
        assert!(
            masked.contains("***") && masked.starts_with('<') && masked.ends_with('>'),
            "{masked}"
        );
        assert!(!masked.contains("xoxb"), "{masked}");
    }
    assert_eq!(masker.text("xoxb-12%2234%2F5%206%2B%C3%A9"), "***");
    assert_eq!(masker.text("xoxb-12%2234%2f5%206%2b%c3%a9"), "***");
}

#[test]
fn lines_of_a_secret_are_masked_and_short_ones_are_not() {
    let masker = masker(&["-----BEGIN-----\nMIIEvQIBADAN\nshort\n", "tiny"]);
    assert_eq!(masker.text("a MIIEvQIBADAN short tiny"), "a *** short tiny");
}

#[test]
fn overlapping_secrets_leave_nothing() {
    let masker = masker(&["abcdefgh", "efghijkl"]);
    assert_eq!(masker.text("<abcdefghijkl>"), "<***>");
    let masker = self::masker(&["abcdefgh", "abcdefghijkl"]);
    assert_eq!(masker.text("abcdefghijkl abcdefghijk"), "*** ***ijk");
}

#[test]
fn pieces_at_a_loss_are_found() {
    let masker = masker(&["secret-value"]);
    assert_eq!(
        (masker.cut_before(b"xx secret-v"), masker.cut_before(b"xx sec")),
        (8, 0)
    );
    assert_eq!(
        (masker.cut_after(b"value yy"), masker.cut_after(b"ue yy")),
        (5, 0)
    );
}

proptest! {
    #[test]
    fn masking_does_not_depend_on_the_pieces(
        parts in proptest::collection::vec(prop_oneof![
            Just("abcabcab"), Just("abcabcabd"), Just("cabdddab"), Just("abc"), Just("a"), Just("ab"), Just("d"), Just("\n")
        ], 0..40),
        cuts in proptest::collection::vec(0_usize..7, 0..80),
    ) {
        let masker = masker(&["abcabcab", "abcabcabd", "cabdddab"]);
        let input = parts.concat();
        let whole = masker.text(&input);
        prop_assert!(!masker.finds(whole.as_bytes()));
        let pieces = in_pieces(&masker, input.as_bytes(), &cuts);
        prop_assert_eq!(String::from_utf8(pieces).unwrap(), whole);
    }

    #[test]
    fn no_secret_survives_and_all_else_does(before in "[x-z ]{0,50}", after in "[x-z ]{0,50}", cuts in proptest::collection::vec(1_usize..9, 0..40)) {
        let masker = masker(&["hunter2-and-more"]);
        let input = format!("{before}hunter2-and-more{after}");
        let pieces = in_pieces(&masker, input.as_bytes(), &cuts);
        prop_assert_eq!(String::from_utf8(pieces).unwrap(), format!("{before}***{after}"));
    }

    /// Whatever the secret is, however it is encoded and however it comes in pieces.
    #[test]
    fn no_encoded_form_survives_and_what_stands_around_it_does(
        secret in secret(),
        before in "[\u{1}-\u{3}]{0,40}",
        after in "[\u{1}-\u{3}]{0,40}",
        cuts in proptest::collection::vec(1_usize..23, 0..80),
    ) {
        let masker = masker(&[&secret]);
        for (how, encoded) in encodings(&secret) {
            let input = format!("{before}{encoded}{after}");
            let pieces = String::from_utf8(in_pieces(&masker, input.as_bytes(), &cuts)).unwrap();
            prop_assert!(!pieces.contains(&encoded), "{} {:?}: {:?}", how, secret, pieces);
            prop_assert!(!masker.finds(pieces.as_bytes()), "{} {:?}: {:?}", how, secret, pieces);
            let whole = format!("{before}***{after}");
            prop_assert_eq!(pieces, whole, "{} {:?}", how, secret);
        }
    }

    /// In base64 the characters at both ends depend on what stands before and behind: all between them are masked.
    #[test]
    fn within_base64_no_piece_of_the_secret_survives(
        secret in "[ -~]{12,60}",
        before in "[a-z:]{0,7}",
        after in "[a-z:]{0,7}",
        width in 16_usize..80,
        cuts in proptest::collection::vec(1_usize..23, 0..80),
    ) {
        let masker = masker(&[&secret]);
        let all = format!("{before}{secret}{after}");
        for encoded in [BASE64.encode(all.as_bytes()), BASE64URL_NOPAD.encode(all.as_bytes())] {
            let lines: Vec<&str> = encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
            for broken in [encoded.clone(), lines.join("\n"), lines.join("\r\n")] {
                let masked = String::from_utf8(in_pieces(&masker, broken.as_bytes(), &cuts)).unwrap();
                prop_assert!(masked.contains("***"), "{:?}: {:?}", broken, masked);
                // What is left of it, without its line breaks: at most the characters of what stood around it.
                let left = masked.replace("***", "").replace(['\r', '\n'], "").len();
                prop_assert!(left <= (before.len() + after.len()) * 4 / 3 + 7, "{:?}: {:?}", broken, masked);
            }
        }
    }

    /// A secret of several lines is masked line by line, too.
    #[test]
    fn each_long_line_of_a_secret_is_masked(
        lines in proptest::collection::vec("[ -~]{8,40}", 1..5),
        cuts in proptest::collection::vec(1_usize..23, 0..80),
    ) {
        let masker = masker(&[&lines.join("\n")]);
        for line in lines.iter().filter(|line| line.trim().len() >= SECRET_MIN_BYTES) {
            let input = format!("\u{1}{line}\u{2}");
            let pieces = String::from_utf8(in_pieces(&masker, input.as_bytes(), &cuts)).unwrap();
            prop_assert!(!pieces.contains(line.trim()), "{:?}: {:?}", line, pieces);
            let (first, last) = ('\u{1}', '\u{2}');
            prop_assert!(pieces.starts_with(first) && pieces.ends_with(last), "{:?}", pieces);
        }
    }

    /// Bytes that hold no secret go through as they are, whatever they are.
    #[test]
    fn what_holds_no_secret_is_unchanged(
        bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
        cuts in proptest::collection::vec(1_usize..97, 0..80),
    ) {
        let masker = masker(&["hunter2-and-more", "xoxb-1234567890-abcdefghij"]);
        prop_assert_eq!(in_pieces(&masker, &bytes, &cuts), bytes);
    }
}

/// Tokens, passwords with everything that encoders escape, and texts in other scripts.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9_-]{8,60}",
        "[ -~]{8,40}",
        "[a-z\"'<>&$`!\\\\/+%= ]{8,30}",
        "[a-z\u{e4}\u{f6}\u{df}\u{2603}\u{1f512}]{8,20}",
    ]
    // Spaces at its ends belong to it, but a line of a secret is known without them.
    .prop_filter("its ends are seen", |secret| secret.trim() == secret)
}

/// Encoders of the test's own, so that they do not agree with the masker by mistake.
fn encodings(secret: &str) -> Vec<(&'static str, String)> {
    let bytes = secret.as_bytes();
    let each = |plain: &str, hex: &dyn Fn(u8) -> String| -> String {
        let of = |byte: &u8| match char::from(*byte) {
            c if c.is_ascii_alphanumeric() || plain.contains(c) => c.to_string(),
            _ => hex(*byte),
        };
        bytes.iter().map(of).collect()
    };
    let ascii_json: String = secret
        .encode_utf16()
        .map(|unit| match u8::try_from(unit).map(char::from) {
            Ok('"') => "\\\"".to_owned(),
            Ok('\\') => "\\\\".to_owned(),
            Ok(c) if c.is_ascii() => c.to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect();
    let html: String = secret
        .chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&#34;".to_owned(),
            '\'' => "&#39;".to_owned(),
            c => c.to_string(),
        })
        .collect();
    vec![
        ("as it is", secret.to_owned()),
        ("backwards", secret.chars().rev().collect()),
        (
            "hexadecimal",
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ),
        (
            "HEXADECIMAL",
            bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
        ),
        ("percent", each("-._~", &|byte| format!("%{byte:02X}"))),
        ("percent, small", each("-._~", &|byte| format!("%{byte:02x}"))),
        (
            "a form's",
            each("*-._", &|byte| {
                if byte == b' ' {
                    "+".to_owned()
                } else {
                    format!("%{byte:02X}")
                }
            }),
        ),
        (
            "encodeURIComponent",
            each("-_.!~*'()", &|byte| format!("%{byte:02X}")),
        ),
        ("JSON", {
            let json = serde_json::to_string(secret).unwrap();
            json[1..json.len() - 1].to_owned()
        }),
        ("JSON in ASCII", ascii_json),
        ("HTML", html),
        ("within single quotes", secret.replace('\'', "'\\''")),
        ("within SQL", secret.replace('\'', "''")),
    ]
}

#[test]
fn what_encoders_break_into_lines_is_found() {
    let secret = "-----BEGIN KEY-----MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7-and-more-of-it";
    let masker = masker(&[secret]);
    for (encoded, width) in [
        (BASE64.encode(format!("user:{secret}\n").as_bytes()), 76),
        (HEXLOWER.encode(secret.as_bytes()), 60),
        (HEXUPPER.encode(secret.as_bytes()), 32),
        (BASE64URL.encode(secret.as_bytes()), 64),
    ] {
        let lines: Vec<&str> = encoded
            .as_bytes()
            .chunks(width)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let masked = masker.text(&lines.join("\n"));
        assert!(masked.contains("***") && masked.len() < 16, "{masked}");
    }
    // Line breaks alone make nothing a secret.
    let apart: Vec<String> = HEXLOWER
        .encode(secret.as_bytes())
        .chars()
        .map(|c| c.to_string())
        .collect();
    assert!(!masker.text(&apart.join("\n")).contains("***"));
}

#[test]
fn the_largest_secret_waits_for_no_more_than_is_shown_at_once() {
    let secret = "\u{1}\"<'".repeat(crate::SECRET_BYTES / 4);
    let masker = masker(&[&secret]);
    let html = secret
        .replace('<', "&lt;")
        .replace('"', "&quot;")
        .replace('\'', "&#x27;");
    for text in [secret.repeat(10), html.repeat(4)] {
        let mut out = Vec::new();
        let chunk = &text.as_bytes()[..limits::LOG_CHUNK_BYTES.min(text.len())];
        assert!(masker.mask(chunk, false, &mut out) > 0);
    }
}
