//! `slack/resolve-users`: names that were asked for → people of the workspace's directory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use types::{Effect, Match, Object, Person, Signature, Trust, Type};

use super::{client::Slack, directory::Directory, escape, groups, matching};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, optional, output, read, scopes, signature},
};

/// Names that are looked up at once.
const NAMES: usize = 1_000;

pub(crate) struct ResolveUsers;

#[derive(Deserialize)]
struct Params {
    users: Vec<String>,
    teams: Vec<String>,
    team_responders: BTreeMap<String, Vec<String>>,
}

#[async_trait]
impl Action for ResolveUsers {
    fn signature(&self) -> Signature {
        let texts = || Type::list(Type::String);
        Signature {
            effect: Effect::Reads,
            connection: Some("slack".to_owned()),
            scopes: scopes(&["users:read"]),
            optional_scopes: scopes(&["users:read.email", "usergroups:read"]),
            timeout_ms: 60_000,
            ..signature(
                "slack/resolve-users",
                "Finds people by id, e-mail, display name, username, user group or likeness; two that fit are ambiguous.",
                [
                    (
                        "users",
                        optional(
                            texts(),
                            Trust::Trusted,
                            Some(json!([])),
                            "Who is asked for; `@group` is a user group's members when it is nobody's name.",
                        ),
                    ),
                    (
                        "teams",
                        optional(
                            texts(),
                            Trust::Untrusted,
                            Some(json!([])),
                            "Team labels: they only select entries of team_responders.",
                        ),
                    ),
                    (
                        "team_responders",
                        optional(
                            Type::Map(Box::new(texts())),
                            Trust::Trusted,
                            Some(json!({})),
                            "Who answers for which team label.",
                        ),
                    ),
                ],
                [(
                    "people",
                    gives(
                        Type::list(Person::ty()),
                        Trust::Trusted,
                        "USER_RESOLUTION: per name how it was matched, or why not.",
                    ),
                )],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let names = wanted(read(params)?);
        let mut degraded = Vec::new();
        if names.is_empty() {
            degraded.push("no responder was asked for".to_owned());
            return Ok(output([("people", json!([]))], degraded));
        }
        if names.len() > NAMES {
            return Err(ActionError::action(format!(
                "{} responders were asked for; at most {NAMES} are looked up",
                names.len()
            )));
        }
        let slack = Slack::of(context)?;
        let people: Vec<Person> = match slack.directory().await {
            Ok(directory) => {
                if !directory.whole {
                    degraded.push(format!(
                        "only the first {} people of the directory were read",
                        directory.users.len()
                    ));
                }
                let people = names
                    .iter()
                    .map(|name| matching::find(&directory, name))
                    .collect();
                expanded(&slack, &directory, people, &mut degraded).await?
            }
            // The room can still be made; who is missing is said.
            Err(error) if error.is_lacking() => {
                degraded.push(format!("the directory cannot be read: {}", error.why()));
                let note = || Some("the directory cannot be read".to_owned());
                names
                    .iter()
                    .map(|name| matching::missing(name, Vec::new(), note()))
                    .collect()
            }
            Err(error) => return Err(error.into()),
        };
        for person in &people {
            let who = person.user_id.as_deref().unwrap_or("nobody");
            context
                .log
                .line(&format!("{}: {} {who}", person.query, person.matched.as_str()))
                .await;
        }
        degraded.extend(reasons(&people));
        Ok(output([("people", args::json(&people)?)], degraded))
    }
}

/// People with the members of user groups in place of the names that are a group's and nobody's; each account once.
async fn expanded(
    slack: &Slack<'_>,
    directory: &Directory,
    people: Vec<Person>,
    degraded: &mut Vec<String>,
) -> Result<Vec<Person>, ActionError> {
    if !people.iter().any(groups::may_be) {
        return Ok(people);
    }
    let known = match slack.groups().await {
        Ok(known) => known,
        Err(error) if error.is_lacking() => {
            degraded.push(format!("user groups cannot be read: {}", error.why()));
            return Ok(people);
        }
        Err(error) => return Err(error.into()),
    };
    let mut all: Vec<Person> = Vec::new();
    for person in people {
        let group = groups::may_be(&person)
            .then(|| groups::find(&known, &person.query))
            .flatten();
        let Some(group) = group else {
            all.push(person);
            continue;
        };
        for member in group.members(directory, &person.query) {
            let there = |one: &Person| one.user_id.is_some() && one.user_id == member.user_id;
            if !all.iter().any(there) {
                all.push(member);
            }
        }
    }
    if all.len() > NAMES {
        degraded.push(format!(
            "the groups have {} people: the first {NAMES} are taken",
            all.len()
        ));
        all.truncate(NAMES);
    }
    Ok(all)
}

/// The users, then those of the teams that the map has, each once.
fn wanted(params: Params) -> Vec<String> {
    let Params {
        users,
        teams,
        team_responders,
    } = params;
    let of_teams = teams
        .iter()
        .filter_map(|team| team_responders.get(team))
        .flatten()
        .cloned();
    let mut names: Vec<String> = Vec::new();
    for name in users.into_iter().chain(of_teams) {
        let known = names
            .iter()
            .any(|known| known.trim().eq_ignore_ascii_case(name.trim()));
        if !known && !name.trim().is_empty() {
            names.push(name);
        }
    }
    names
}

/// One sentence for those who are missing, one for those who are ambiguous.
fn reasons(people: &[Person]) -> Vec<String> {
    let total = people.len();
    let sentence = |matched: Match, what: &str| {
        let names: Vec<String> = people
            .iter()
            .filter(|person| person.matched == matched)
            .map(|person| {
                let name = escape::cut(&escape::line(&person.query), 100);
                if person.candidates.is_empty() || matched == Match::Missing {
                    name
                } else {
                    format!(
                        "{name} ({})",
                        escape::cut(&escape::line(&person.candidates.join(", ")), 300)
                    )
                }
            })
            .collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        (!names.is_empty()).then(|| {
            format!(
                "{} of {total} responders {verb} {what}: {}",
                names.len(),
                names.join(", ")
            )
        })
    };
    let missing = sentence(Match::Missing, "not in the directory");
    missing
        .into_iter()
        .chain(sentence(Match::Ambiguous, "ambiguous"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_count_and_name() {
        let missing = |name: &str| matching::missing(name, Vec::new(), None);
        let ada = Person {
            matched: Match::Email,
            ..missing("ada@x.io")
        };
        let mut sam = Person {
            matched: Match::Ambiguous,
            ..missing("sam")
        };
        sam.candidates = vec!["Sam A".to_owned(), "Sam B".to_owned()];
        let people = [ada.clone(), ada.clone(), sam, missing("jonas.weber@company.com")];
        assert_eq!(
            reasons(&people),
            [
                "1 of 4 responders is not in the directory: jonas.weber@company.com",
                "1 of 4 responders is ambiguous: sam (Sam A, Sam B)"
            ]
        );
        assert_eq!(
            reasons(&[missing("a"), missing("b")]),
            ["2 of 2 responders are not in the directory: a, b"]
        );
        assert!(reasons(&[ada]).is_empty());
    }

    #[test]
    fn team_labels_only_select() {
        let params = Params {
            users: vec!["ada@x.io".to_owned(), "ADA@x.io".to_owned(), " ".to_owned()],
            teams: vec![
                "backend".to_owned(),
                "<!channel>".to_owned(),
                "@everyone".to_owned(),
            ],
            team_responders: [(
                "backend".to_owned(),
                vec!["sam@x.io".to_owned(), "ada@x.io".to_owned()],
            )]
            .into(),
        };
        assert_eq!(wanted(params), ["ada@x.io", "sam@x.io"]);
    }
}
