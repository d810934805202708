//! The methods' effects: each takes its arguments, changes the workspace, and answers.

mod auth;
mod bookmarks;
mod chat;
mod content;
mod conversations;
mod files;
mod history;
mod lifecycle;
mod membership;
mod notes;
mod pins;
mod usergroups;
mod users;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub(super) use chat::find as find_channel;
pub(super) use content::{Draft, draft};

use super::{
    args::Args,
    catalogue::Method,
    errors::{Code, Failure},
    ids::Ts,
    state::{Channel, Workspace},
};

/// What a method works on.
pub(crate) struct Call<'c> {
    pub(crate) ws: &'c mut Workspace,
    pub(crate) args: &'c Args,
    pub(crate) scopes: &'c BTreeSet<String>,
    pub(crate) now: Ts,
    /// Host and port under which the caller reaches us.
    pub(crate) host: &'c str,
}

/// The body of a success, without its `ok`.
pub(crate) type Answer = Result<Map<String, Value>, Failure>;

/// Runs one method.
pub(crate) fn run(method: Method, call: &mut Call<'_>) -> Answer {
    match method {
        Method::AuthTest => auth::test(call),
        Method::BookmarksAdd => bookmarks::add(call),
        Method::BookmarksList => bookmarks::list(call),
        Method::ChatGetPermalink => chat::permalink(call),
        Method::ChatPostEphemeral => chat::post_ephemeral(call),
        Method::ChatPostMessage => chat::post_message(call),
        Method::ChatUpdate => chat::update(call),
        Method::ConversationsArchive => lifecycle::archive(call),
        Method::ConversationsCreate => lifecycle::create(call),
        Method::ConversationsHistory => history::history(call),
        Method::ConversationsInfo => conversations::info(call),
        Method::ConversationsInvite => membership::invite(call),
        Method::ConversationsJoin => membership::join(call),
        Method::ConversationsList => conversations::list(call),
        Method::ConversationsMembers => conversations::members(call),
        Method::ConversationsRename => lifecycle::rename(call),
        Method::ConversationsReplies => history::replies(call),
        Method::ConversationsSetPurpose => notes::set_purpose(call),
        Method::ConversationsSetTopic => notes::set_topic(call),
        Method::ConversationsUnarchive => lifecycle::unarchive(call),
        Method::FilesCompleteUploadExternal => files::complete(call),
        Method::FilesGetUploadUrlExternal => files::address(call),
        Method::PinsAdd => pins::add(call),
        Method::PinsList => pins::list(call),
        Method::UsergroupsList => usergroups::list(call),
        Method::UsergroupsUsersList => usergroups::users_list(call),
        Method::UsersList => users::list(call),
        Method::UsersLookupByEmail => users::lookup_by_email(call),
    }
}

impl Call<'_> {
    /// The place of the channel in `channel`, if the bot can see it.
    fn channel(&self) -> Result<usize, Failure> {
        let id = self
            .args
            .text("channel")
            .ok_or(Failure::from(Code::ChannelNotFound))?;
        self.ws.visible(&id).ok_or_else(|| Code::ChannelNotFound.into())
    }

    /// The channel in `channel`, which the bot must be in and which must be open.
    fn open_channel(&mut self) -> Result<(usize, &mut Channel), Failure> {
        let place = self.channel()?;
        let bot = self.ws.bot.user.clone();
        let channel = &mut self.ws.channels[place];
        if channel.is_archived {
            return Err(Code::IsArchived.into());
        }
        if !channel.has(&bot) {
            return Err(Code::NotInChannel.into());
        }
        Ok((place, channel))
    }

    /// The message `ts` that the argument `key` names.
    fn ts(&self, key: &str) -> Result<Ts, Failure> {
        let text = self.args.required(key)?;
        Ts::parse(&text).ok_or_else(|| Code::MessageNotFound.into())
    }
}

/// A success with these fields.
fn answer<const N: usize>(fields: [(&str, Value); N]) -> Answer {
    Ok(fields
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect())
}
