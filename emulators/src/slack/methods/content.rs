//! What a message says, read from a call's arguments and checked.

use serde_json::Value;

use super::super::{
    args::Args,
    blocks,
    errors::{Code, Failure},
    mentions::{Audience, BareNames},
    state::{Content, Workspace},
};

/// Characters of `text` that are kept.
const TEXT_CHARS: usize = 40_000;
/// Characters of `markdown_text`.
const MARKDOWN_CHARS: usize = 12_000;
/// Attachments of a message.
const ATTACHMENTS: usize = 100;
/// Bytes of metadata. Slack documents that there is a limit (`metadata_too_large`), not which.
const METADATA_BYTES: usize = 16_384;

/// A checked content, and whether its text was cut.
pub(crate) struct Draft {
    pub(crate) content: Content,
    pub(crate) truncated: bool,
}

/// Reads `text`, `markdown_text`, `blocks`, `attachments` and `metadata`.
pub(crate) fn draft(args: &Args, ws: &Workspace) -> Result<Draft, Failure> {
    let blocks = match args.json("blocks").map_err(|_| Code::InvalidBlocksFormat)? {
        Some(value) => blocks::check(&value)?,
        None => Vec::new(),
    };
    let attachments = attachments(args)?;
    let metadata = metadata(args)?;
    let mut text = args.text("text").unwrap_or_default().into_owned();
    if let Some(markdown) = args.text("markdown_text") {
        if !text.is_empty() || !blocks.is_empty() {
            return Err(Code::MarkdownTextConflict.into());
        }
        if markdown.chars().count() > MARKDOWN_CHARS {
            return Err(Code::MsgTooLong.into());
        }
        text = markdown.into_owned();
    }
    if text.trim().is_empty() && blocks.is_empty() && attachments.is_empty() {
        return Err(Code::NoText.into());
    }
    let truncated = text.chars().count() > TEXT_CHARS;
    if truncated {
        text = text.chars().take(TEXT_CHARS).collect();
    }
    let linked = args.flag("link_names") || args.text("parse").as_deref() == Some("full");
    let names = if linked {
        BareNames::Linked
    } else {
        BareNames::Inert
    };
    let audience = Audience::of(&text, &blocks, &attachments, names, ws);
    Ok(Draft {
        content: Content {
            text,
            blocks,
            attachments,
            metadata,
            audience,
        },
        truncated,
    })
}

fn attachments(args: &Args) -> Result<Vec<Value>, Failure> {
    let found = args.json("attachments").map_err(|_| Code::InvalidArguments)?;
    match found.map(|value| value.into_owned()) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() > ATTACHMENTS => Err(Code::TooManyAttachments.into()),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(Code::InvalidArguments.into()),
    }
}

fn metadata(args: &Args) -> Result<Option<Value>, Failure> {
    let Some(value) = args.json("metadata").map_err(|_| Code::InvalidMetadataFormat)? else {
        return Ok(None);
    };
    let Value::Object(fields) = value.as_ref() else {
        return Err(Code::InvalidMetadataFormat.into());
    };
    let named = fields
        .get("event_type")
        .and_then(Value::as_str)
        .is_some_and(|name| !name.is_empty());
    let carried = fields.get("event_payload").is_some_and(Value::is_object);
    let known = fields
        .keys()
        .all(|key| matches!(key.as_str(), "event_type" | "event_payload" | "entities"));
    if !(named && carried && known) {
        return Err(Code::InvalidMetadataSchema.into());
    }
    if value.to_string().len() > METADATA_BYTES {
        return Err(Code::MetadataTooLarge.into());
    }
    Ok(Some(value.into_owned()))
}
