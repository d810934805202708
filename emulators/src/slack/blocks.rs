//! Block Kit's limits, checked as Slack checks them before a message is taken.
//!
//! Sources: <https://docs.slack.dev/reference/block-kit/blocks>; the cap on the sum is undocumented
//! (slackapi/bolt-js#2509).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::errors::{Code, Failure};

/// Blocks in a message.
const BLOCKS: usize = 50;
/// Characters over all text objects of a message.
const TOTAL_CHARS: usize = 13_200;

/// Collects what is wrong, each with its place as Slack writes it.
#[derive(Default)]
struct Checker {
    wrong: Vec<String>,
    block_ids: HashSet<String>,
    chars: usize,
}

/// Checks a message's blocks.
///
/// # Errors
/// `invalid_blocks_format`, `invalid_blocks` with a line for each mistake, or `msg_blocks_too_long`.
pub(crate) fn check(blocks: &Value) -> Result<Vec<Value>, Failure> {
    let Value::Array(blocks) = blocks else {
        return Err(Code::InvalidBlocksFormat.into());
    };
    let mut checker = Checker::default();
    if blocks.len() > BLOCKS {
        checker.say(format!("no more than {BLOCKS} items allowed"), "/blocks");
    }
    for (n, block) in blocks.iter().enumerate() {
        checker.block(block, &format!("/blocks/{n}"));
    }
    if !checker.wrong.is_empty() {
        return Err(Failure::from(Code::InvalidBlocks).saying(&checker.wrong));
    }
    if checker.chars > TOTAL_CHARS {
        return Err(Code::MsgBlocksTooLong.into());
    }
    Ok(blocks.clone())
}

/// Which text objects a place takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Either,
}

impl Checker {
    fn say(&mut self, what: impl AsRef<str>, at: &str) {
        self.wrong
            .push(format!("[ERROR] {} [json-pointer:{at}]", what.as_ref()));
    }

    fn block(&mut self, block: &Value, at: &str) {
        let Value::Object(block) = block else {
            return self.say("must be an object", at);
        };
        self.ids(block, at);
        match block.get("type").and_then(Value::as_str) {
            Some("section") => self.section(block, at),
            Some("header") => self.needed_text(block, "text", Kind::Plain, 150, at),
            Some("context") => self.context(block, at),
            Some("divider") => {}
            Some("actions") => self.elements(block, 25, at),
            Some("image") => {
                self.needed_string(block, "image_url", 3000, at);
                self.needed_string(block, "alt_text", 2000, at);
            }
            Some("markdown") => self.needed_string(block, "text", 12_000, at),
            Some("rich_text") => {
                if self.list(block, "elements", usize::MAX, at).is_some() {
                    self.chars += rich_chars(block.get("elements").unwrap_or(&Value::Null));
                }
            }
            Some(other) => self.say(format!("unsupported type: {other}"), &format!("{at}/type")),
            None => self.say("missing required field: type", at),
        }
    }

    fn ids(&mut self, block: &Map<String, Value>, at: &str) {
        let Some(id) = block.get("block_id") else { return };
        match id.as_str() {
            Some(id) if id.chars().count() > 255 => {
                self.say("must be less than 256 characters", &format!("{at}/block_id"));
            }
            Some(id) if !self.block_ids.insert(id.to_owned()) => {
                self.say(
                    format!("`block_id` already exists: {id}"),
                    &format!("{at}/block_id"),
                );
            }
            Some(_) => {}
            None => self.say("must be a string", &format!("{at}/block_id")),
        }
    }

    fn section(&mut self, block: &Map<String, Value>, at: &str) {
        if block.get("text").is_none() && block.get("fields").is_none() {
            return self.say("missing required field: text or fields", at);
        }
        if block.contains_key("text") {
            self.needed_text(block, "text", Kind::Either, 3000, at);
        }
        if block.contains_key("fields")
            && let Some(fields) = self.list(block, "fields", 10, at)
        {
            for (n, field) in fields.iter().enumerate() {
                self.text(field, Kind::Either, 2000, &format!("{at}/fields/{n}"));
            }
        }
        if let Some(accessory) = block.get("accessory") {
            self.element(accessory, &format!("{at}/accessory"));
        }
    }

    fn context(&mut self, block: &Map<String, Value>, at: &str) {
        let Some(elements) = self.list(block, "elements", 10, at) else {
            return;
        };
        for (n, element) in elements.iter().enumerate() {
            let at = format!("{at}/elements/{n}");
            if element.get("type").and_then(Value::as_str) == Some("image") {
                self.element(element, &at);
            } else {
                self.text(element, Kind::Either, 3000, &at);
            }
        }
    }

    fn elements(&mut self, block: &Map<String, Value>, most: usize, at: &str) {
        let Some(elements) = self.list(block, "elements", most, at) else {
            return;
        };
        for (n, element) in elements.iter().enumerate() {
            self.element(element, &format!("{at}/elements/{n}"));
        }
    }

    /// Buttons and images in full; other interactive elements by their type only.
    fn element(&mut self, element: &Value, at: &str) {
        let Value::Object(element) = element else {
            return self.say("must be an object", at);
        };
        match element.get("type").and_then(Value::as_str) {
            Some("button") => {
                self.needed_text(element, "text", Kind::Plain, 75, at);
                for (key, most) in [("value", 2000), ("url", 3000), ("action_id", 255)] {
                    if element.contains_key(key) {
                        self.needed_string(element, key, most, at);
                    }
                }
            }
            Some("image") => {
                self.needed_string(element, "image_url", 3000, at);
                self.needed_string(element, "alt_text", 2000, at);
            }
            Some(
                "static_select"
                | "external_select"
                | "users_select"
                | "conversations_select"
                | "channels_select"
                | "multi_static_select"
                | "multi_users_select"
                | "overflow"
                | "datepicker"
                | "timepicker"
                | "checkboxes"
                | "radio_buttons"
                | "plain_text_input"
                | "workflow_button",
            ) => {}
            Some(other) => self.say(format!("unsupported type: {other}"), &format!("{at}/type")),
            None => self.say("missing required field: type", at),
        }
    }

    fn list<'v>(
        &mut self,
        owner: &'v Map<String, Value>,
        key: &str,
        most: usize,
        at: &str,
    ) -> Option<&'v [Value]> {
        let at = format!("{at}/{key}");
        let Some(list) = owner.get(key).and_then(Value::as_array) else {
            self.say(format!("missing required field: {key}"), &at);
            return None;
        };
        if list.is_empty() {
            self.say("no less than 1 items allowed", &at);
        }
        if list.len() > most {
            self.say(format!("no more than {most} items allowed"), &at);
        }
        Some(list)
    }

    fn needed_text(&mut self, owner: &Map<String, Value>, key: &str, kind: Kind, most: usize, at: &str) {
        match owner.get(key) {
            Some(text) => self.text(text, kind, most, &format!("{at}/{key}")),
            None => self.say(format!("missing required field: {key}"), at),
        }
    }

    fn text(&mut self, object: &Value, kind: Kind, most: usize, at: &str) {
        match object.get("type").and_then(Value::as_str) {
            Some("plain_text") => {}
            Some("mrkdwn") if kind == Kind::Either => {}
            Some(other) => return self.say(format!("unsupported type: {other}"), &format!("{at}/type")),
            None => return self.say("missing required field: type", at),
        }
        let Some(text) = object.get("text").and_then(Value::as_str) else {
            return self.say("missing required field: text", at);
        };
        self.length(text, most, &format!("{at}/text"));
    }

    fn needed_string(&mut self, owner: &Map<String, Value>, key: &str, most: usize, at: &str) {
        match owner.get(key).and_then(Value::as_str) {
            Some(text) => self.length(text, most, &format!("{at}/{key}")),
            None => self.say(format!("missing required field: {key}"), at),
        }
    }

    fn length(&mut self, text: &str, most: usize, at: &str) {
        let chars = text.chars().count();
        self.chars += chars;
        if chars == 0 {
            self.say("must be more than 0 characters", at);
        } else if chars > most {
            self.say(format!("must be less than {} characters", most + 1), at);
        }
    }
}

/// Characters of rich text, wherever they are nested.
fn rich_chars(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(rich_chars).sum(),
        Value::Object(object) => {
            let own = object
                .get("text")
                .and_then(Value::as_str)
                .map_or(0, |text| text.chars().count());
            own + object.get("elements").map_or(0, rich_chars)
        }
        _ => 0,
    }
}
