//! Text → messages of blocks within Slack's limits: 50 blocks, 3,000 characters a text object, and about 13,200
//! characters a message, which is undocumented (slackapi/bolt-js#2509). What does not fit goes on in the next
//! message; what goes beyond the last is counted and said.

use serde_json::{Value, json};

use super::escape;

/// Of 50.
const BLOCKS: usize = 45;
/// Of about 13,200: the budget of 12,000 less what is said of a spill.
const CHARS: usize = 11_500;
/// Of 3,000.
const SECTION: usize = 2_900;
const HEADER: usize = 150;

/// Blocks being collected, each with its characters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages(Vec<(Value, usize)>);

/// What a text object may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    /// Nothing: no mention, no link, no layout, no emoji name is read in it.
    Plain,
    /// Mentions and links; the caller escaped what it holds.
    Marked,
}

impl Pages {
    /// A headline of any untrusted text: one line, cut. Where that loses something, the whole text follows.
    pub(crate) fn headline(&mut self, text: &str) {
        let clean = escape::clean(text);
        let line = escape::line(&clean);
        let shown = escape::cut(&line, HEADER);
        if !shown.is_empty() {
            self.0.push((
                json!({"type": "header", "text": plain(&shown)}),
                shown.chars().count(),
            ));
        }
        if shown != clean.trim() {
            self.plain(&clean);
        }
    }

    /// Untrusted text of any length.
    pub(crate) fn plain(&mut self, text: &str) {
        for piece in pieces(&escape::clean(text)) {
            self.section(Text::Plain, piece);
        }
    }

    /// Facts beside each other, ten a block.
    pub(crate) fn facts(&mut self, facts: &[(String, String)]) {
        for ten in facts.chunks(10) {
            let texts: Vec<String> = ten
                .iter()
                .map(|(name, value)| {
                    format!(
                        "{}: {}",
                        escape::cut(&escape::line(name), 80),
                        escape::cut(&escape::line(value), 400)
                    )
                })
                .collect();
            let chars = texts.iter().map(|text| text.chars().count()).sum();
            let fields: Vec<Value> = texts.iter().map(|text| plain(text)).collect();
            self.0.push((json!({"type": "section", "fields": fields}), chars));
        }
    }

    /// Lines with mentions or links, already escaped; a line is never torn.
    pub(crate) fn marked(&mut self, lines: &[String]) {
        let mut text = String::new();
        for line in lines.iter().filter(|line| line.chars().count() <= SECTION) {
            if !text.is_empty() && text.chars().count() + 1 + line.chars().count() > SECTION {
                self.section(Text::Marked, std::mem::take(&mut text));
            }
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(line);
        }
        self.section(Text::Marked, text);
    }

    /// A small line.
    pub(crate) fn context(&mut self, text: &str) {
        let text = escape::cut(&escape::line(text), 1_000);
        if !text.is_empty() {
            let chars = text.chars().count();
            self.0
                .push((json!({"type": "context", "elements": [plain(&text)]}), chars));
        }
    }

    fn section(&mut self, kind: Text, text: String) {
        if text.trim().is_empty() {
            return;
        }
        let object = match kind {
            Text::Plain => plain(&text),
            Text::Marked => json!({"type": "mrkdwn", "text": text, "verbatim": true}),
        };
        self.0
            .push((json!({"type": "section", "text": object}), text.chars().count()));
    }

    /// The messages, at most `most`. The last one says how much was left out.
    pub(crate) fn messages(self, most: usize) -> Vec<Vec<Value>> {
        let mut messages: Vec<(Vec<Value>, usize)> = Vec::new();
        let mut left_out = 0;
        for (block, chars) in self.0 {
            let fits = messages
                .last()
                .is_some_and(|(blocks, used)| blocks.len() < BLOCKS && used + chars <= CHARS);
            if fits && left_out == 0 {
                if let Some((blocks, used)) = messages.last_mut() {
                    blocks.push(block);
                    *used += chars;
                }
            } else if messages.len() < most && left_out == 0 {
                messages.push((vec![block], chars));
            } else {
                left_out += chars;
            }
        }
        let mut messages: Vec<Vec<Value>> = messages.into_iter().map(|(blocks, _)| blocks).collect();
        if left_out > 0
            && let Some(last) = messages.last_mut()
        {
            let note = format!("… {left_out} more characters are not shown here");
            last.push(json!({"type": "context", "elements": [plain(&note)]}));
        }
        messages
    }
}

/// A plain text object; without `emoji`, so that `:fire:` stays what it is.
fn plain(text: &str) -> Value {
    json!({"type": "plain_text", "text": text, "emoji": false})
}

/// Pieces of at most a section's size, torn at line breaks where there is one in the last third.
fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    let mut rest = chars.as_slice();
    while rest.len() > SECTION {
        let at_line = rest[..SECTION]
            .iter()
            .rposition(|c| *c == '\n')
            .filter(|at| at * 3 > SECTION * 2);
        let end = at_line.map_or(SECTION, |at| at + 1);
        pieces.push(rest[..end].iter().collect());
        rest = &rest[end..];
    }
    pieces.push(rest.iter().collect());
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Array(list) => list.iter().for_each(|item| texts(item, out)),
            Value::Object(object) => {
                if let Some(Value::String(text)) = object.get("text") {
                    out.push(text.clone());
                }
                object.values().for_each(|item| texts(item, out));
            }
            _ => {}
        }
    }

    #[test]
    fn a_long_title_arrives_whole_over_messages() {
        let title: String = (0..20_000)
            .map(|i| char::from(b'a' + u8::try_from(i % 26).unwrap_or(0)))
            .collect();
        let mut pages = Pages::default();
        pages.headline(&title);
        let messages = pages.messages(3);
        assert_eq!(messages.len(), 2);
        let mut found = Vec::new();
        messages
            .iter()
            .flatten()
            .skip(1)
            .for_each(|block| texts(block, &mut found));
        assert_eq!(found.concat(), title);
    }

    #[test]
    fn what_goes_beyond_is_counted() {
        let mut pages = Pages::default();
        pages.plain(&"x".repeat(50_000));
        let messages = pages.messages(2);
        let mut found = Vec::new();
        messages
            .iter()
            .for_each(|message| message.iter().for_each(|block| texts(block, &mut found)));
        let shown: usize = found
            .iter()
            .filter(|text| text.starts_with('x'))
            .map(String::len)
            .sum();
        assert_eq!(
            found.last().cloned(),
            Some(format!("… {} more characters are not shown here", 50_000 - shown))
        );
    }

    proptest! {
        #[test]
        fn no_message_breaks_a_limit(title in any::<String>(), body in "\\PC{0,4000}", lines in prop::collection::vec("\\PC{0,200}", 0..30)) {
            let mut pages = Pages::default();
            pages.headline(&title);
            pages.plain(&body);
            pages.facts(&lines.iter().map(|line| (line.clone(), line.clone())).collect::<Vec<_>>());
            pages.marked(&lines);
            for message in pages.messages(4) {
                prop_assert!(!message.is_empty() && message.len() <= 50);
                let mut found = Vec::new();
                message.iter().for_each(|block| texts(block, &mut found));
                prop_assert!(found.iter().map(|text| text.chars().count()).sum::<usize>() <= 12_000);
                prop_assert!(found.iter().all(|text| !text.is_empty() && text.chars().count() <= 3_000));
            }
        }
    }
}
