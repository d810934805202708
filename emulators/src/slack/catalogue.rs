//! The methods the emulator speaks: name, tier, encoding and scopes, as Slack's reference lists them.

use super::limits::Rate;

macro_rules! methods {
    ($($variant:ident $name:literal $tier:ident $input:ident $scopes:expr;)*) => {
        /// A Web API method.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Method {
            $($variant,)*
        }

        impl Method {
            /// The method of that name, as it stands in the path.
            pub(crate) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name, as it stands in the path.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What the reference says about it.
            pub(crate) fn spec(self) -> Spec {
                match self {
                    $(Self::$variant => Spec { tier: Tier::$tier, input: Input::$input, scopes: $scopes },)*
                }
            }
        }
    };
}

/// One method's row of the reference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) tier: Tier,
    pub(crate) input: Input,
    pub(crate) scopes: Scopes,
}

/// Rate limit tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    T2,
    T3,
    T4,
    /// `auth.test`, `chat.getPermalink`: hundreds a minute.
    Special,
    /// `chat.postMessage`: about one a second and channel, with a short burst.
    Post,
}

impl Tier {
    /// The tier as a bucket.
    pub(crate) fn rate(self) -> Rate {
        match self {
            Self::T2 => Rate {
                burst: 20,
                per_minute: 20,
            },
            Self::T3 => Rate {
                burst: 50,
                per_minute: 50,
            },
            Self::T4 => Rate {
                burst: 100,
                per_minute: 100,
            },
            Self::Special => Rate {
                burst: 300,
                per_minute: 300,
            },
            Self::Post => Rate {
                burst: 10,
                per_minute: 60,
            },
        }
    }
}

/// How a method takes its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Query or form; a JSON body is refused.
    Form,
    /// Query, form, or JSON with its content type.
    Json,
}

/// Scopes, any one of which lets a call pass.
pub(crate) type AnyOf = &'static [&'static str];

/// What a method asks of the token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scopes {
    None,
    Fixed(AnyOf),
    /// Depends on whether the channel is public or private.
    ByChannel {
        public: AnyOf,
        private: AnyOf,
    },
}

const MANAGE: Scopes = Scopes::ByChannel {
    public: &["channels:manage"],
    private: &["groups:write"],
};
const READ: Scopes = Scopes::ByChannel {
    public: &["channels:read"],
    private: &["groups:read"],
};
const HISTORY: Scopes = Scopes::ByChannel {
    public: &["channels:history"],
    private: &["groups:history"],
};
const INVITE: Scopes = Scopes::ByChannel {
    public: &["channels:manage", "channels:write.invites"],
    private: &["groups:write", "groups:write.invites"],
};
const TOPIC: Scopes = Scopes::ByChannel {
    public: &["channels:manage", "channels:write.topic"],
    private: &["groups:write", "groups:write.topic"],
};
const WRITE: Scopes = Scopes::Fixed(&["chat:write"]);

methods! {
    AuthTest "auth.test" Special Json Scopes::None;
    BookmarksAdd "bookmarks.add" T2 Json Scopes::Fixed(&["bookmarks:write"]);
    BookmarksList "bookmarks.list" T3 Json Scopes::Fixed(&["bookmarks:read"]);
    ChatGetPermalink "chat.getPermalink" Special Form Scopes::None;
    ChatPostEphemeral "chat.postEphemeral" T4 Json WRITE;
    ChatPostMessage "chat.postMessage" Post Json WRITE;
    ChatUpdate "chat.update" T3 Json WRITE;
    ConversationsArchive "conversations.archive" T2 Json MANAGE;
    ConversationsCreate "conversations.create" T2 Json MANAGE;
    ConversationsHistory "conversations.history" T3 Json HISTORY;
    ConversationsInfo "conversations.info" T3 Form READ;
    ConversationsInvite "conversations.invite" T3 Json INVITE;
    ConversationsJoin "conversations.join" T3 Json Scopes::Fixed(&["channels:join"]);
    ConversationsList "conversations.list" T2 Form READ;
    ConversationsMembers "conversations.members" T4 Form READ;
    ConversationsRename "conversations.rename" T2 Json MANAGE;
    ConversationsReplies "conversations.replies" T3 Form HISTORY;
    ConversationsSetPurpose "conversations.setPurpose" T2 Json TOPIC;
    ConversationsSetTopic "conversations.setTopic" T2 Json TOPIC;
    ConversationsUnarchive "conversations.unarchive" T2 Json MANAGE;
    FilesCompleteUploadExternal "files.completeUploadExternal" T4 Json Scopes::Fixed(&["files:write"]);
    FilesGetUploadUrlExternal "files.getUploadURLExternal" T4 Form Scopes::Fixed(&["files:write"]);
    PinsAdd "pins.add" T2 Json Scopes::Fixed(&["pins:write"]);
    PinsList "pins.list" T2 Form Scopes::Fixed(&["pins:read"]);
    UsergroupsList "usergroups.list" T2 Form Scopes::Fixed(&["usergroups:read"]);
    UsergroupsUsersList "usergroups.users.list" T2 Form Scopes::Fixed(&["usergroups:read"]);
    UsersList "users.list" T2 Form Scopes::Fixed(&["users:read"]);
    UsersLookupByEmail "users.lookupByEmail" T3 Form Scopes::Fixed(&["users:read.email"]);
}
