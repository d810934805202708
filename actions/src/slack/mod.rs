//! The actions `slack/…`, by Slack's Web API. Facts about it come from <https://docs.slack.dev>.

mod archive;
mod bookmark;
mod brief;
mod channel;
mod channel_name;
mod client;
mod connect;
mod content;
mod directory;
mod error;
mod escape;
mod groups;
mod identity;
mod invite;
mod matching;
mod message;
mod pages;
mod post;
mod render;
mod resolve_users;
mod update_message;
mod upload;
mod war_room;

use std::sync::Arc;

use tokio::{sync::Mutex, time::Instant};

pub(crate) use archive::Archive;
pub(crate) use bookmark::Bookmark;
pub(crate) use connect::Connect;
pub(crate) use post::Post;
pub(crate) use resolve_users::ResolveUsers;
pub(crate) use update_message::UpdateMessage;
pub(crate) use upload::Upload;
pub(crate) use war_room::WarRoom;

/// Slack itself.
pub(crate) const DEFAULT_BASE: &str = "https://slack.com/api/";

/// What a connection remembers for a minute: who we are, the workspace's directory and its user groups.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    identity: Mutex<Option<(Instant, Arc<identity::Identity>)>>,
    directory: Mutex<Option<(Instant, Arc<directory::Directory>)>>,
    groups: Mutex<Option<(Instant, Arc<Vec<groups::Group>>)>>,
}
