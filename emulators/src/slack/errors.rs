//! Slack's error codes and the body that carries one (always with HTTP 200).

use serde_json::{Map, Value, json};

macro_rules! codes {
    ($($variant:ident = $text:literal,)*) => {
        /// An error code of the Web API, as listed per method in Slack's reference.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $($variant,)*
        }

        impl Code {
            /// The code as it stands in `error`.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    AlreadyArchived = "already_archived",
    AlreadyInChannel = "already_in_channel",
    AlreadyPinned = "already_pinned",
    CantArchiveGeneral = "cant_archive_general",
    CantInvite = "cant_invite",
    CantInviteSelf = "cant_invite_self",
    CantUpdateMessage = "cant_update_message",
    CannotReplyToMessage = "cannot_reply_to_message",
    ChannelNotFound = "channel_not_found",
    FileNotFound = "file_not_found",
    InvalidArguments = "invalid_arguments",
    InvalidAuth = "invalid_auth",
    InvalidBlocks = "invalid_blocks",
    InvalidBlocksFormat = "invalid_blocks_format",
    InvalidBookmarkType = "invalid_bookmark_type",
    InvalidCursor = "invalid_cursor",
    InvalidJson = "invalid_json",
    InvalidLimit = "invalid_limit",
    InvalidLink = "invalid_link",
    InvalidMetadataFormat = "invalid_metadata_format",
    InvalidMetadataSchema = "invalid_metadata_schema",
    InvalidNameMaxlength = "invalid_name_maxlength",
    InvalidNamePunctuation = "invalid_name_punctuation",
    InvalidNameRequired = "invalid_name_required",
    InvalidNameSpecials = "invalid_name_specials",
    InvalidPostType = "invalid_post_type",
    InvalidTsLatest = "invalid_ts_latest",
    InvalidTsOldest = "invalid_ts_oldest",
    InvalidTypes = "invalid_types",
    IsArchived = "is_archived",
    JsonNotObject = "json_not_object",
    LimitRequired = "limit_required",
    MarkdownTextConflict = "markdown_text_conflict",
    MessageNotFound = "message_not_found",
    MetadataTooLarge = "metadata_too_large",
    MethodNotSupportedForChannelType = "method_not_supported_for_channel_type",
    MissingArgument = "missing_argument",
    MissingPostType = "missing_post_type",
    MissingScope = "missing_scope",
    MsgBlocksTooLong = "msg_blocks_too_long",
    MsgTooLong = "msg_too_long",
    NameTaken = "name_taken",
    NoItemSpecified = "no_item_specified",
    NoSuchSubteam = "no_such_subteam",
    NoText = "no_text",
    NoUser = "no_user",
    NotArchived = "not_archived",
    NotAuthed = "not_authed",
    NotAuthorized = "not_authorized",
    NotInChannel = "not_in_channel",
    PostingToChannelDenied = "posting_to_channel_denied",
    RateLimited = "ratelimited",
    ThreadNotFound = "thread_not_found",
    TooLong = "too_long",
    TooManyAttachments = "too_many_attachments",
    TooManyBookmarks = "too_many_bookmarks",
    TooManyPins = "too_many_pins",
    UnknownMethod = "unknown_method",
    UraMaxChannels = "ura_max_channels",
    UserNotFound = "user_not_found",
    UserNotInChannel = "user_not_in_channel",
    UsersNotFound = "users_not_found",
}

/// A refused call: the code, and what else the body says about it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    extra: Map<String, Value>,
}

impl Failure {
    /// Adds a field to the body.
    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.extra.insert(key.to_owned(), value);
        self
    }

    /// Adds `response_metadata.messages`, where Slack names the argument at fault.
    pub(crate) fn saying(self, messages: &[String]) -> Self {
        self.with("response_metadata", json!({ "messages": messages }))
    }

    /// The response body.
    pub(crate) fn body(&self) -> Map<String, Value> {
        let mut body = self.extra.clone();
        body.insert("ok".to_owned(), Value::Bool(false));
        body.insert("error".to_owned(), Value::from(self.code.as_str()));
        body
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self {
            code,
            extra: Map::new(),
        }
    }
}

/// `invalid_arguments` for a required argument that is missing.
pub(crate) fn missing(argument: &str) -> Failure {
    Failure::from(Code::InvalidArguments).saying(&[format!("[ERROR] missing required field: {argument}")])
}
