//! `slack/bookmark`: a link in the room's header, once. Slack keeps doubles, so we look before we add.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Object, Signature, Trust, Type, WarRoom};

use super::{
    client::{DOUBTS, Repeat, Slack},
    error::SlackError,
    escape,
};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, may_give, optional, output, read, required, scopes, signature},
};

/// Characters of a title that we keep; a header has little room.
const TITLE: usize = 120;
/// Characters of a link.
const LINK: usize = 2_000;
/// Doubtful adds that are made again although it cannot be seen whether the bookmark stands.
const BLIND: u32 = 2;

pub(crate) struct Bookmark;

#[derive(Deserialize)]
struct Params {
    room: WarRoom,
    title: String,
    link: String,
    emoji: Option<String>,
}

/// What is to stand in the header.
struct Wanted {
    title: String,
    link: String,
    emoji: Option<String>,
}

/// What looking gave.
enum Look {
    Found(Option<String>),
    Absent,
    /// It may be there all the same, and why.
    Unsure(String),
}

#[async_trait]
impl Action for Bookmark {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Writes,
            connection: Some("slack".to_owned()),
            scopes: scopes(&["bookmarks:write"]),
            optional_scopes: scopes(&["bookmarks:read"]),
            ..signature(
                "slack/bookmark",
                "Puts a link into the room's header, once; a link that stands there already is left as it is.",
                [
                    ("room", required(WarRoom::ty(), Trust::Trusted, "WAR_ROOM.")),
                    (
                        "title",
                        required(
                            Type::String,
                            Trust::Untrusted,
                            "What it is called; the link's host is added, so that no title can lie about it.",
                        ),
                    ),
                    (
                        "link",
                        required(Type::String, Trust::Untrusted, "An http or https URL."),
                    ),
                    (
                        "emoji",
                        optional(Type::String, Trust::Trusted, None, "Its sign: `:books:`."),
                    ),
                ],
                [
                    (
                        "id",
                        may_give(Type::String, Trust::Trusted, "Slack's id of the bookmark."),
                    ),
                    (
                        "adopted",
                        gives(Type::Bool, Trust::Trusted, "Whether it was there already."),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let Params {
            room,
            title,
            link,
            emoji,
        } = read(params)?;
        let (link, host) = checked(&link)?;
        let title = escape::cut(&escape::line(&title), TITLE);
        let title = if title.is_empty() {
            host
        } else {
            format!("{title} ({host})")
        };
        let wanted = Wanted { title, link, emoji };
        Slack::of(context)?.bookmark(&room.channel, &wanted).await
    }
}

/// The link as it is sent, and its host.
fn checked(link: &str) -> Result<(String, String), ActionError> {
    let wrong = || ActionError::action("link: expected an http or https URL of at most 2000 characters");
    let url = reqwest::Url::parse(link.trim()).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.password().is_none();
    let host = url.host_str().ok_or_else(wrong)?.to_owned();
    if !matches!(url.scheme(), "http" | "https") || url.as_str().len() > LINK {
        return Err(wrong());
    }
    if !plain {
        return Err(ActionError::action(
            "link: a user name or a password in it would be shown to the whole channel",
        ));
    }
    Ok((url.to_string(), host))
}

impl Slack<'_> {
    async fn bookmark(&self, channel: &str, wanted: &Wanted) -> Result<ActionOutput, ActionError> {
        let mut body =
            json!({"channel_id": channel, "title": wanted.title, "type": "link", "link": wanted.link});
        if let Some(emoji) = &wanted.emoji {
            body["emoji"] = Value::from(emoji.as_str());
        }
        let mut doubts = 0;
        loop {
            let doubt = match self.find_bookmark(channel, &wanted.link).await? {
                Look::Found(id) => {
                    return Ok(output([("id", json!(id)), ("adopted", json!(true))], Vec::new()));
                }
                Look::Absent => None,
                Look::Unsure(why) => Some(why),
            };
            let error = match self.write("bookmarks.add", Repeat::LookFirst, &body).await {
                Ok(reply) => {
                    let id = reply.text(&["bookmark", "id"]);
                    let outputs = [("id", json!(id)), ("adopted", json!(false))];
                    return Ok(output(outputs, doubt.into_iter().collect()));
                }
                Err(error) => error,
            };
            let most = if doubt.is_some() { BLIND } else { DOUBTS };
            if !error.may_have_happened() || doubts >= most || !self.pause(doubts).await {
                return Err(error.into());
            }
            doubts += 1;
        }
    }

    async fn find_bookmark(&self, channel: &str, link: &str) -> Result<Look, SlackError> {
        let body = json!({"channel_id": channel});
        let reply = match self.write("bookmarks.list", Repeat::Safe, &body).await {
            Ok(reply) => reply,
            Err(error) if error.is_lacking() => {
                return Ok(Look::Unsure(format!(
                    "whether the link stands in the header already could not be seen ({}): it may stand twice",
                    error.why()
                )));
            }
            Err(error) => return Err(error),
        };
        let same = |bookmark: &&Value| {
            let there = bookmark.get("link").and_then(Value::as_str);
            // Slack may give a link in another spelling than it got.
            there.is_some_and(|there| {
                there == link || reqwest::Url::parse(there).is_ok_and(|there| there.as_str() == link)
            })
        };
        Ok(match reply.list("bookmarks").iter().find(same) {
            Some(bookmark) => Look::Found(bookmark.get("id").and_then(Value::as_str).map(str::to_owned)),
            None => Look::Absent,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_link_is_http_and_holds_no_password() {
        assert_eq!(
            checked(" https://dash.example/d?a=1 ").unwrap(),
            ("https://dash.example/d?a=1".to_owned(), "dash.example".to_owned())
        );
        for link in [
            "javascript:alert(1)",
            "dash.example",
            "ftp://x/",
            "https://u:p@x/",
            "",
        ] {
            assert!(checked(link).is_err(), "{link}");
        }
    }
}
