//! User groups: `@backend-team` → its members. Read at most once a minute, and only when a name is nobody's.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;
use types::{Match, Person};

use super::{client::Slack, directory::Directory, error::SlackError, matching};

/// How long they are believed.
const KEPT: Duration = Duration::from_secs(60);

/// A user group that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    id: String,
    handle: String,
    users: Vec<String>,
}

impl Group {
    fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let disabled = value.get("date_delete").and_then(Value::as_i64).unwrap_or(0) != 0;
        let users = value.get("users").and_then(Value::as_array);
        (!disabled).then_some(Self {
            id: text("id")?.to_owned(),
            handle: text("handle")?.to_owned(),
            users: users
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Its members as people. Each is looked up by id, so that accounts that are gone and bots stay out.
    pub(crate) fn members(&self, directory: &Directory, query: &str) -> Vec<Person> {
        if self.users.is_empty() {
            let note = format!("the user group @{} has no members", self.handle);
            return vec![matching::missing(query, Vec::new(), Some(note))];
        }
        let member = |id: &String| {
            let mut person = matching::find(directory, &format!("<@{id}>"));
            let of = format!("of @{}", self.handle);
            person.note = Some(match person.note.take() {
                Some(note) => format!("{of}: {note}"),
                None => of,
            });
            person.query = match (&person.name, person.matched) {
                (Some(name), _) => format!("{} ({name})", query.trim()),
                (None, _) => format!("{} ({id})", query.trim()),
            };
            person
        };
        self.users.iter().map(member).collect()
    }
}

/// What a name says when it may be a group's: a handle, or an id.
enum Name<'a> {
    Handle(&'a str),
    Id(&'a str),
}

/// `@backend-team`, `S08BACKEND1`, `<!subteam^S08BACKEND1>`, `<!subteam^S08BACKEND1|@backend-team>`.
fn name(text: &str) -> Option<Name<'_>> {
    let text = text.trim();
    if let Some(inner) = text
        .strip_prefix("<!subteam^")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return Some(Name::Id(inner.split('|').next().unwrap_or(inner)));
    }
    let is_id = text.len() >= 9
        && text.starts_with('S')
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if is_id {
        return Some(Name::Id(text));
    }
    let handle = text.strip_prefix('@')?.trim();
    (!handle.is_empty() && !handle.contains('@')).then_some(Name::Handle(handle))
}

/// Whether a user group is to be looked for: the name may be one's, and is exactly nobody's.
pub(crate) fn may_be(person: &Person) -> bool {
    let nobodys = matches!(person.matched, Match::Missing | Match::Fuzzy)
        || (person.matched == Match::Ambiguous && person.score < 1.0);
    nobodys && name(&person.query).is_some()
}

/// The group of that name.
pub(crate) fn find<'a>(groups: &'a [Group], query: &str) -> Option<&'a Group> {
    match name(query)? {
        Name::Id(id) => groups.iter().find(|group| group.id == id),
        Name::Handle(handle) => groups
            .iter()
            .find(|group| group.handle.eq_ignore_ascii_case(handle)),
    }
}

impl Slack<'_> {
    /// The user groups with their members. Whoever asks meanwhile waits for the same answer.
    pub(crate) async fn groups(&self) -> Result<Arc<Vec<Group>>, SlackError> {
        let mut kept = self.connection.cache.groups.lock().await;
        if let Some((at, groups)) = &*kept
            && at.elapsed() < KEPT
        {
            return Ok(groups.clone());
        }
        let reply = self.read("usergroups.list", &[("include_users", "true")]).await?;
        let groups: Vec<Group> = reply.list("usergroups").iter().filter_map(Group::read).collect();
        let groups = Arc::new(groups);
        *kept = Some((Instant::now(), groups.clone()));
        Ok(groups)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_group_is_named_by_handle_or_id_and_only_with_the_at_sign() {
        let read = |value: Value| Group::read(&value);
        let group =
            read(json!({"id": "S08BACKEND1", "handle": "backend-team", "date_delete": 0, "users": ["U1"]}));
        let groups: Vec<Group> = group.into_iter().collect();
        assert_eq!(groups.len(), 1);
        for query in [
            "@backend-team",
            " @Backend-Team ",
            "S08BACKEND1",
            "<!subteam^S08BACKEND1>",
            "<!subteam^S08BACKEND1|@backend-team>",
        ] {
            assert!(find(&groups, query).is_some(), "{query}");
        }
        for query in [
            "backend-team",
            "@backend",
            "ada@backend-team",
            "@",
            "S1",
            "<!channel>",
        ] {
            assert!(find(&groups, query).is_none(), "{query}");
        }
        assert_eq!(
            read(json!({"id": "S1", "handle": "old", "date_delete": 1_446_748_865})),
            None
        );
    }
}
