//! Whom the step's program runs as, in ids of the step's own user namespace.

use types::UserRange;

use crate::{StartError, StartErrorKind};

/// The user when neither step nor image names one.
const DEFAULT_USER: u32 = 1000;
/// The last id that is mapped.
const ID_MAX: u32 = 65_535;
/// The most groups besides the first that are given.
const GROUPS: usize = 64;

/// User, group and further groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The user.
    pub uid: u32,
    /// The first group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
}

impl Who {
    /// On the host's own system: a number, and the group of the same number.
    #[must_use]
    pub fn numbered(user: Option<u32>) -> Self {
        let uid = user.unwrap_or(DEFAULT_USER);
        Self {
            uid,
            gid: uid,
            groups: Vec::new(),
        }
    }

    /// In an image: the step's number, else what the image says (`user`, `uid`, `user:group`, `uid:gid`), by the image's
    /// own `passwd` and `group`.
    ///
    /// # Errors
    /// The image's names lead to nobody, or its numbers are beyond those of a step.
    pub fn in_image(user: Option<u32>, says: &str, passwd: &str, group: &str) -> Result<Self, StartError> {
        Self::named(user, says, passwd, group).map_err(|why| StartError::new(StartErrorKind::Spec, why))
    }

    /// Whether the agent allows this user; no ranges allow any.
    ///
    /// # Errors
    /// It does not.
    pub fn allowed(&self, users: &[UserRange]) -> Result<(), StartError> {
        let within = |range: &UserRange| (range.first..=range.last).contains(&self.uid);
        if users.is_empty() || users.iter().any(within) {
            return Ok(());
        }
        let message = format!(
            "the image's user is {}, which this agent does not allow (policy.users): name another by `user`",
            self.uid
        );
        Err(StartError::new(StartErrorKind::Spec, message))
    }

    fn named(user: Option<u32>, says: &str, passwd: &str, group: &str) -> Result<Self, String> {
        let number = user.map(|user| user.to_string());
        let says = match (&number, says) {
            (Some(number), _) => number.as_str(),
            (None, "") => return Ok(Self::numbered(None)),
            (None, says) => says,
        };
        let (user, its_group) = match says.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (says, None),
        };
        let entry = passwd.lines().map(Passwd::of).find_map(|entry| {
            let entry = entry?;
            (entry.name == user || user.parse() == Ok(entry.uid)).then_some(entry)
        });
        let uid = match (&entry, user.parse::<u32>()) {
            (Some(entry), _) => entry.uid,
            (None, Ok(uid)) => uid,
            (None, Err(_)) => return Err(format!("the image's user {user:?} is not in its /etc/passwd")),
        };
        let groups = || group.lines().filter_map(Group::of);
        let gid = match its_group.filter(|name| !name.is_empty()) {
            None => entry.as_ref().map_or(uid, |entry| entry.gid),
            Some(name) => match (groups().find(|group| group.name == name), name.parse::<u32>()) {
                (Some(group), _) => group.gid,
                (None, Ok(gid)) => gid,
                (None, Err(_)) => return Err(format!("the image's group {name:?} is not in its /etc/group")),
            },
        };
        if uid > ID_MAX || gid > ID_MAX {
            return Err(format!("the image's user {says:?} is beyond {ID_MAX}"));
        }
        // Further groups are those of a name, and none when a group is given (as with other runtimes).
        let name = entry
            .as_ref()
            .map(|entry| entry.name)
            .filter(|_| its_group.is_none());
        let member =
            |group: &Group<'_>| name.is_some_and(|name| group.members.split(',').any(|one| one == name));
        let further = groups().filter(member).map(|group| group.gid);
        Ok(Self {
            uid,
            gid,
            groups: further
                .filter(|other| *other != gid && *other <= ID_MAX)
                .take(GROUPS)
                .collect(),
        })
    }
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

impl<'a> Passwd<'a> {
    /// `name:password:uid:gid:…` (passwd(5)).
    fn of(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some(Self {
            name,
            uid: fields.nth(1)?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    }
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl<'a> Group<'a> {
    /// `name:password:gid:members` (group(5)).
    fn of(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some(Self {
            name,
            gid: fields.nth(1)?.parse().ok()?,
            members: fields.next().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nbroken\napp:x:1001:1002::/app:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\nstaff:x:50:app\n";

    fn who(user: Option<u32>, says: &str) -> Result<(u32, u32, Vec<u32>), String> {
        Who::named(user, says, PASSWD, GROUP).map(|who| (who.uid, who.gid, who.groups))
    }

    #[test]
    fn names_are_the_images_own_and_numbers_need_no_entry() {
        assert_eq!(who(None, ""), Ok((1000, 1000, vec![])));
        assert_eq!(who(None, "app"), Ok((1001, 1002, vec![10, 50])));
        assert_eq!(who(None, "app:staff"), Ok((1001, 50, vec![])));
        assert_eq!(who(None, "1001"), Ok((1001, 1002, vec![10, 50])));
        assert_eq!(who(None, "4242:7"), Ok((4242, 7, vec![])));
        assert_eq!(who(None, "0"), Ok((0, 0, vec![10])));
        assert_eq!(who(Some(4242), "app"), Ok((4242, 4242, vec![])));
        for (says, word) in [
            ("nobody-here", "passwd"),
            ("app:no-group", "group"),
            ("70000", "65535"),
            ("-1", "passwd"),
        ] {
            assert!(who(None, says).unwrap_err().contains(word), "{says}");
        }
    }
}
