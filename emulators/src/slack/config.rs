//! What workspace to emulate, and for whom.

use std::{
    collections::BTreeSet,
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use super::{
    directory::{self, SeedChannel, User, UserGroup},
    ids::UserId,
};

/// The workspace itself.
#[derive(Clone, Debug)]
pub struct Team {
    /// Id, `T…`.
    pub id: String,
    /// Name.
    pub name: String,
    /// The `<domain>.slack.com` part.
    pub domain: String,
}

/// The app the token belongs to.
#[derive(Clone, Debug)]
pub struct Bot {
    /// The bot's user; must be in the directory.
    pub user: UserId,
    /// `B…`.
    pub bot_id: String,
    /// `A…`.
    pub app_id: String,
}

/// Whether rate limits bite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// As documented, per tier.
    Enforced,
    /// Never (faults can still inject them).
    Off,
}

/// Everything the emulator is started with.
#[derive(Clone)]
pub struct Config {
    /// The one accepted bearer token.
    pub token: String,
    /// The scopes granted to it.
    pub scopes: BTreeSet<String>,
    /// All users.
    pub directory: Vec<User>,
    /// All user groups.
    pub groups: Vec<UserGroup>,
    /// Channels that exist from the start.
    pub channels: Vec<SeedChannel>,
    /// The workspace.
    pub team: Team,
    /// The app.
    pub bot: Bot,
    /// Where [`super::spawn`] listens; port 0 for any.
    pub listen: SocketAddr,
    /// Whether rate limits bite.
    pub limits: Limits,
}

impl Config {
    /// The demo's workspace: a team of fifteen accounts, a few channels, all scopes, limits enforced.
    ///
    /// Its token is public and opens nothing but the emulator.
    pub fn demo() -> Self {
        const SCOPES: [&str; 21] = [
            "bookmarks:read",
            "bookmarks:write",
            "channels:history",
            "channels:join",
            "channels:manage",
            "channels:read",
            "channels:write.invites",
            "channels:write.topic",
            "chat:write",
            "chat:write.public",
            "files:write",
            "groups:history",
            "groups:read",
            "groups:write",
            "groups:write.invites",
            "groups:write.topic",
            "pins:read",
            "pins:write",
            "usergroups:read",
            "users:read",
            "users:read.email",
        ];
        Self {
            token: "xoxb-emulator-demo".to_owned(),
            scopes: SCOPES.map(str::to_owned).into(),
            directory: directory::demo_users(),
            groups: directory::demo_groups(),
            channels: directory::demo_channels(),
            team: Team {
                id: "T08COMPANY1".to_owned(),
                name: "Company".to_owned(),
                domain: "company".to_owned(),
            },
            bot: Bot {
                user: "U08FIREHALL".into(),
                bot_id: "B08FIREHALL".to_owned(),
                app_id: "A08FIREHALL".to_owned(),
            },
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            limits: Limits::Enforced,
        }
    }

    /// Adds `count` made-up members, the same ones each time, so that the directory has many pages.
    #[must_use]
    pub fn with_generated_users(mut self, count: usize) -> Self {
        self.directory.extend(directory::generated_users(count));
        self
    }

    /// Takes one scope away.
    #[must_use]
    pub fn without_scope(mut self, scope: &str) -> Self {
        self.scopes.remove(scope);
        self
    }

    /// Turns the rate limits off.
    #[must_use]
    pub fn without_limits(mut self) -> Self {
        self.limits = Limits::Off;
        self
    }

    /// Sets the address to listen on.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }
}

impl fmt::Debug for Config {
    /// Everything but the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("token", &"(hidden)")
            .field("team", &self.team)
            .field("bot", &self.bot)
            .field("scopes", &self.scopes)
            .field("users", &self.directory.len())
            .field("listen", &self.listen)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
