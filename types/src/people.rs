//! People and the room they meet in.

use serde::{Deserialize, Serialize};

use crate::Type;

/// How a person was found, from sure to unsure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// By the vendor's id.
    Id,
    /// By e-mail address.
    Email,
    /// By an exact display name that only one person has.
    DisplayName,
    /// By the exact username.
    Username,
    /// By likeness: a suggestion, never an invitation to a private room by itself.
    Fuzzy,
    /// Two or more people fit: nobody is chosen.
    Ambiguous,
    /// Nobody fits.
    Missing,
}

impl Match {
    /// The word that every surface uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Email => "email",
            Self::DisplayName => "display_name",
            Self::Username => "username",
            Self::Fuzzy => "fuzzy",
            Self::Ambiguous => "ambiguous",
            Self::Missing => "missing",
        }
    }
}

/// What became of one name that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// What was asked for.
    pub query: String,
    /// How it was matched.
    pub matched: Match,
    /// The vendor's user id, when one person was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The person's name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// From 0 to 1; 1 for exact matches.
    pub score: f64,
    /// Those who fit, when ambiguous, or the nearest, when missing: names, at most 5.
    #[serde(default)]
    pub candidates: Vec<String>,
    /// Whether the account is a guest's.
    #[serde(default)]
    pub guest: bool,
    /// Why not, or what to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Person {
    /// The language's type of a resolution.
    #[must_use]
    pub fn ty() -> Type {
        Type::record(
            "person",
            [
                ("query", Type::String),
                ("matched", Type::String),
                ("user_id?", Type::String),
                ("name?", Type::String),
                ("score", Type::Float),
                ("candidates", Type::list(Type::String)),
                ("guest", Type::Bool),
                ("note?", Type::String),
            ],
        )
    }
}

/// What became of one invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The vendor's user id.
    pub user_id: String,
    /// The person's name for people.
    pub name: String,
    /// Why the person is not in, when not: the vendor's code and our words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// WAR_ROOM: the channel as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarRoom {
    /// The channel's id.
    pub channel: String,
    /// Its name as the vendor keeps it.
    pub name: String,
    /// Whether it is private.
    pub private: bool,
    /// Whether it was there before and is ours.
    pub adopted: bool,
    /// The brief's message id: the thread's parent.
    pub message_ts: String,
    /// A link to the brief.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Who is in and who could not be invited.
    pub invited: Vec<Invitation>,
}

impl WarRoom {
    /// The language's type of a war room.
    #[must_use]
    pub fn ty() -> Type {
        let invitation = Type::record(
            "invitation",
            [
                ("user_id", Type::String),
                ("name", Type::String),
                ("refused?", Type::String),
            ],
        );
        Type::record(
            "war_room",
            [
                ("channel", Type::String),
                ("name", Type::String),
                ("private", Type::Bool),
                ("adopted", Type::Bool),
                ("message_ts", Type::String),
                ("link?", Type::String),
                ("invited", Type::list(invitation)),
            ],
        )
    }
}
