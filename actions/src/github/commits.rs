//! `github/commits`: what came into a branch, or below a path, within a window.
//! API: <https://docs.github.com/en/rest/commits/commits#list-commits>.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Evidence, Finding, Level, Object, Signature, Trust, Type};

use super::client::{Github, link, moment, repository, stamp};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, optional, output, read, required, scopes, signature},
    fitting::{fitting, text},
};

/// Commits by default, and at most.
const LIMIT: i64 = 30;
const LIMIT_MAX: i64 = 300;
/// Minutes by default, and at most: 30 days.
const MINUTES: i64 = 24 * 60;
const MINUTES_MAX: i64 = 30 * 24 * 60;

pub(crate) struct Commits;

#[derive(Deserialize)]
struct Params {
    repository: String,
    branch: Option<String>,
    path: Option<String>,
    minutes: i64,
    limit: i64,
}

fn commit_type() -> Type {
    Type::record(
        "commit",
        [
            ("sha", Type::String),
            ("title", Type::String),
            ("author", Type::String),
            ("at", Type::String),
            ("url?", Type::String),
        ],
    )
}

/// Window and limit within theirs.
pub(super) fn within(name: &str, minutes: i64, limit: i64) -> Result<usize, ActionError> {
    let wrong = |what: &str, most: i64| ActionError::action(format!("{name}: {what}: expected 1 to {most}"));
    if !(1..=MINUTES_MAX).contains(&minutes) {
        return Err(wrong("minutes", MINUTES_MAX));
    }
    let fits = (1..=LIMIT_MAX).contains(&limit);
    usize::try_from(limit)
        .ok()
        .filter(|_| fits)
        .ok_or_else(|| wrong("limit", LIMIT_MAX))
}

#[async_trait]
impl Action for Commits {
    fn signature(&self) -> Signature {
        let int = |default: i64, doc: &str| optional(Type::Int, Trust::Trusted, Some(json!(default)), doc);
        Signature {
            effect: Effect::Reads,
            connection: Some("github".to_owned()),
            scopes: scopes(&["contents:read"]),
            timeout_ms: 90_000,
            ..signature(
                "github/commits",
                "Lists the commits of a repository over a window.",
                [
                    (
                        "repository",
                        required(Type::String, Trust::Trusted, "`OWNER/NAME`."),
                    ),
                    (
                        "branch",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            None,
                            "A branch, a tag or a commit; else the default branch.",
                        ),
                    ),
                    (
                        "path",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            None,
                            "Only commits that touch this file or folder.",
                        ),
                    ),
                    ("minutes", int(MINUTES, "The window, up to now; at most 30 days.")),
                    ("limit", int(LIMIT, "The newest that are read; at most 300.")),
                ],
                [
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "One: how many there are; a warning when there is any.",
                        ),
                    ),
                    (
                        "commits",
                        gives(Type::list(commit_type()), Trust::Untrusted, "The newest first."),
                    ),
                    (
                        "count",
                        gives(Type::Int, Trust::Trusted, "Commits that were read."),
                    ),
                    (
                        "limited",
                        gives(Type::Bool, Trust::Trusted, "Whether there are more."),
                    ),
                ],
            )
        }
    }

    async fn run(&self, context: &ActionContext, params: Object) -> Result<ActionOutput, ActionError> {
        let params: Params = read(params)?;
        let limit = within("github/commits", params.minutes, params.limit)?;
        let (owner, name) = repository(&params.repository)
            .ok_or_else(|| ActionError::action("github/commits: repository: expected OWNER/NAME"))?;
        let github = Github::of(context, "contents: read")?;
        let to_ms = context.clock.now().unix_ms();
        let from_ms = to_ms - params.minutes * 60_000;
        let since = stamp(from_ms);
        let size = limit.min(100).to_string();
        let mut query = vec![("since", since.as_str()), ("per_page", size.as_str())];
        query.extend(params.branch.as_deref().map(|branch| ("sha", branch)));
        query.extend(params.path.as_deref().map(|path| ("path", path)));
        let url = github.url(&["repos", owner, name, "commits"], &query)?;
        let asked = format!("{} {}", params.repository, url.query().unwrap_or_default());
        let list = github.list("commits", url, limit, |_| true).await?;
        let count = list.items.len();
        let mut degraded = list.degraded;
        let commits: Vec<Value> = list.items.iter().map(commit).collect();
        let finding = Finding {
            host: None,
            check: "github commits".to_owned(),
            level: if count > 0 { Level::Warning } else { Level::Normal },
            summary: summary(&params, &commits, list.more),
            evidence: Evidence::Query {
                source: "github".to_owned(),
                query: format!("commits of {asked}"),
                from_ms,
                to_ms,
                link: list.items.first().and_then(|item| link(item, "/html_url")),
            },
        };
        let (commits, left) = fitting(commits);
        if left > 0 {
            degraded.push(format!(
                "{left} older commits of {count} are left out: they take too much room"
            ));
        }
        Ok(output(
            [
                ("findings", args::json(&[finding])?),
                ("commits", Value::from(commits)),
                ("count", json!(count)),
                ("limited", json!(list.more)),
            ],
            degraded,
        ))
    }
}

fn summary(params: &Params, commits: &[Value], more: bool) -> String {
    let repository = &params.repository;
    let below = params
        .path
        .as_deref()
        .map(|path| format!(" below {path}"))
        .unwrap_or_default();
    let Some(newest) = commits.first() else {
        return format!("no commit in {repository}{below} in {} min", params.minutes);
    };
    let of = |key: &str| newest[key].as_str().unwrap_or_default();
    let least = if more { "at least " } else { "" };
    let title: String = types::text::line(of("title")).chars().take(120).collect();
    let author: String = types::text::line(of("author")).chars().take(60).collect();
    format!(
        "{least}{} commits in {repository}{below} in {} min; the newest: {title} ({author}, {})",
        commits.len(),
        params.minutes,
        of("at")
    )
}

fn commit(item: &Value) -> Value {
    let of = |path: &str| item.pointer(path).and_then(Value::as_str);
    let message = of("/commit/message").unwrap_or_default();
    // The account where GitHub knows it, else what the commit says of its author.
    let author = of("/author/login")
        .or_else(|| of("/commit/author/name"))
        .unwrap_or("unknown");
    let at = moment(item, "/commit/committer/date")
        .map(stamp)
        .unwrap_or_default();
    let mut commit = json!({
        "sha": text(of("/sha").unwrap_or_default()),
        "title": text(message.lines().next().unwrap_or_default()),
        "author": text(author),
        "at": at,
    });
    if let Some(url) = link(item, "/html_url") {
        commit["url"] = json!(url);
    }
    commit
}
