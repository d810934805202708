//! `slack/upload`: a file in the room's thread. Slack's three steps: an address for the bytes, the bytes, and the
//! call that shares them, which alone is visible. <https://docs.slack.dev/messaging/working-with-files>

use async_trait::async_trait;
use reqwest::{StatusCode, Url, header};
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Object, Signature, Trust, Type, WarRoom};

use super::{
    client::{DOUBTS, Repeat, Reply, Slack},
    error::{Kind, SlackError},
    escape,
};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{gives, optional, output, read, required, scopes, signature},
};

/// Pages of the thread that are read back, of 200 messages.
const PAGES: usize = 10;
/// Doubtful shares that are made again although it cannot be seen whether the file stands.
const BLIND: u32 = 2;
/// Times that bytes are sent to an address, each time a new one.
const SENDS: u32 = 3;
/// How far Slack's clock and the server's may be apart.
const SKEW_MS: i64 = 60_000;
const NAME: usize = 255;

pub(crate) struct Upload;

#[derive(Deserialize)]
struct Params {
    room: WarRoom,
    filename: String,
    content: String,
    title: Option<String>,
    comment: Option<String>,
}

/// What is shared.
struct File {
    name: String,
    title: String,
    comment: Option<String>,
    bytes: Vec<u8>,
}

/// What looking for an earlier try's file gave.
enum Look {
    Found(Value),
    Absent,
    Unsure(String),
}

fn file_type() -> Type {
    Type::record(
        "slack_file",
        [
            ("id", Type::String),
            ("name", Type::String),
            ("bytes", Type::Int),
            ("link?", Type::String),
        ],
    )
}

#[async_trait]
impl Action for Upload {
    fn signature(&self) -> Signature {
        Signature {
            effect: Effect::Writes,
            connection: Some("slack".to_owned()),
            scopes: scopes(&["files:write"]),
            optional_scopes: scopes(&["channels:history", "groups:history"]),
            timeout_ms: 120_000,
            ..signature(
                "slack/upload",
                "Puts a text as a file into the room's thread, once.",
                [
                    ("room", required(WarRoom::ty(), Trust::Trusted, "WAR_ROOM.")),
                    (
                        "filename",
                        required(Type::String, Trust::Trusted, "`checks.txt`: no folder in it."),
                    ),
                    (
                        "content",
                        required(Type::String, Trust::Untrusted, "What is in it; not empty."),
                    ),
                    (
                        "title",
                        optional(
                            Type::String,
                            Trust::Untrusted,
                            None,
                            "What Slack shows above it; the filename by default.",
                        ),
                    ),
                    (
                        "comment",
                        optional(
                            Type::String,
                            Trust::Untrusted,
                            None,
                            "The message that brings it: no mention and no link is read in it.",
                        ),
                    ),
                ],
                [
                    (
                        "file",
                        gives(file_type(), Trust::Trusted, "The file in the thread."),
                    ),
                    (
                        "adopted",
                        gives(
                            Type::Bool,
                            Trust::Trusted,
                            "Whether an earlier try had shared it: same name and length, by us, since the run began.",
                        ),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let Params {
            room,
            filename,
            content,
            title,
            comment,
        } = read(params)?;
        let name = checked(&filename)?;
        if content.is_empty() {
            return Err(ActionError::action(
                "content: it is empty, and Slack takes no empty file",
            ));
        }
        let title = title.map(|title| escape::cut(&escape::line(&title), NAME));
        let file = File {
            title: title
                .filter(|title| !title.is_empty())
                .unwrap_or_else(|| name.clone()),
            name,
            comment: comment.map(|comment| escape::escape_within(&comment, 3_000)),
            bytes: content.into_bytes(),
        };
        Slack::of(context)?.share(&room, &file).await
    }
}

/// A name without folder and control characters.
fn checked(name: &str) -> Result<String, ActionError> {
    let name = name.trim();
    let odd = |c: char| c.is_control() || matches!(c, '/' | '\\');
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(odd) || name.starts_with('.') {
        return Err(ActionError::action(format!(
            "filename: expected up to {NAME} characters without a slash, such as checks.txt"
        )));
    }
    Ok(name.to_owned())
}

impl Slack<'_> {
    async fn share(&self, room: &WarRoom, file: &File) -> Result<ActionOutput, ActionError> {
        let mut look = self.context.attempt > 1;
        let mut doubt = None;
        let mut doubts = 0;
        loop {
            if look {
                match self.find_file(room, file).await? {
                    Look::Found(found) => return Ok(told(file, &found, true, doubt)),
                    Look::Absent => {}
                    Look::Unsure(why) => doubt = Some(why),
                }
            }
            let id = self.bring(file).await?;
            let mut body = json!({
                "files": [{"id": id, "title": file.title}], "channel_id": room.channel, "thread_ts": room.message_ts,
            });
            if let Some(comment) = &file.comment {
                body["initial_comment"] = Value::from(comment.as_str());
            }
            let sent = self
                .write("files.completeUploadExternal", Repeat::LookFirst, &body)
                .await;
            let error = match sent {
                Ok(reply) => {
                    let shared = reply.list("files").first().cloned();
                    return Ok(told(
                        file,
                        &shared.unwrap_or_else(|| json!({"id": id})),
                        false,
                        doubt,
                    ));
                }
                Err(error) => error,
            };
            let most = if doubt.is_some() { BLIND } else { DOUBTS };
            if !error.may_have_happened() || doubts >= most || !self.pause(doubts).await {
                return Err(error.into());
            }
            doubts += 1;
            look = true;
        }
    }

    /// The bytes at Slack, as yet seen by nobody: the file's id.
    async fn bring(&self, file: &File) -> Result<String, SlackError> {
        let length = file.bytes.len().to_string();
        let query = [("filename", file.name.as_str()), ("length", length.as_str())];
        let mut sends = 0;
        loop {
            let ticket = self.form("files.getUploadURLExternal", &query).await?;
            let (id, url) = address(&ticket, &self.connection.base)?;
            match self.send_bytes(url, &file.bytes).await {
                Ok(()) => return Ok(id),
                Err(error) => {
                    sends += 1;
                    if sends >= SENDS || !error.may_pass() || !self.pause(sends).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Without the token: the address is the permission.
    async fn send_bytes(&self, url: Url, bytes: &[u8]) -> Result<(), SlackError> {
        let failed = |what: String| SlackError::new(METHOD, Kind::Unavailable { what, sent: false });
        let request = self
            .connection
            .http
            .post(url)
            .header(header::CONTENT_TYPE, "application/octet-stream");
        let sent = request.body(bytes.to_vec()).send().await;
        let status = sent
            .map_err(|error| failed(node::egress::chain(&error)))?
            .status();
        self.context
            .log
            .line(&format!(
                "slack {METHOD}: HTTP {}, {} bytes",
                status.as_u16(),
                bytes.len()
            ))
            .await;
        if status == StatusCode::OK {
            Ok(())
        } else {
            Err(failed(format!("HTTP {}", status.as_u16())))
        }
    }

    async fn find_file(&self, room: &WarRoom, file: &File) -> Result<Look, SlackError> {
        let us = self.identity().await?;
        let since = (self.context.run.at().unix_ms() - SKEW_MS).max(0) / 1_000;
        let since = format!("{since}.000000");
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let mut query = vec![
                ("channel", room.channel.as_str()),
                ("ts", &room.message_ts),
                ("oldest", &since),
                ("limit", "200"),
            ];
            if !cursor.is_empty() {
                query.push(("cursor", &cursor));
            }
            let reply = match self.read("conversations.replies", &query).await {
                Ok(reply) => reply,
                Err(error) if error.is_lacking() => {
                    return Ok(Look::Unsure(format!(
                        "whether the file was already shared could not be seen ({}): it may stand twice",
                        error.why()
                    )));
                }
                Err(error) => return Err(error),
            };
            if let Some(found) = ours(&reply, &us.user_id, file) {
                return Ok(Look::Found(found));
            }
            match reply.next_cursor() {
                Some(next) if next != cursor => cursor = next,
                _ => return Ok(Look::Absent),
            }
        }
        Ok(Look::Unsure(
            "the thread is too long to be looked through for the file: it may stand twice".to_owned(),
        ))
    }
}

const METHOD: &str = "upload address";

/// The file among a page's messages.
fn ours(reply: &Reply, us: &str, file: &File) -> Option<Value> {
    let by_us = |message: &&Value| message.get("user").and_then(Value::as_str) == Some(us);
    let same = |found: &&Value| {
        found.get("name").and_then(Value::as_str) == Some(&file.name)
            && found.get("size").and_then(Value::as_u64) == u64::try_from(file.bytes.len()).ok()
    };
    let messages = reply.list("messages").iter().filter(by_us);
    let files = messages.filter_map(|message| message.get("files").and_then(Value::as_array));
    files.flatten().find(same).cloned()
}

/// The file's id, and where its bytes go: a host of Slack's, or the one that we speak to.
fn address(ticket: &Reply, base: &str) -> Result<(String, Url), SlackError> {
    let odd = |what: &str| {
        let what = what.to_owned();
        SlackError::new(
            "files.getUploadURLExternal",
            Kind::Unavailable { what, sent: false },
        )
    };
    let id = ticket
        .text(&["file_id"])
        .ok_or_else(|| odd("the answer has no file_id"))?;
    let url = ticket.text(&["upload_url"]).and_then(|url| Url::parse(url).ok());
    let url = url.ok_or_else(|| odd("the answer has no upload_url"))?;
    let slacks = |host: &str| {
        url.scheme() == "https"
            && [".slack.com", ".slack-gov.com"]
                .iter()
                .any(|end| host.ends_with(end))
    };
    let same = Url::parse(base).is_ok_and(|base| base.origin() == url.origin());
    if same || url.host_str().is_some_and(slacks) {
        Ok((id.to_owned(), url))
    } else {
        Err(odd(
            "the address for the bytes is not at Slack: nothing was sent there",
        ))
    }
}

fn told(file: &File, found: &Value, adopted: bool, doubt: Option<String>) -> ActionOutput {
    let text = |key: &str| found.get(key).and_then(Value::as_str);
    let mut out = json!({"id": text("id").unwrap_or_default(), "name": file.name, "bytes": file.bytes.len()});
    if let Some(link) = text("permalink") {
        out["link"] = Value::from(link);
    }
    output(
        [("file", out), ("adopted", json!(adopted))],
        doubt.into_iter().collect(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn ticket(url: &str) -> Reply {
        let body = json!({"file_id": "F1", "upload_url": url});
        Reply {
            body: body.as_object().unwrap().clone(),
            scopes: None,
        }
    }

    #[test]
    fn bytes_go_to_slack_only() {
        let slack = "https://slack.com/api/";
        for (url, base, taken) in [
            ("https://files.slack.com/upload/v1/A", slack, true),
            ("http://files.slack.com/upload/v1/A", slack, false),
            ("https://files.slack.com.evil.example/A", slack, false),
            ("https://evil.example/A", slack, false),
            ("http://169.254.169.254/latest", slack, false),
            ("http://127.0.0.1:9/upload/v1/A", "http://127.0.0.1:9/api/", true),
            ("http://127.0.0.1:8/upload/v1/A", "http://127.0.0.1:9/api/", false),
        ] {
            assert_eq!(address(&ticket(url), base).is_ok(), taken, "{url}");
        }
    }

    #[test]
    fn a_name_has_no_folder() {
        for name in ["../x", "a/b", "", ".", "a\nb", "a\\b"] {
            assert!(checked(name).is_err(), "{name:?}");
        }
        assert_eq!(checked(" checks.txt ").unwrap(), "checks.txt");
    }
}
