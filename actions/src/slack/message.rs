//! Posting a message once. Slack has no idempotency key, so each of ours carries its own in its metadata; after a
//! doubtful end, and from the second try on, we look for it before we post.

use serde_json::{Value, json};

use super::{
    client::{DOUBTS, Repeat, Reply, Slack},
    error::{Kind, SlackError},
};

/// The metadata's event type.
const EVENT: &str = "firehall_message";
/// Pages that are read back.
const PAGES: usize = 10;
/// Messages of one page: Slack recommends no more.
const PAGE: usize = 200;
/// Doubtful posts that are made again although it cannot be seen whether they stand: each may be one too many.
const BLIND: u32 = 3;

/// A message's identity: readable by the whole workspace, so ids only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The incident's reference; with it the run does not count: a later run of the same incident finds it too.
    pub(crate) incident: Option<String>,
    pub(crate) run: String,
    pub(crate) key: String,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) channel: &'a str,
    /// The thread's parent.
    pub(crate) thread: Option<&'a str>,
}

/// A posted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posted {
    pub(crate) ts: String,
    /// Whether it was there already.
    pub(crate) adopted: bool,
    /// What to know: it could not be looked for, say.
    pub(crate) doubt: Option<String>,
}

/// What looking for a message gave.
enum Look {
    Found(String),
    Absent,
    /// It may be there all the same, and why.
    Unsure(String),
}

impl Mark {
    fn json(&self) -> Value {
        let mut payload = json!({"run": self.run, "key": self.key});
        if let Some(incident) = &self.incident {
            payload["incident"] = Value::from(incident.as_str());
        }
        json!({"event_type": EVENT, "event_payload": payload})
    }

    fn is_on(&self, message: &Value) -> bool {
        let meta = message.get("metadata");
        let payload = meta.and_then(|meta| meta.get("event_payload"));
        let field = |name: &str| {
            payload
                .and_then(|payload| payload.get(name))
                .and_then(Value::as_str)
        };
        meta.and_then(|meta| meta.get("event_type"))
            .and_then(Value::as_str)
            == Some(EVENT)
            && field("key") == Some(self.key.as_str())
            && match &self.incident {
                Some(incident) => field("incident") == Some(incident.as_str()),
                None => field("run") == Some(self.run.as_str()),
            }
    }
}

impl Slack<'_> {
    /// Posts a message with its mark, or finds it. `look_first` when it may be there already.
    pub(crate) async fn post_once(
        &self,
        place: Place<'_>,
        mark: &Mark,
        text: &str,
        blocks: &[Value],
        look_first: bool,
    ) -> Result<Posted, SlackError> {
        let mut body = json!({
            "channel": place.channel, "text": text, "blocks": blocks, "metadata": mark.json(),
            "unfurl_links": false, "unfurl_media": false,
        });
        if let Some(thread) = place.thread {
            body["thread_ts"] = Value::from(thread);
        }
        let mut look = look_first;
        let mut doubt = None;
        let mut doubts = 0;
        loop {
            if look {
                match self.look(place, mark).await? {
                    Look::Found(ts) => {
                        return Ok(Posted {
                            ts,
                            adopted: true,
                            doubt,
                        });
                    }
                    Look::Absent => {}
                    Look::Unsure(why) => doubt = Some(why),
                }
            }
            let error = match self.write("chat.postMessage", Repeat::LookFirst, &body).await {
                Ok(reply) => return sent(&reply, doubt),
                Err(error) => error,
            };
            let most = if doubt.is_some() { BLIND } else { DOUBTS };
            if !error.may_have_happened() || doubts >= most || !self.pause(doubts).await {
                return Err(error);
            }
            doubts += 1;
            look = true;
        }
    }

    /// Looks for a message; what the installation lacks is a doubt, not a failure.
    async fn look(&self, place: Place<'_>, mark: &Mark) -> Result<Look, SlackError> {
        match self.find_marked(place, mark).await {
            Err(error) if error.is_lacking() => Ok(Look::Unsure(format!(
                "whether a message was already posted could not be seen ({}): it may stand twice",
                error.why()
            ))),
            found => found,
        }
    }

    async fn find_marked(&self, place: Place<'_>, mark: &Mark) -> Result<Look, SlackError> {
        let method = if place.thread.is_some() {
            "conversations.replies"
        } else {
            "conversations.history"
        };
        let size = PAGE.to_string();
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let mut query = vec![
                ("channel", place.channel),
                ("limit", &size),
                ("include_all_metadata", "true"),
            ];
            if let Some(thread) = place.thread {
                query.push(("ts", thread));
            }
            if !cursor.is_empty() {
                query.push(("cursor", &cursor));
            }
            let reply = self.read(method, &query).await?;
            let found = reply.list("messages").iter().find(|message| mark.is_on(message));
            if let Some(ts) = found
                .and_then(|message| message.get("ts"))
                .and_then(Value::as_str)
            {
                return Ok(Look::Found(ts.to_owned()));
            }
            match reply.next_cursor() {
                Some(next) if next != cursor => cursor = next,
                _ => return Ok(Look::Absent),
            }
        }
        // Slack gives a channel from its newest message on, a thread from its oldest.
        let which = if place.thread.is_some() {
            "oldest"
        } else {
            "newest"
        };
        Ok(Look::Unsure(format!(
            "only the {which} {} messages were looked through for one of ours: it may stand twice",
            PAGES * PAGE
        )))
    }

    /// A message's address; what is lacking is a reason.
    pub(crate) async fn permalink(&self, channel: &str, ts: &str) -> Result<Option<String>, String> {
        let reply = self
            .read("chat.getPermalink", &[("channel", channel), ("message_ts", ts)])
            .await;
        match reply {
            Ok(reply) => Ok(reply.text(&["permalink"]).map(str::to_owned)),
            Err(error) => Err(format!("there is no link to the message: {}", error.why())),
        }
    }
}

fn sent(reply: &Reply, doubt: Option<String>) -> Result<Posted, SlackError> {
    match reply.text(&["ts"]) {
        Some(ts) => Ok(Posted {
            ts: ts.to_owned(),
            adopted: false,
            doubt,
        }),
        None => {
            let what = "the answer has no ts".to_owned();
            Err(SlackError::new(
                "chat.postMessage",
                Kind::Unavailable { what, sent: true },
            ))
        }
    }
}
