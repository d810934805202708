//! Untrusted text on its way into Slack. Rules: <https://docs.slack.dev/messaging/formatting-message-text>.

/// Escapes text for `mrkdwn` and for `text`: no mention, no link, no entity of its own is left in it. Layout
/// marks (`*`, `_`) stay: untrusted text of any length goes into `plain_text` objects, where they are inert.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

/// Without control characters (line break and tab stay) and without what turns the direction of writing.
pub(crate) fn clean(text: &str) -> String {
    let kept = |c: &char| {
        let direction =
            matches!(*c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        !direction && (!c.is_control() || matches!(c, '\n' | '\t')) && *c != '\u{feff}'
    };
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(kept)
        .collect()
}

/// Cleaned and in one line.
pub(crate) fn line(text: &str) -> String {
    let flat: String = clean(text)
        .chars()
        .map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c })
        .collect();
    flat.trim().to_owned()
}

/// At most this many characters; `…` stands for the rest.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    if limit == 0 {
        return String::new();
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

/// Cut first, then escaped, and cut again until the escaped form fits as well.
pub(crate) fn escape_within(text: &str, limit: usize) -> String {
    let mut keep = limit;
    loop {
        let escaped = escape(&cut(text, keep));
        let length = escaped.chars().count();
        if length <= limit || keep == 0 {
            return escaped;
        }
        keep = keep.saturating_sub((length - limit).div_ceil(6).max(1));
    }
}

/// A link whose label names its host, so that no label can lie about it; none unless http or https.
pub(crate) fn link(title: &str, url: &str) -> Option<String> {
    let parsed = reqwest::Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = parsed.host_str()?.to_owned();
    let target: String = parsed
        .as_str()
        .chars()
        .map(|c| match c {
            '|' => "%7C".to_owned(),
            '<' => "%3C".to_owned(),
            '>' => "%3E".to_owned(),
            ' ' => "%20".to_owned(),
            '&' => "&amp;".to_owned(),
            c => c.to_string(),
        })
        .collect();
    if target.chars().count() > 2_000 {
        return None;
    }
    let title = escape_within(&line(title), 120).replace('|', "¦");
    Some(format!("<{target}|{title} ({})>", escape(&host)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mentions_and_links_are_dead() {
        for text in [
            "<!channel>",
            "<!here|x>",
            "<@U123>",
            "<!subteam^S1>",
            "<https://evil|Runbook>",
            "<#C1>",
            "&lt;!here&gt;",
        ] {
            let escaped = escape(text);
            assert!(!escaped.contains('<') && !escaped.contains('>'), "{escaped}");
        }
        assert_eq!(escape("a & b"), "a &amp; b");
        assert_eq!(clean("\u{1b}[31mred\0\u{202e}x\u{2066}\r\ny"), "[31mredx\ny");
        assert_eq!(line(" a\nb\tc "), "a b c");
    }

    #[test]
    fn links_show_their_host_and_only_web_links_pass() {
        assert_eq!(
            link("Dashboard", "https://a.example/x?a=1&b=2").as_deref(),
            Some("<https://a.example/x?a=1&amp;b=2|Dashboard (a.example)>")
        );
        assert_eq!(
            link("x|<!here>", "http://h/a|b>c"),
            Some("<http://h/a%7Cb%3Ec|x¦&lt;!here&gt; (h)>".to_owned())
        );
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "slack://x",
            "nothing",
            "",
        ] {
            assert_eq!(link("x", bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_notifies(text in any::<String>(), limit in 0usize..200) {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>']));
            // What is left of & are the three entities.
            let rest = escaped.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            prop_assert!(!rest.contains('&'));
            let within = escape_within(&text, limit);
            prop_assert!(within.chars().count() <= limit);
            prop_assert!(!within.contains(['<', '>']));
        }

        #[test]
        fn no_link_breaks_out(title in any::<String>(), tail in any::<String>()) {
            if let Some(link) = link(&title, &format!("https://h.example/{tail}")) {
                prop_assert_eq!(link.matches('<').count(), 1);
                prop_assert_eq!(link.matches('>').count(), 1);
                prop_assert_eq!(link.matches('|').count(), 1);
                prop_assert!(link.starts_with("<https://h.example/"), "{}", link);
            }
        }
    }
}
