//! Values in a query of PromQL or LogQL, as prepared statements have them: the author writes `{app="$app"}` and hands
//! `app` over beside it. A value stands in a quoted text behind a matcher or a filter and nowhere else; it is escaped
//! for that text, behind `=~` for the expression in it too. Nothing in a value ends the text that it stands in.

use std::collections::{BTreeMap, BTreeSet};

/// Characters of one value.
const VALUE: usize = 1_000;
/// Characters of a query.
const QUERY: usize = 10_000;

/// Stages of a LogQL pipeline whose `=` is no matcher: what stands behind it is a template or an expression.
/// <https://grafana.com/docs/loki/latest/query/log_queries/>
const EVALUATED: [&str; 3] = ["label_format", "json", "logfmt"];

/// What a text stands behind.
#[derive(Clone, Copy, PartialEq)]
enum Behind {
    /// `=`, `!=`, `|=`: the text itself.
    Equals,
    /// `=~`, `!~`, `|~`: a regular expression.
    Matches,
    /// Anything else.
    Other,
}

impl Behind {
    fn of(before: &str, stage: &str) -> Self {
        let before = before.trim_end();
        let word = stage
            .trim_start()
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .next();
        if word.is_some_and(|word| EVALUATED.contains(&word)) {
            Self::Other
        } else if ["=~", "!~", "|~"].iter().any(|sign| before.ends_with(sign)) {
            Self::Matches
        } else if before.ends_with('=') {
            Self::Equals
        } else {
            Self::Other
        }
    }
}

/// The query with its values.
///
/// # Errors
/// A name without a value or a value without its name, a value in another place, a text that does not end; in words.
pub(crate) fn fill(query: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    if query.chars().count() > QUERY {
        return Err(format!("it is longer than {QUERY} characters"));
    }
    if values.is_empty() {
        return Ok(query.to_owned());
    }
    for (name, value) in values {
        if !is_name(name) {
            return Err(format!(
                "{name:?} is no name: a small letter, then small letters, digits and `_`"
            ));
        }
        if value.chars().count() > VALUE {
            return Err(format!("the value of ${name} is longer than {VALUE} characters"));
        }
    }
    let mut used = BTreeSet::new();
    let mut out = String::with_capacity(query.len());
    let mut rest = query;
    // What stands unquoted behind the last `|`.
    let mut stage = String::new();
    while let Some(at) = rest.find(['"', '\'', '`', '#', '$']) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        match plain.rsplit_once('|') {
            Some((_, after)) => after.clone_into(&mut stage),
            None => stage.push_str(plain),
        }
        let mark = tail.chars().next().unwrap_or_default();
        let end = match mark {
            '#' => tail.find('\n').unwrap_or(tail.len()),
            '$' => return Err("a `$` stands outside of a quoted text".to_owned()),
            quote => text_end(tail, quote).ok_or("a quoted text does not end")?,
        };
        let (text, after) = tail.split_at(end);
        if mark == '"' {
            let behind = Behind::of(&out, &stage);
            out.push_str(&filled(text, values, behind, &mut used)?);
        } else if mark != '#' && names(text).next().is_some() {
            return Err(format!("a value stands between {mark}{mark}; it takes \"\""));
        } else {
            out.push_str(text);
        }
        rest = after;
    }
    out.push_str(rest);
    match values.keys().find(|name| !used.contains(*name)) {
        Some(name) => Err(format!("${name} stands nowhere in it")),
        None => Ok(out),
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 60
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The length of a quoted text, both quotes included.
fn text_end(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != '`' {
            escaped = true;
        } else if c == quote {
            return Some(at + c.len_utf8());
        }
    }
    None
}

/// The names in a text, with their places: `$name`. `$1` and a `$` at the end belong to expressions.
fn names(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices('$').filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let end = rest
            .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
            .unwrap_or(rest.len());
        is_name(&rest[..end]).then_some((at, &rest[..end]))
    })
}

fn filled<'v>(
    text: &str,
    values: &'v BTreeMap<String, String>,
    behind: Behind,
    used: &mut BTreeSet<&'v String>,
) -> Result<String, String> {
    let mut out = String::new();
    let mut from = 0;
    for (at, name) in names(text) {
        let (known, value) = values
            .get_key_value(name)
            .ok_or_else(|| format!("${name} has no value: give it in `values`"))?;
        if behind == Behind::Other {
            return Err(format!(
                "${name} stands in a text that is behind no matcher (=, !=, =~, !~, |=, |~)"
            ));
        }
        used.insert(known);
        out.push_str(&text[from..at]);
        escape(value, behind, &mut out);
        from = at + 1 + name.len();
    }
    out.push_str(&text[from..]);
    Ok(out)
}

/// Of Go's quoted texts, which both languages have; of RE2 before, as Go's `QuoteMeta` has it.
fn escape(value: &str, behind: Behind, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' if behind == Behind::Matches => out.push_str("\\\\\\\\"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if behind == Behind::Matches && ".+*?()|[]{}^$".contains(c) => {
                out.push_str("\\\\");
                out.push(c);
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn of(query: &str, values: &[(&str, &str)]) -> Result<String, String> {
        let values = values
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        fill(query, &values)
    }

    #[test]
    fn a_value_stays_within_its_text() {
        assert_eq!(
            of(
                r#"rate(x{app="$app",env=~"(dev|$env)"}[5m])"#,
                &[("app", r#"a"} or up{x=""#), ("env", "p.*\n\\")]
            )
            .unwrap(),
            r#"rate(x{app="a\"} or up{x=\"",env=~"(dev|p\\.\\*\n\\\\)"}[5m])"#
        );
        assert_eq!(
            of(
                r#"{app="api"} |= "$text" # "$text" '$text'"#,
                &[("text", "\u{1b}[31m $5 `x`")]
            )
            .unwrap(),
            r#"{app="api"} |= "\u001b[31m $5 `x`" # "$text" '$text'"#
        );
        assert!(
            of(
                r#"{a="b"} | json x="y" |= "$text" | x="$text" | drop z="$text""#,
                &[("text", "{{ __line__ }} | json")]
            )
            .is_ok()
        );
        // Without values a query is the author's alone, `$` and all.
        assert_eq!(
            of(r#"label_replace(x, "a", "$1", "b", "(.*)$")"#, &[]).unwrap(),
            r#"label_replace(x, "a", "$1", "b", "(.*)$")"#
        );
        assert!(
            of(
                r#"label_replace(x{a="$a"}, "a", "$1", "b", "(.*)$")"#,
                &[("a", "v")]
            )
            .is_ok()
        );
    }

    #[test]
    fn a_value_elsewhere_is_an_error() {
        for (query, why) in [
            ("up{app=$app}", "outside"),
            ("$app", "outside"),
            ("up{app='$app'}", "''"),
            ("up{app=`$app`}", "``"),
            (
                r#"label_replace(x{a="$app"}, "a", "$1", "b", "$app")"#,
                "behind no matcher",
            ),
            (r#"{a="b"} | label_format x="$app""#, "behind no matcher"),
            (r#"{a="b|c"} | json x="$app""#, "behind no matcher"),
            (r#"{a="b"} |= "x" | logfmt x="$app", y="z""#, "behind no matcher"),
            (r#"up{app="$app",b="$other"}"#, "$other has no value"),
            (r#"up{app="x"}"#, "stands nowhere"),
            (r#"up{app="$app"#, "does not end"),
            (r#"up{app="$app\""#, "does not end"),
        ] {
            let error = of(query, &[("app", "x")]).unwrap_err();
            assert!(error.contains(why), "{query}: {error}");
        }
        assert!(of("x", &[("A", "x")]).unwrap_err().contains("is no name"));
        assert!(
            of(r#"{a="$a"}"#, &[("a", &"x".repeat(1_001))])
                .unwrap_err()
                .contains("longer")
        );
    }

    proptest! {
        #[test]
        fn any_value_comes_back_as_it_went_in(value in any::<String>().prop_filter("short", |v| v.chars().count() <= 1_000)) {
            let filled = of(r#"{a="$a",b="x"} |= "y""#, &[("a", &value)]).unwrap();
            let end = text_end(&filled[3..], '"').unwrap();
            prop_assert_eq!(&filled[3 + end..], r#",b="x"} |= "y""#);
            // JSON's escapes are those that are used, but for the control characters behind DEL, which it takes too.
            let back: String = serde_json::from_str(&filled[3..3 + end]).unwrap();
            prop_assert_eq!(back, value);
        }

        #[test]
        fn no_query_makes_it_fail_otherwise_than_in_words(query in "[\"'`#$a-z={}\\\\ ]{0,40}", value in "\\PC{0,10}") {
            let _result = of(&query, &[("a", &value)]);
        }
    }
}
