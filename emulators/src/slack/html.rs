//! HTML that cannot be injected into: markup is literal, everything else is escaped.

/// A document being written.
#[derive(Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    /// Markup; only what stands in the program's own text.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text or an attribute's value (attributes are always in double quotes), escaped. Control characters
    /// other than line breaks and tabs become U+FFFD; so do the characters that reorder text.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                c if super::render::is_unsafe(c) => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        self
    }

    /// The document.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Html;

    #[test]
    fn text_cannot_become_markup() {
        let mut html = Html::default();
        html.raw("<a title=\"")
            .text("\"><script>'&\u{202e}\u{1b}")
            .raw("\">");
        assert_eq!(
            html.finish(),
            "<a title=\"&quot;&gt;&lt;script&gt;&#39;&amp;\u{fffd}\u{fffd}\">"
        );
    }
}
