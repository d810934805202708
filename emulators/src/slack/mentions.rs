//! Whom a message notifies, and where its links lead.

use serde_json::{Value, json};

use super::{
    ids::UserId,
    mrkdwn::{self, Broadcast, Entity, Span},
    state::Workspace,
};

/// One address found in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mention {
    Broadcast(Broadcast),
    User(String),
    Group(String),
}

impl Mention {
    /// As tests read it: `!channel`, a `U…` or an `S…`.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Broadcast(broadcast) => format!("!{}", broadcast.word()),
            Self::User(id) | Self::Group(id) => id.clone(),
        }
    }
}

/// A link: where it leads, and what it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) url: String,
    pub(crate) label: Option<String>,
}

/// What parsing a message's text and blocks found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audience {
    /// Every address, in order, known or not.
    pub(crate) mentions: Vec<Mention>,
    pub(crate) links: Vec<Link>,
}

/// How bare names are treated (`parse`, `link_names`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BareNames {
    /// A bare `@here` is just text.
    Inert,
    /// `parse=full` or `link_names`: `@here` and user groups' handles count.
    Linked,
}

impl Audience {
    /// Parses the text, the blocks and the attachments of a message.
    pub(crate) fn of(
        text: &str,
        blocks: &[Value],
        attachments: &[Value],
        names: BareNames,
        ws: &Workspace,
    ) -> Self {
        let mut found = Self::default();
        found.text(text, names, ws);
        for value in blocks.iter().chain(attachments) {
            found.value(value, names, ws);
        }
        found
    }

    fn text(&mut self, text: &str, names: BareNames, ws: &Workspace) {
        for span in mrkdwn::spans(text) {
            match span {
                Span::Entity(Entity::User { id, .. }) => self.mention(Mention::User(id.to_owned())),
                Span::Entity(Entity::Group { id, .. }) => self.mention(Mention::Group(id.to_owned())),
                Span::Entity(Entity::Broadcast(broadcast)) => self.mention(Mention::Broadcast(broadcast)),
                Span::Entity(Entity::Link { url, label }) => self.links.push(Link {
                    url: mrkdwn::unescape(url).into_owned(),
                    label: label.map(|label| mrkdwn::unescape(label).into_owned()),
                }),
                Span::Entity(Entity::Channel { .. } | Entity::Other { .. }) => {}
                Span::Text(run) => self.run(run, names, ws),
            }
        }
    }

    /// Bare URLs (Slack links them), and bare names when they count.
    fn run(&mut self, run: &str, names: BareNames, ws: &Workspace) {
        for word in run.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"')) {
            if word.starts_with("http://") || word.starts_with("https://") {
                self.links.push(Link {
                    url: mrkdwn::unescape(word).into_owned(),
                    label: None,
                });
            }
            let Some((_, name)) = word.split_once('@').filter(|_| names == BareNames::Linked) else {
                continue;
            };
            let name = name.trim_end_matches(|c: char| !c.is_alphanumeric());
            if let Some(broadcast) = Broadcast::named(name) {
                self.mention(Mention::Broadcast(broadcast));
            } else if let Some(group) = ws.groups.iter().find(|group| group.handle == name) {
                self.mention(Mention::Group(group.id.to_string()));
            }
        }
    }

    /// Walks a block: `mrkdwn` objects are parsed, `plain_text` ones are inert, rich text is explicit.
    fn value(&mut self, value: &Value, names: BareNames, ws: &Workspace) {
        let Value::Object(object) = value else {
            value
                .as_array()
                .into_iter()
                .flatten()
                .for_each(|item| self.value(item, names, ws));
            return;
        };
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        match text("type") {
            Some("plain_text") => return,
            Some("mrkdwn" | "markdown") => self.text(text("text").unwrap_or_default(), names, ws),
            Some("user") => self.mention(Mention::User(text("user_id").unwrap_or_default().to_owned())),
            Some("usergroup") => self.mention(Mention::Group(
                text("usergroup_id").unwrap_or_default().to_owned(),
            )),
            Some("broadcast") => {
                if let Some(broadcast) = text("range").and_then(Broadcast::named) {
                    self.mention(Mention::Broadcast(broadcast));
                }
            }
            Some("link" | "button") if object.contains_key("url") => self.links.push(Link {
                url: text("url").unwrap_or_default().to_owned(),
                label: text("text").map(str::to_owned),
            }),
            // An attachment has no type; its text fields are mrkdwn.
            None => {
                for key in ["pretext", "text", "fallback", "title"] {
                    self.text(text(key).unwrap_or_default(), names, ws);
                }
            }
            Some(_) => {}
        }
        for (key, inner) in object {
            if key != "metadata" && (inner.is_object() || inner.is_array()) {
                self.value(inner, names, ws);
            }
        }
    }

    fn mention(&mut self, mention: Mention) {
        if !self.mentions.contains(&mention) {
            self.mentions.push(mention);
        }
    }

    /// The addresses that reach somebody: every broadcast, and known users and groups.
    pub(crate) fn notified(&self, ws: &Workspace) -> Vec<String> {
        let reaches = |mention: &&Mention| match mention {
            Mention::Broadcast(_) => true,
            Mention::User(id) => ws.user(id).is_some_and(|user| user.is_person()),
            Mention::Group(id) => ws.groups.iter().any(|group| group.id.as_str() == id),
        };
        self.mentions.iter().filter(reaches).map(Mention::label).collect()
    }

    /// The people behind [`Audience::notified`], given the channel's members.
    pub(crate) fn people(&self, members: &[UserId], ws: &Workspace) -> Vec<UserId> {
        let everyone = || ws.users.iter().map(|user| user.id.clone()).collect();
        let mut people: Vec<UserId> = Vec::new();
        for mention in &self.mentions {
            let ids: Vec<UserId> = match mention {
                Mention::Broadcast(Broadcast::Everyone) => everyone(),
                Mention::Broadcast(_) => members.to_vec(),
                Mention::User(id) => vec![id.as_str().into()],
                Mention::Group(id) => {
                    let group = ws.groups.iter().find(|group| group.id.as_str() == id);
                    group.map(|group| group.users.clone()).unwrap_or_default()
                }
            };
            for id in ids {
                let person = ws.user(id.as_str()).is_some_and(|user| user.is_person());
                if person && !people.contains(&id) {
                    people.push(id);
                }
            }
        }
        people
    }

    /// The links, for the control API.
    pub(crate) fn links_json(&self) -> Value {
        self.links
            .iter()
            .map(|link| json!({ "url": link.url, "label": link.label }))
            .collect()
    }
}
