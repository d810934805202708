//! `users.list` and `users.lookupByEmail`.

use serde_json::{Value, json};

use super::{
    super::{
        directory::Account,
        errors::{Code, Failure},
        paging,
        views::{self, Email},
    },
    Answer, Call, answer,
};

fn email(call: &Call<'_>) -> Email {
    if call.scopes.contains("users:read.email") {
        Email::Shown
    } else {
        Email::Hidden
    }
}

/// All users, page by page; pages are short before the end, and a missing `limit` is refused, as Slack
/// does for big workspaces.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let limit = paging::limit(call.args, 1000)?.ok_or(Failure::from(Code::LimitRequired))?;
    let size = paging::short(limit, call.ws.users.len());
    let (page, next) = paging::page(&call.ws.users, |user| user.id.as_str(), "user", call.args, size)?;
    let email = email(call);
    let members: Vec<Value> = page
        .iter()
        .map(|user| views::user(user, &call.ws.team.id, email))
        .collect();
    answer([
        ("members", Value::Array(members)),
        ("cache_ts", call.now.seconds().into()),
        ("response_metadata", json!({ "next_cursor": next })),
    ])
}

/// The user with an address, whatever its case; deactivated accounts are not found.
pub(super) fn lookup_by_email(call: &mut Call<'_>) -> Answer {
    let wanted = call.args.required("email")?.to_lowercase();
    let found = call.ws.users.iter().find(|user| {
        user.account != Account::Deactivated
            && user
                .email
                .as_ref()
                .is_some_and(|email| email.to_lowercase() == wanted)
    });
    let user = found.ok_or(Failure::from(Code::UsersNotFound))?;
    answer([("user", views::user(user, &call.ws.team.id, Email::Shown))])
}
