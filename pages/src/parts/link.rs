//! Links that outsiders gave: only to the web, with their host shown, and without telling it where one came from.

use askama::{Template, filters::Safe};
use types::text::is_unsafe;

/// A link out of this server, to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/link.html")]
pub struct Outward<'a> {
    title: &'a str,
    url: &'a str,
    host: Option<&'a str>,
}

/// A link with its title. What is not plainly http or https is shown as text.
#[must_use]
pub fn outward<'a>(title: &'a str, url: &'a str) -> Safe<Outward<'a>> {
    Safe(Outward {
        title,
        url,
        host: host(url),
    })
}

/// The host that a browser would go to, in a URL of which that is beyond doubt.
fn host(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let plain = |c: char| !c.is_whitespace() && !is_unsafe(c) && c != '\\';
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    // A name before an @ is not where the link goes, whatever it looks like.
    let honest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    (!host.is_empty() && host.chars().all(honest) && url.chars().all(plain)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_web_and_its_host_is_shown() {
        let shown = outward("graph", "https://app.datadoghq.com/event?id=1&x=2")
            .0
            .to_string();
        assert_eq!(
            shown,
            "<a class=\"out\" href=\"https://app.datadoghq.com/event?id=1&amp;x=2\" rel=\"noreferrer noopener\">graph\
             <span class=\"host\">app.datadoghq.com</span></a>"
        );
    }

    #[test]
    fn whatever_may_lead_elsewhere_is_text() {
        for url in [
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "/runs",
            "https://",
            "https://good.example@evil.example/",
            "https://good.example\\@evil.example/",
            "https://good.example/\u{202e}x",
            "https://good.exаmple/", // Cyrillic
            "ht\ttps://good.example/",
        ] {
            let shown = outward("t", url).0.to_string();
            assert!(!shown.contains("href"), "{shown}");
        }
    }
}
