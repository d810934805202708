//! `auth.test`.

use super::{Answer, Call, answer};

/// Who the token belongs to.
pub(super) fn test(call: &mut Call<'_>) -> Answer {
    let ws = &*call.ws;
    let name = ws
        .user(ws.bot.user.as_str())
        .map_or("", |user| user.name.as_str());
    answer([
        ("url", format!("https://{}.slack.com/", ws.team.domain).into()),
        ("team", ws.team.name.as_str().into()),
        ("user", name.into()),
        ("team_id", ws.team.id.as_str().into()),
        ("user_id", ws.bot.user.as_str().into()),
        ("bot_id", ws.bot.bot_id.as_str().into()),
        ("is_enterprise_install", false.into()),
    ])
}
