//! Slack's `mrkdwn`: the `<…>` entities, and the three escapes.
//!
//! Source: <https://docs.slack.dev/messaging/formatting-message-text>. Code spans and fences change how
//! text looks, never what an entity does: `<!here>` inside a fence still notifies.

use std::borrow::Cow;

/// A group address that reaches a whole channel or workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broadcast {
    Channel,
    Here,
    Everyone,
}

impl Broadcast {
    /// By the word after `!` (or, with name linking, after `@`); `group` is `channel`'s old name.
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word {
            "channel" | "group" => Some(Self::Channel),
            "here" => Some(Self::Here),
            "everyone" => Some(Self::Everyone),
            _ => None,
        }
    }

    /// The word itself.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Here => "here",
            Self::Everyone => "everyone",
        }
    }
}

/// One `<…>` entity; borrowed parts are still escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entity<'a> {
    User {
        id: &'a str,
        label: Option<&'a str>,
    },
    Channel {
        id: &'a str,
        label: Option<&'a str>,
    },
    Group {
        id: &'a str,
        label: Option<&'a str>,
    },
    Broadcast(Broadcast),
    /// `<!date^…|fallback>` and whatever Slack may add: shown by its fallback.
    Other {
        label: Option<&'a str>,
    },
    Link {
        url: &'a str,
        label: Option<&'a str>,
    },
}

/// A run of text or an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span<'a> {
    Text(&'a str),
    Entity(Entity<'a>),
}

/// The entity at the start of `text`, with its length in bytes.
pub(crate) fn entity_at(text: &str) -> Option<(Entity<'_>, usize)> {
    let inner = text.strip_prefix('<')?;
    let end = inner.find(['<', '>', '\n'])?;
    if !inner[end..].starts_with('>') {
        return None;
    }
    let inner = &inner[..end];
    let (body, label) = match inner.split_once('|') {
        Some((body, label)) => (body, Some(label).filter(|label| !label.is_empty())),
        None => (inner, None),
    };
    let entity = if let Some(id) = body.strip_prefix('@') {
        Entity::User {
            id: identifier(id, &['U', 'W'])?,
            label,
        }
    } else if let Some(id) = body.strip_prefix('#') {
        Entity::Channel {
            id: identifier(id, &['C', 'G', 'D'])?,
            label,
        }
    } else if let Some(word) = body.strip_prefix('!') {
        match word.strip_prefix("subteam^") {
            Some(id) => Entity::Group {
                id: identifier(id, &['S'])?,
                label,
            },
            None => Broadcast::named(word).map_or(Entity::Other { label }, Entity::Broadcast),
        }
    } else if ["http://", "https://", "mailto:"]
        .iter()
        .any(|scheme| body.starts_with(scheme))
    {
        Entity::Link { url: body, label }
    } else {
        return None;
    };
    Some((entity, end + 2))
}

fn identifier<'a>(id: &'a str, first: &[char]) -> Option<&'a str> {
    (id.starts_with(first) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(id)
}

/// Splits text into runs and entities; concatenated they give the text back.
pub(crate) fn spans(text: &str) -> Vec<Span<'_>> {
    let mut spans = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(offset) = text[at..].find('<') {
        at += offset;
        if let Some((entity, length)) = entity_at(&text[at..]) {
            if start < at {
                spans.push(Span::Text(&text[start..at]));
            }
            spans.push(Span::Entity(entity));
            at += length;
            start = at;
        } else {
            at += 1;
        }
    }
    if start < text.len() {
        spans.push(Span::Text(&text[start..]));
    }
    spans
}

/// Undoes the three escapes, each once.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    // `&amp;` last: `&amp;lt;` stands for the text `&lt;`.
    Cow::Owned(
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}

/// An entity as people read it, with names looked up by `name_of`.
pub(crate) fn shown<'n>(entity: &Entity<'_>, name_of: impl Fn(&str) -> Option<&'n str>) -> String {
    let named = |mark: char, id: &str, label: &Option<&str>| {
        let name = name_of(id).map(str::to_owned);
        let name = name.or_else(|| label.map(|label| unescape(label).trim_start_matches(mark).to_owned()));
        format!("{mark}{}", name.unwrap_or_else(|| id.to_owned()))
    };
    match entity {
        Entity::User { id, label } | Entity::Group { id, label } => named('@', id, label),
        Entity::Channel { id, label } => named('#', id, label),
        Entity::Broadcast(broadcast) => format!("@{}", broadcast.word()),
        Entity::Other { label } => label
            .map(|label| unescape(label).into_owned())
            .unwrap_or_default(),
        Entity::Link {
            url,
            label: Some(label),
        } => format!("{} ({})", unescape(label), unescape(url)),
        Entity::Link { url, label: None } => unescape(url).trim_start_matches("mailto:").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_told_from_text() {
        assert_eq!(
            entity_at("<!channel> x"),
            Some((Entity::Broadcast(Broadcast::Channel), 10))
        );
        assert_eq!(
            entity_at("<!here|here>"),
            Some((Entity::Broadcast(Broadcast::Here), 12))
        );
        assert_eq!(
            entity_at("<@U1|ada>"),
            Some((
                Entity::User {
                    id: "U1",
                    label: Some("ada")
                },
                9
            ))
        );
        assert_eq!(
            entity_at("<!subteam^S1>"),
            Some((
                Entity::Group {
                    id: "S1",
                    label: None
                },
                13
            ))
        );
        for text in [
            "&lt;!channel&gt;",
            "<!channel",
            "<b>",
            "<@ada>",
            "<javascript:x>",
            "<\n!here>",
            "< !here>",
        ] {
            assert_eq!(entity_at(text), None, "{text}");
        }
    }

    #[test]
    fn spans_find_entities_behind_stray_brackets() {
        let all = spans("a <<!here> ```<@U1>``` b");
        let entities: Vec<_> = all
            .iter()
            .filter(|span| matches!(span, Span::Entity(_)))
            .collect();
        assert_eq!(entities.len(), 2);
        assert_eq!(all[0], Span::Text("a <"));
    }

    #[test]
    fn unescaping_is_done_once() {
        assert_eq!(unescape("&lt;!channel&gt; &amp;lt;"), "<!channel> &lt;");
    }
}
