#![allow(clippy::unwrap_used, reason = "tests")]

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
}
