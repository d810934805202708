//! One name that was asked for → one person, or why not. Pure.
//!
//! The order is id, e-mail, display name, username, likeness. An e-mail address is matched as such only: a like
//! one is another person's.

use types::{Match, Person};
use unicode_normalization::UnicodeNormalization;

use super::directory::{Directory, User};

/// Likeness from which one person is suggested.
const LIKE: f64 = 0.92;
/// By how much the best must lead.
const LEAD: f64 = 0.03;
/// Likeness from which people are named as nearest.
const NEAR: f64 = 0.75;
const CANDIDATES: usize = 5;

/// Which of a person's names.
type Name = fn(&User) -> &str;

/// Resolves one name.
pub(crate) fn find(directory: &Directory, query: &str) -> Person {
    let wanted = query.trim();
    if let Some(id) = user_id(wanted) {
        return by_id(directory, query, id);
    }
    let handle = wanted.strip_prefix('@').unwrap_or(wanted).trim();
    if handle.is_empty() {
        return missing(query, Vec::new(), Some("the name is empty".to_owned()));
    }
    if handle.contains('@') {
        return by_email(directory, query, handle);
    }
    let key = fold(handle);
    let exact = |name: Name| -> Vec<&User> {
        directory
            .users
            .iter()
            .filter(|user| fold(name(user)) == key)
            .collect()
    };
    let order: [(Match, Name); 3] = [
        (Match::DisplayName, |user| &user.display_name),
        (Match::DisplayName, |user| &user.real_name),
        (Match::Username, |user| &user.name),
    ];
    for (matched, name) in order {
        let hits = exact(name);
        let able: Vec<&User> = hits.iter().copied().filter(|user| able(user)).collect();
        match (able.as_slice(), hits.as_slice()) {
            ([one], _) => return found(query, matched, one, 1.0),
            ([], []) => {}
            ([], [gone, ..]) => return missing(query, Vec::new(), Some(unable(gone))),
            (several, _) => return ambiguous(query, several, 1.0),
        }
    }
    by_likeness(directory, query, handle)
}

/// `U…`, `W…`, `<@U…>`, `<@U…|name>`.
fn user_id(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("<@").and_then(|rest| rest.strip_suffix('>'));
    let id = inner.map_or(text, |inner| inner.split('|').next().unwrap_or(inner));
    let shape = id.len() >= 9 || (inner.is_some() && id.len() >= 2);
    let letters = id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    (shape
        && letters
        && id.starts_with(['U', 'W'])
        && (inner.is_some() || id.bytes().any(|b| b.is_ascii_digit())))
    .then_some(id)
}

fn by_id(directory: &Directory, query: &str, id: &str) -> Person {
    match directory.users.iter().find(|user| user.id == id) {
        Some(user) if able(user) => found(query, Match::Id, user, 1.0),
        Some(user) => missing(query, Vec::new(), Some(unable(user))),
        None => missing(query, Vec::new(), None),
    }
}

fn by_email(directory: &Directory, query: &str, email: &str) -> Person {
    let hits: Vec<&User> = directory
        .users
        .iter()
        .filter(|user| user.email.eq_ignore_ascii_case(email))
        .collect();
    let able: Vec<&User> = hits.iter().copied().filter(|user| able(user)).collect();
    match (able.as_slice(), hits.as_slice()) {
        ([one], _) => found(query, Match::Email, one, 1.0),
        ([], [gone, ..]) => missing(query, Vec::new(), Some(unable(gone))),
        ([], []) => {
            let note = (!directory.has_emails).then(|| {
                "the directory shows no e-mail addresses: the scope users:read.email is missing".to_owned()
            });
            let local = email.split('@').next().unwrap_or(email);
            let near = likes(directory, local)
                .into_iter()
                .filter(|(_, score)| *score >= NEAR)
                .collect::<Vec<_>>();
            missing(query, labels(&near), note)
        }
        (several, _) => ambiguous(query, several, 1.0),
    }
}

fn by_likeness(directory: &Directory, query: &str, handle: &str) -> Person {
    let scored = likes(directory, handle);
    // Two letters are like too many names.
    let enough = handle.chars().count() >= 3;
    match scored.as_slice() {
        [(user, best), rest @ ..] if enough && *best >= LIKE => {
            let tied: Vec<&User> = scored
                .iter()
                .take_while(|(_, s)| best - s < LEAD)
                .map(|(user, _)| *user)
                .collect();
            if rest.first().is_some_and(|(_, second)| best - second < LEAD) {
                ambiguous(query, &tied, *best)
            } else {
                Person {
                    candidates: vec![user.label().to_owned()],
                    ..found(query, Match::Fuzzy, user, *best)
                }
            }
        }
        _ => {
            let near: Vec<_> = scored
                .into_iter()
                .filter(|(_, score)| enough && *score >= NEAR)
                .collect();
            missing(query, labels(&near), None)
        }
    }
}

/// Everybody who can be invited, most like first.
fn likes<'a>(directory: &'a Directory, name: &str) -> Vec<(&'a User, f64)> {
    let key = spaced(name);
    let like = |text: &str| {
        if text.is_empty() {
            return 0.0;
        }
        let other = spaced(text);
        // Both must agree: the first favours a common beginning, the second a common length.
        strsim::jaro_winkler(&key, &other).min(strsim::normalized_damerau_levenshtein(&key, &other) + 0.12)
    };
    let mut scored: Vec<(&User, f64)> = directory
        .users
        .iter()
        .filter(|user| able(user))
        .map(|user| {
            let score = [&user.display_name, &user.real_name, &user.name].map(|name| like(name));
            (user, score.into_iter().fold(0.0, f64::max))
        })
        .collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.id.cmp(&b.0.id)));
    scored
}

fn able(user: &User) -> bool {
    !user.deleted && !user.bot
}

fn unable(user: &User) -> String {
    let why = if user.deleted { "deactivated" } else { "a bot's" };
    format!("the account of {} is {why}", user.label())
}

fn found(query: &str, matched: Match, user: &User, score: f64) -> Person {
    Person {
        query: query.to_owned(),
        matched,
        user_id: Some(user.id.clone()),
        name: Some(user.label().to_owned()),
        score,
        candidates: Vec::new(),
        guest: user.guest,
        note: user.guest.then(|| "a guest account".to_owned()),
    }
}

fn nobody(query: &str, matched: Match, score: f64, candidates: Vec<String>, note: Option<String>) -> Person {
    Person {
        query: query.to_owned(),
        matched,
        user_id: None,
        name: None,
        score,
        candidates,
        guest: false,
        note,
    }
}

fn ambiguous(query: &str, users: &[&User], score: f64) -> Person {
    let names = users
        .iter()
        .take(CANDIDATES)
        .map(|user| with_handle(user))
        .collect();
    let note = format!("{} people fit", users.len());
    nobody(query, Match::Ambiguous, score, names, Some(note))
}

pub(crate) fn missing(query: &str, candidates: Vec<String>, note: Option<String>) -> Person {
    nobody(query, Match::Missing, 0.0, candidates, note)
}

fn labels(near: &[(&User, f64)]) -> Vec<String> {
    near.iter()
        .take(CANDIDATES)
        .map(|(user, _)| with_handle(user))
        .collect()
}

/// Names need not be unique; usernames are.
fn with_handle(user: &User) -> String {
    if user.name.is_empty() || user.name == user.label() {
        user.label().to_owned()
    } else {
        format!("{} (@{})", user.label(), user.name)
    }
}

/// Comparable: compatibility form, lower case, single spaces.
fn fold(text: &str) -> String {
    let lower: String = text.nfkc().flat_map(char::to_lowercase).collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Comparable by likeness: also without marks, with `.`, `_`, `-` as spaces.
fn spaced(text: &str) -> String {
    let bare = text
        .nfkd()
        .filter(|c| !unicode_normalization::char::is_combining_mark(*c));
    let lower: String = bare
        .flat_map(char::to_lowercase)
        .map(|c| if matches!(c, '.' | '_' | '-') { ' ' } else { c })
        .collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str, name: &str, display: &str, real: &str, email: &str) -> User {
        let text = str::to_owned;
        User {
            id: text(id),
            name: text(name),
            display_name: text(display),
            real_name: text(real),
            email: text(email),
            ..User::default()
        }
    }

    fn directory() -> Directory {
        let mut users = vec![
            user("U000000001", "ada", "Ada", "Ada Lovelace", "ada@x.io"),
            user("U000000002", "sam.b", "Sam", "Sam Baker", "sam.b@x.io"),
            user("U000000003", "sam.c", "Sam", "Sam Cook", "sam.c@x.io"),
            user("U000000004", "zoë", "Zoë Müller", "Zoë Müller", "zoe@x.io"),
            user("U000000005", "gone", "Gone", "Gone Away", "gone@x.io"),
            user("U000000006", "helper", "Helper", "Helper Bot", ""),
            user("U000000007", "guest1", "Visitor", "Vi Sitor", "vi@y.io"),
            user(
                "U000000008",
                "jonas.webber",
                "Jonas Webber",
                "Jonas Webber",
                "jonas.webber@x.io",
            ),
        ];
        users[4].deleted = true;
        users[5].bot = true;
        users[6].guest = true;
        Directory {
            users,
            has_emails: true,
            whole: true,
        }
    }

    fn got(query: &str) -> (Match, Option<String>) {
        let person = find(&directory(), query);
        (person.matched, person.user_id)
    }

    #[test]
    fn the_order_is_id_email_display_name_username_likeness() {
        let is = |query, matched, id: &str| assert_eq!(got(query), (matched, Some(id.to_owned())), "{query}");
        is("U000000001", Match::Id, "U000000001");
        is("<@U000000001|ada>", Match::Id, "U000000001");
        is(" ADA@X.io ", Match::Email, "U000000001");
        is("@ada", Match::DisplayName, "U000000001");
        is("ada  lovelace", Match::DisplayName, "U000000001");
        is("@sam.b", Match::Username, "U000000002");
        is("Zoe Muller", Match::Fuzzy, "U000000004");
        is("jonas.weber", Match::Fuzzy, "U000000008");
    }

    #[test]
    fn two_are_ambiguous_and_nobody_is_chosen() {
        let person = find(&directory(), "sam");
        assert_eq!((person.matched, person.user_id), (Match::Ambiguous, None));
        assert_eq!(person.candidates, ["Sam (@sam.b)", "Sam (@sam.c)"]);
    }

    #[test]
    fn nobody_is_found_by_a_like_address_or_too_short_a_name() {
        let person = find(&directory(), "jonas.weber@x.io");
        assert_eq!(
            (person.matched, person.user_id.as_deref()),
            (Match::Missing, None)
        );
        assert_eq!(person.candidates, ["Jonas Webber (@jonas.webber)"]);
        for query in ["ad", "", "@", "nobody-at-all", "<!channel>", "UNRELATED"] {
            assert_eq!(got(query).0, Match::Missing, "{query}");
        }
    }

    #[test]
    fn the_deactivated_and_bots_are_told_and_guests_are_marked() {
        let gone = find(&directory(), "gone@x.io");
        assert_eq!(
            (gone.matched, gone.note.as_deref()),
            (Match::Missing, Some("the account of Gone is deactivated"))
        );
        assert_eq!(
            find(&directory(), "@helper").note.as_deref(),
            Some("the account of Helper is a bot's")
        );
        let guest = find(&directory(), "vi@y.io");
        assert!(guest.guest && guest.user_id.is_some());
        let blind = Directory {
            has_emails: false,
            ..directory()
        };
        assert!(
            find(&blind, "new@x.io")
                .note
                .is_some_and(|note| note.contains("users:read.email"))
        );
    }
}
