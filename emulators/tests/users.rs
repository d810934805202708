//! The directory: paging, look-up by address, groups.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;

use common::{Slack, ids};
use emulators::slack::Config;

/// All ids, and the sizes of the pages.
async fn all(slack: &Slack, limit: &str) -> (Vec<String>, Vec<usize>) {
    let (mut found, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..1000 {
        let page = slack
            .get("users.list", &[("limit", limit), ("cursor", &cursor)])
            .await;
        assert_eq!(page["ok"], true, "{page}");
        let members = ids(&page["members"]);
        sizes.push(members.len());
        found.extend(members.into_iter().map(str::to_owned));
        page["response_metadata"]["next_cursor"]
            .as_str()
            .unwrap()
            .clone_into(&mut cursor);
        if cursor.is_empty() {
            return (found, sizes);
        }
    }
    panic!("the listing has no end");
}

#[tokio::test]
async fn pages_are_short_before_the_end_and_lose_nobody() {
    let slack = Slack::start(Config::demo().without_limits().with_generated_users(1000)).await;
    let (found, sizes) = all(&slack, "200").await;
    assert_eq!(found.len(), 1015);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 1015);
    assert!(
        sizes.len() > 1015 / 200 && sizes.iter().all(|size| (1..200).contains(size)),
        "{sizes:?}"
    );
}

#[tokio::test]
async fn even_the_small_directory_has_pages() {
    let slack = Slack::demo().await;
    let (found, sizes) = all(&slack, "200").await;
    assert_eq!((found.len(), sizes), (15, vec![5, 5, 5]));
    assert_eq!(all(&slack, "1").await.0.len(), 15);
}

#[tokio::test]
async fn limits_and_cursors_are_checked() {
    let slack = Slack::demo().await;
    for (query, code) in [
        (vec![], "limit_required"),
        (vec![("limit", "0")], "limit_required"),
        (vec![("limit", "-1")], "invalid_limit"),
        (vec![("limit", "1001")], "invalid_limit"),
        (vec![("limit", "5"), ("cursor", "nonsense")], "invalid_cursor"),
        (vec![("limit", "5"), ("cursor", "dGVhbTpDMQ==")], "invalid_cursor"),
    ] {
        let answer = slack.get("users.list", &query).await;
        assert_eq!(answer["error"], code, "{query:?}");
    }
}

#[tokio::test]
async fn the_demo_directory_holds_its_traps() {
    let slack = Slack::demo().await;
    let state = slack.emulator.handle().state();
    let users = state["users"].as_array().unwrap();
    let sams = users
        .iter()
        .filter(|user| user["profile"]["display_name"] == "Sam")
        .count();
    assert_eq!(sams, 2);
    let user = |name: &str| users.iter().find(|user| user["name"] == name);
    assert_eq!(user("tom.becker").unwrap()["deleted"], false);
    assert_eq!(user("maria.lopes").unwrap()["deleted"], true);
    assert_eq!(
        user("slackbot").unwrap()["is_bot"],
        false,
        "is_bot does not flag Slackbot"
    );
    assert_eq!(user("datadog").unwrap()["is_bot"], true);
    assert_eq!(user("noah.park").unwrap()["is_ultra_restricted"], true);
    assert!(user("oncall-backend").is_some() && user("jonas.weber").is_none());
}

#[tokio::test]
async fn look_up_finds_by_address_and_misses_the_deactivated() {
    let slack = Slack::demo().await;
    let find = async |email: &str| slack.get("users.lookupByEmail", &[("email", email)]).await;
    assert_eq!(find("Maria.Lopez@company.com").await["user"]["id"], "U08MARIALO1");
    assert_eq!(find("dev.patel@company.com").await["user"]["name"], "dev.patel");
    for absent in [
        "jonas.weber@company.com",
        "maria.lopes@company.com",
        "oncall-backend@company.com",
    ] {
        assert_eq!(find(absent).await["error"], "users_not_found", "{absent}");
    }
    assert_eq!(
        slack.get("users.lookupByEmail", &[]).await["error"],
        "invalid_arguments"
    );
}

#[tokio::test]
async fn addresses_are_hidden_without_their_scope() {
    let slack = Slack::start(Config::demo().without_scope("users:read.email")).await;
    let page = slack.get("users.list", &[("limit", "200")]).await;
    for user in page["members"].as_array().unwrap() {
        assert!(user["profile"].get("email").is_none(), "{user}");
    }
    let answer = slack
        .get("users.lookupByEmail", &[("email", "dev.patel@company.com")])
        .await;
    assert_eq!(answer["needed"], "users:read.email");
}

#[tokio::test]
async fn groups_expand_to_their_members() {
    let slack = Slack::demo().await;
    let groups = slack.get("usergroups.list", &[]).await;
    assert_eq!(groups["usergroups"][0]["handle"], "backend-team");
    let users = slack
        .get("usergroups.users.list", &[("usergroup", "S08BACKEND1")])
        .await;
    assert_eq!(users["users"].as_array().unwrap().len(), 3);
    let none = slack.get("usergroups.users.list", &[("usergroup", "S1")]).await;
    assert_eq!(none["error"], "no_such_subteam");
}
