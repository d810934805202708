//! The workspace in memory: channels, messages, pins and bookmarks.

use serde_json::Value;

use super::{
    config::{Bot, Config, Team},
    directory::{User, UserGroup},
    ids::{ChannelId, Ts, UserId},
    mentions::Audience,
};

/// Everything the workspace holds.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) team: Team,
    pub(crate) bot: Bot,
    pub(crate) users: Vec<User>,
    pub(crate) groups: Vec<UserGroup>,
    /// In order of creation.
    pub(crate) channels: Vec<Channel>,
    /// Files, shared or not, in the order of their addresses.
    pub(crate) files: Vec<File>,
}

/// An uploaded file, or the address that waits for one.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) id: String,
    /// The end of the address for its bytes.
    pub(crate) ticket: String,
    pub(crate) name: String,
    pub(crate) title: String,
    /// As it was announced.
    pub(crate) length: usize,
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) created: Ts,
    /// Whether the upload was completed.
    pub(crate) complete: bool,
}

/// A topic or a purpose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    pub(crate) value: String,
    pub(crate) creator: Option<UserId>,
    pub(crate) last_set: u64,
}

/// A public or private channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    pub(crate) name: String,
    pub(crate) previous_names: Vec<String>,
    pub(crate) is_private: bool,
    pub(crate) is_archived: bool,
    pub(crate) creator: UserId,
    pub(crate) created: Ts,
    pub(crate) topic: Note,
    pub(crate) purpose: Note,
    /// In order of joining.
    pub(crate) members: Vec<UserId>,
    /// Replies among them, ordered by `ts`.
    pub(crate) messages: Vec<Message>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) bookmarks: Vec<Bookmark>,
    /// Seen by one person only, gone after a reload.
    pub(crate) ephemerals: Vec<(UserId, Message)>,
}

/// What made a message that nobody wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subtype {
    ChannelJoin,
    ChannelTopic,
    ChannelPurpose,
    ChannelName,
    ChannelArchive,
    ChannelUnarchive,
    ThreadBroadcast,
}

impl Subtype {
    /// As it stands in `subtype`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ChannelJoin => "channel_join",
            Self::ChannelTopic => "channel_topic",
            Self::ChannelPurpose => "channel_purpose",
            Self::ChannelName => "channel_name",
            Self::ChannelArchive => "channel_archive",
            Self::ChannelUnarchive => "channel_unarchive",
            Self::ThreadBroadcast => "thread_broadcast",
        }
    }
}

/// What a message says, without its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) text: String,
    pub(crate) blocks: Vec<Value>,
    pub(crate) attachments: Vec<Value>,
    pub(crate) metadata: Option<Value>,
    pub(crate) audience: Audience,
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) ts: Ts,
    pub(crate) author: UserId,
    pub(crate) subtype: Option<Subtype>,
    /// The parent's `ts`, for a reply.
    pub(crate) thread: Option<Ts>,
    pub(crate) content: Content,
    pub(crate) edited: Option<Ts>,
    pub(crate) unfurl_links: bool,
    pub(crate) unfurl_media: bool,
    /// Ids of the files it brings.
    pub(crate) files: Vec<String>,
    /// Shown instead of the bot's name (`chat:write.customize`).
    pub(crate) username: Option<String>,
}

/// A pinned message.
#[derive(Debug)]
pub(crate) struct Pin {
    pub(crate) ts: Ts,
    pub(crate) by: UserId,
    pub(crate) at: Ts,
}

/// A bookmark in a channel's header.
#[derive(Debug)]
pub(crate) struct Bookmark {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) link: String,
    pub(crate) emoji: Option<String>,
    pub(crate) at: Ts,
}

impl Message {
    /// A message with the defaults, to be added to a channel (which gives it its `ts`).
    pub(crate) fn new(author: UserId, content: Content) -> Self {
        Self {
            ts: Ts::from_micros(0),
            author,
            subtype: None,
            thread: None,
            content,
            edited: None,
            unfurl_links: true,
            unfurl_media: true,
            files: Vec::new(),
            username: None,
        }
    }
}

impl Channel {
    /// Adds a message; its `ts` is the time, or the next free one after the last message's.
    pub(crate) fn push(&mut self, now: Ts, mut message: Message) -> Ts {
        let free = self.messages.last().map(|last| last.ts.next());
        message.ts = free.map_or(now, |free| free.max(now));
        let ts = message.ts;
        self.messages.push(message);
        ts
    }

    /// Adds a line that the system writes, such as "set the channel topic".
    pub(crate) fn system(&mut self, now: Ts, author: &UserId, subtype: Subtype, text: String) {
        let content = Content {
            text,
            ..Content::default()
        };
        let mut message = Message::new(author.clone(), content);
        message.subtype = Some(subtype);
        self.push(now, message);
    }

    /// Makes `user` a member, with the line that says so; false when it was one.
    pub(crate) fn join(&mut self, now: Ts, user: &UserId) -> bool {
        if self.has(user) {
            return false;
        }
        self.members.push(user.clone());
        self.system(
            now,
            user,
            Subtype::ChannelJoin,
            format!("<@{user}> has joined the channel"),
        );
        true
    }

    /// Whether `user` is a member.
    pub(crate) fn has(&self, user: &UserId) -> bool {
        self.members.contains(user)
    }

    /// The message with that `ts`.
    pub(crate) fn message(&self, ts: Ts) -> Option<&Message> {
        let place = self
            .messages
            .binary_search_by_key(&ts, |message| message.ts)
            .ok()?;
        self.messages.get(place)
    }

    /// The same, to change.
    pub(crate) fn message_mut(&mut self, ts: Ts) -> Option<&mut Message> {
        let place = self
            .messages
            .binary_search_by_key(&ts, |message| message.ts)
            .ok()?;
        self.messages.get_mut(place)
    }

    /// The replies in a thread, oldest first.
    pub(crate) fn replies(&self, parent: Ts) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages
            .iter()
            .filter(move |message| message.thread == Some(parent))
    }
}

impl Workspace {
    /// The workspace a configuration describes.
    pub(crate) fn new(config: &Config, now: Ts) -> Self {
        let mut workspace = Self {
            team: config.team.clone(),
            bot: config.bot.clone(),
            users: config.directory.clone(),
            groups: config.groups.clone(),
            channels: Vec::new(),
            files: Vec::new(),
        };
        for seed in &config.channels {
            let creator = seed.members.first().unwrap_or(&config.bot.user);
            let place = workspace.open_channel(&seed.name, seed.is_private, creator, now);
            let channel = &mut workspace.channels[place];
            channel.topic = Note {
                value: seed.topic.clone(),
                creator: None,
                last_set: now.seconds(),
            };
            for member in &seed.members {
                if !channel.has(member) {
                    channel.members.push(member.clone());
                }
            }
        }
        workspace
    }

    /// Adds a channel whose only member is its creator; gives its place.
    pub(crate) fn open_channel(&mut self, name: &str, is_private: bool, creator: &UserId, now: Ts) -> usize {
        let place = self.channels.len();
        self.channels.push(Channel {
            id: format!("C08EMU{place:05}").into(),
            name: name.to_owned(),
            previous_names: Vec::new(),
            is_private,
            is_archived: false,
            creator: creator.clone(),
            created: now,
            topic: Note::default(),
            purpose: Note::default(),
            members: vec![creator.clone()],
            messages: Vec::new(),
            pins: Vec::new(),
            bookmarks: Vec::new(),
            ephemerals: Vec::new(),
        });
        place
    }

    /// The user with that id.
    pub(crate) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id.as_str() == id)
    }

    /// The place of a channel by id, as the bot sees it: a private one it is not in does not exist.
    pub(crate) fn visible(&self, id: &str) -> Option<usize> {
        let place = self
            .channels
            .iter()
            .position(|channel| channel.id.as_str() == id)?;
        let channel = self.channels.get(place)?;
        (!channel.is_private || channel.has(&self.bot.user)).then_some(place)
    }

    /// Whether a name is taken; an archived channel keeps its own, and a private one counts unseen.
    pub(crate) fn name_taken(&self, name: &str) -> bool {
        self.channels.iter().any(|channel| channel.name == name)
    }

    /// The name of a user, group or channel, as a mention of it shows.
    pub(crate) fn name_of(&self, id: &str) -> Option<&str> {
        let user = || self.user(id).map(User::shown);
        let group = || {
            self.groups
                .iter()
                .find(|group| group.id.as_str() == id)
                .map(|group| group.handle.as_str())
        };
        let channel = || {
            self.channels
                .iter()
                .find(|channel| channel.id.as_str() == id)
                .map(|channel| channel.name.as_str())
        };
        user().or_else(group).or_else(channel)
    }
}
