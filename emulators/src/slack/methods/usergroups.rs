//! `usergroups.list` and `usergroups.users.list`.

use serde_json::{Value, json};

use super::{
    super::errors::{Code, Failure},
    Answer, Call, answer,
};

/// All user groups, without their members unless `include_users` asks.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let include = call.args.flag("include_users");
    let groups: Vec<Value> = call
        .ws
        .groups
        .iter()
        .map(|group| {
            let mut out = json!({
                "id": group.id,
                "team_id": call.ws.team.id,
                "is_usergroup": true,
                "name": group.name,
                "handle": group.handle,
                "date_delete": 0,
                "user_count": group.users.len(),
            });
            if include {
                out["users"] = json!(group.users);
            }
            out
        })
        .collect();
    answer([("usergroups", Value::Array(groups))])
}

/// The members of one group.
pub(super) fn users_list(call: &mut Call<'_>) -> Answer {
    let id = call.args.required("usergroup")?;
    let group = call.ws.groups.iter().find(|group| group.id.as_str() == id);
    let group = group.ok_or(Failure::from(Code::NoSuchSubteam))?;
    answer([("users", json!(group.users))])
}
