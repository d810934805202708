//! Who was called: how each was matched, who is in the room, who is not and why.

use std::collections::BTreeMap;

use proto::v1;
use types::{Match, Person, WarRoom};

use super::output;
use crate::parts::{Shape, Status};

/// One who was called.
#[derive(Debug, Clone, PartialEq)]
pub struct Responder {
    pub(super) person: Person,
    /// None while there is no room.
    pub(super) presence: Presence,
}

/// Whether somebody is in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Presence {
    /// There is no room yet.
    NoRoom,
    /// Invited, or there already.
    In,
    /// The vendor refused.
    Refused(String),
    /// Nobody was chosen, so nobody was invited.
    NotInvited,
}

/// A room that a run made or found.
#[derive(Debug, Clone, PartialEq)]
pub struct Room {
    /// The run that made it.
    pub run: String,
    /// As the run left it.
    pub room: WarRoom,
}

impl Room {
    /// How many are in.
    #[must_use]
    pub fn invited(&self) -> usize {
        self.room
            .invited
            .iter()
            .filter(|one| one.refused.is_none())
            .count()
    }
}

impl Responder {
    /// Whether this one is in the room.
    #[must_use]
    pub fn is_in(&self) -> bool {
        self.presence == Presence::In
    }

    /// The name to show: of the account where one was found.
    #[must_use]
    pub fn name(&self) -> &str {
        self.person.name.as_deref().unwrap_or(&self.person.query)
    }

    /// How the account was found.
    #[must_use]
    pub const fn matched(&self) -> &'static str {
        match self.person.matched {
            Match::Id => "by id",
            Match::Email => "by e-mail",
            Match::DisplayName => "by display name",
            Match::Username => "by username",
            Match::Fuzzy => "by likeness",
            Match::Ambiguous => "several fit",
            Match::Missing => "nobody fits",
        }
    }

    /// How sure a match by likeness is: `87 %`.
    #[must_use]
    pub fn sure(&self) -> Option<String> {
        (self.person.matched == Match::Fuzzy).then(|| format!("{:.0} % alike", self.person.score * 100.0))
    }

    /// Whether this one is there.
    #[must_use]
    pub fn status(&self) -> askama::filters::Safe<Status<'static>> {
        match (&self.presence, self.person.matched) {
            (Presence::In, _) => Status::new(Shape::Good, "in the room"),
            (Presence::Refused(_), _) => Status::new(Shape::Bad, "not invited"),
            (_, Match::Missing) => Status::new(Shape::Bad, "not found"),
            (_, Match::Ambiguous) => Status::new(Shape::Doubt, "ambiguous"),
            (Presence::NotInvited, _) => Status::new(Shape::Degraded, "not invited"),
            (Presence::NoRoom, _) => Status::new(Shape::Waiting, "found, no room yet"),
        }
    }

    /// Why not in, or what else is to be known.
    #[must_use]
    pub fn why(&self) -> Vec<String> {
        let mut why = Vec::new();
        if let Presence::Refused(reason) = &self.presence {
            why.push(reason.clone());
        }
        why.extend(self.person.note.clone());
        if !self.person.candidates.is_empty() {
            let word = if self.person.matched == Match::Missing {
                "nearest"
            } else {
                "candidates"
            };
            why.push(format!("{word}: {}", self.person.candidates.join(", ")));
        }
        if self.person.guest {
            why.push("a guest's account".to_owned());
        }
        why
    }
}

/// The people of the newest run that looked for any, and the rooms of all runs, newest first, each channel once.
pub(super) fn staff(runs: &[v1::Run]) -> (Vec<Responder>, Vec<Room>) {
    let steps = || {
        runs.iter()
            .rev()
            .flat_map(|run| run.steps.iter().map(move |step| (run, step)))
    };
    let mut rooms: Vec<Room> = Vec::new();
    for (run, step) in steps() {
        if let Some(room) = output::<WarRoom>(step, "slack/war-room", "room")
            && rooms.iter().all(|known| known.room.channel != room.channel)
        {
            rooms.push(Room {
                run: run.id.clone(),
                room,
            });
        }
    }
    let people = steps().find_map(|(_, step)| output::<Vec<Person>>(step, "slack/resolve-users", "people"));
    let invited: BTreeMap<&str, Option<&String>> = rooms
        .first()
        .iter()
        .flat_map(|room| &room.room.invited)
        .map(|one| (one.user_id.as_str(), one.refused.as_ref()))
        .collect();
    let presence = |person: &Person| {
        let found = person.user_id.as_deref().and_then(|id| invited.get(id));
        match (rooms.is_empty(), found) {
            (true, _) => Presence::NoRoom,
            (false, Some(None)) => Presence::In,
            (false, Some(Some(reason))) => Presence::Refused((*reason).clone()),
            (false, None) => Presence::NotInvited,
        }
    };
    let people = people.unwrap_or_default().into_iter();
    let people = people
        .map(|person| Responder {
            presence: presence(&person),
            person,
        })
        .collect();
    (people, rooms)
}
