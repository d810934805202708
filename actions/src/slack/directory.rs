//! The workspace's people: `users.list`, all pages, kept for a minute.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{client::Slack, error::SlackError};

/// Asked for at once; fewer may come before the end.
const PAGE: &str = "200";
/// Pages that are read: 200,000 people.
const PAGES: usize = 1_000;
/// How often a directory that changed under us is begun again.
const RESTARTS: usize = 3;
/// How long it is believed.
const KEPT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    pub(crate) users: Vec<User>,
    /// Whether anybody's e-mail address is shown: without the scope users:read.email nobody's is.
    pub(crate) has_emails: bool,
    /// Whether the end was reached.
    pub(crate) whole: bool,
}

/// A person, as far as we look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: String,
    /// The old username.
    pub(crate) name: String,
    pub(crate) real_name: String,
    pub(crate) display_name: String,
    pub(crate) email: String,
    pub(crate) deleted: bool,
    pub(crate) bot: bool,
    pub(crate) guest: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    id: String,
    name: Option<String>,
    real_name: Option<String>,
    deleted: bool,
    is_bot: bool,
    is_restricted: bool,
    is_ultra_restricted: bool,
    profile: Profile,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Profile {
    email: Option<String>,
    display_name: Option<String>,
    real_name: Option<String>,
}

impl User {
    /// What people call this person.
    pub(crate) fn label(&self) -> &str {
        [&self.display_name, &self.real_name, &self.name]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or(&self.id)
    }

    fn read(value: &Value) -> Option<Self> {
        let wire = Wire::deserialize(value).ok().filter(|wire| !wire.id.is_empty())?;
        Some(Self {
            // Slackbot is not reliably marked as a bot.
            bot: wire.is_bot || wire.id == "USLACKBOT",
            id: wire.id,
            name: wire.name.unwrap_or_default(),
            real_name: wire.profile.real_name.or(wire.real_name).unwrap_or_default(),
            display_name: wire.profile.display_name.unwrap_or_default(),
            email: wire.profile.email.unwrap_or_default(),
            deleted: wire.deleted,
            guest: wire.is_restricted || wire.is_ultra_restricted,
        })
    }
}

impl Slack<'_> {
    /// The directory. Whoever asks meanwhile waits for the same answer.
    pub(crate) async fn directory(&self) -> Result<Arc<Directory>, SlackError> {
        let mut kept = self.connection.cache.directory.lock().await;
        if let Some((at, directory)) = &*kept
            && at.elapsed() < KEPT
        {
            return Ok(directory.clone());
        }
        let directory = Arc::new(self.read_directory().await?);
        *kept = Some((Instant::now(), directory.clone()));
        Ok(directory)
    }

    async fn read_directory(&self) -> Result<Directory, SlackError> {
        let mut restarts = 0;
        'begin: loop {
            let mut directory = Directory::default();
            let mut cursor = String::new();
            for _ in 0..PAGES {
                let mut query = vec![("limit", PAGE)];
                if !cursor.is_empty() {
                    query.push(("cursor", &cursor));
                }
                let reply = match self.read("users.list", &query).await {
                    Ok(reply) => reply,
                    Err(error) if error.code() == Some("invalid_cursor") && restarts < RESTARTS => {
                        restarts += 1;
                        continue 'begin;
                    }
                    Err(error) => return Err(error),
                };
                directory
                    .users
                    .extend(reply.list("members").iter().filter_map(User::read));
                match reply.next_cursor() {
                    Some(next) if next != cursor => cursor = next,
                    _ => {
                        directory.whole = true;
                        break;
                    }
                }
            }
            directory.has_emails = directory.users.iter().any(|user| !user.email.is_empty());
            return Ok(directory);
        }
    }
}
