//! `github/deployments`: what was deployed within a window, and how that went.
//! API: <https://docs.github.com/en/rest/deployments/deployments>.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use types::{Effect, Evidence, Finding, Level, Object, Signature, Trust, Type};

use super::{
    client::{Github, link, moment, repository, stamp},
    commits::within,
};
use crate::{
    Action, ActionContext, ActionError, ActionOutput,
    args::{self, gives, optional, output, read, required, scopes, signature},
    fitting::{fitting, text},
};

/// Deployments by default; each one's status is a call of its own.
const LIMIT: i64 = 10;
const LIMIT_MAX: i64 = 50;
/// Minutes by default.
const MINUTES: i64 = 24 * 60;

pub(crate) struct Deployments;

#[derive(Deserialize)]
struct Params {
    repository: String,
    environment: Option<String>,
    minutes: i64,
    limit: i64,
}

fn deployment_type() -> Type {
    Type::record(
        "deployment",
        [
            ("id", Type::Int),
            ("sha", Type::String),
            ("ref", Type::String),
            ("environment", Type::String),
            ("creator", Type::String),
            ("at", Type::String),
            ("state?", Type::String),
            ("state_at?", Type::String),
            ("description?", Type::String),
            ("url?", Type::String),
        ],
    )
}

#[async_trait]
impl Action for Deployments {
    fn signature(&self) -> Signature {
        let int = |default: i64, doc: &str| optional(Type::Int, Trust::Trusted, Some(json!(default)), doc);
        Signature {
            effect: Effect::Reads,
            connection: Some("github".to_owned()),
            scopes: scopes(&["deployments:read"]),
            timeout_ms: 90_000,
            ..signature(
                "github/deployments",
                "Lists the deployments of a repository over a window, each with its latest status.",
                [
                    (
                        "repository",
                        required(Type::String, Trust::Trusted, "`OWNER/NAME`."),
                    ),
                    (
                        "environment",
                        optional(
                            Type::String,
                            Trust::Trusted,
                            None,
                            "Only those to this environment.",
                        ),
                    ),
                    ("minutes", int(MINUTES, "The window, up to now; at most 30 days.")),
                    ("limit", int(LIMIT, "The newest that are read; at most 50.")),
                ],
                [
                    (
                        "findings",
                        gives(
                            Type::list(Finding::ty()),
                            Trust::Untrusted,
                            "One a deployment: critical when it failed, else a warning; one, normal, when there is none.",
                        ),
                    ),
                    (
                        "deployments",
                        gives(
                            Type::list(deployment_type()),
                            Trust::Untrusted,
                            "The newest first.",
                        ),
                    ),
                    (
                        "count",
                        gives(Type::Int, Trust::Trusted, "Deployments that were read."),
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
        let limit = within("github/deployments", params.minutes, params.limit.min(LIMIT_MAX))?;
        if params.limit > LIMIT_MAX {
            return Err(ActionError::action(format!(
                "github/deployments: limit: expected 1 to {LIMIT_MAX}"
            )));
        }
        let (owner, name) = repository(&params.repository)
            .ok_or_else(|| ActionError::action("github/deployments: repository: expected OWNER/NAME"))?;
        let github = Github::of(context, "deployments: read")?;
        let to_ms = context.clock.now().unix_ms();
        let from_ms = to_ms - params.minutes * 60_000;
        let size = (limit + 1).min(100).to_string();
        let mut query = vec![("per_page", size.as_str())];
        query.extend(
            params
                .environment
                .as_deref()
                .map(|environment| ("environment", environment)),
        );
        let path = ["repos", owner, name, "deployments"];
        let url = github.url(&path, &query)?;
        // The list is newest first and takes no time, so it is read until it is too old.
        let recent = |item: &Value| moment(item, "/created_at").is_none_or(|at| at >= from_ms);
        let list = github.list("deployments", url, limit, recent).await?;
        let mut degraded = list.degraded;
        let mut deployments = Vec::new();
        for item in &list.items {
            deployments.push(with_status(&github, &path, item, &mut degraded).await?);
        }
        let environment = params
            .environment
            .as_deref()
            .map(|name| format!(" to {name}"))
            .unwrap_or_default();
        let evidence = |link: Option<String>| Evidence::Query {
            source: "github".to_owned(),
            query: format!("deployments of {}{environment}", params.repository),
            from_ms,
            to_ms,
            link,
        };
        let mut findings: Vec<Finding> = deployments.iter().map(|one| finding(one, &evidence)).collect();
        if findings.is_empty() {
            findings.push(Finding {
                host: None,
                check: "github deployments".to_owned(),
                level: Level::Normal,
                summary: format!(
                    "no deployment of {}{environment} in {} min",
                    params.repository, params.minutes
                ),
                evidence: evidence(None),
            });
        }
        let count = deployments.len();
        let (deployments, left) = fitting(deployments);
        if left > 0 {
            degraded.push(format!(
                "{left} older deployments of {count} are left out: they take too much room"
            ));
        }
        Ok(output(
            [
                ("findings", args::json(&findings)?),
                ("deployments", Value::from(deployments)),
                ("count", json!(count)),
                ("limited", json!(list.more)),
            ],
            degraded,
        ))
    }
}

/// A deployment says nothing of how it went; its statuses do, the newest first.
async fn with_status(
    github: &Github<'_>,
    path: &[&str],
    item: &Value,
    degraded: &mut Vec<String>,
) -> Result<Value, ActionError> {
    let of = |path: &str| text(item.pointer(path).and_then(Value::as_str).unwrap_or_default());
    let Some(id) = item.get("id").and_then(Value::as_i64) else {
        return Err(ActionError::action("GitHub: deployments: one of them has no id"));
    };
    let mut deployment = json!({
        "id": id, "sha": of("/sha"), "ref": of("/ref"), "environment": of("/environment"),
        "creator": of("/creator/login"), "at": moment(item, "/created_at").map(stamp).unwrap_or_default(),
    });
    let id = id.to_string();
    let url = github.url(&[path, &[&id, "statuses"]].concat(), &[("per_page", "1")])?;
    let statuses = match github.list("deployment statuses", url, 1, |_| true).await {
        Ok(list) => list.items,
        Err(error) => {
            degraded.push(format!("how deployment {id} went is not known: {error}"));
            return Ok(deployment);
        }
    };
    if let Some(status) = statuses.first() {
        let of = |key: &str| {
            status
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(text)
        };
        for (key, value) in [
            ("state", of("state")),
            ("description", of("description")),
            ("state_at", moment(status, "/created_at").map(stamp)),
            (
                "url",
                link(status, "/log_url").or_else(|| link(status, "/target_url")),
            ),
        ] {
            if let Some(value) = value {
                deployment[key] = json!(value);
            }
        }
    }
    Ok(deployment)
}

fn finding(deployment: &Value, evidence: &impl Fn(Option<String>) -> Evidence) -> Finding {
    let of = |key: &str| types::text::line(deployment[key].as_str().unwrap_or_default()).into_owned();
    let state = match deployment["state"].as_str() {
        Some(_) => of("state"),
        None => "no status".to_owned(),
    };
    let level = match state.as_str() {
        "failure" | "error" => Level::Critical,
        // What changed within the window is worth a look, however well it went.
        _ => Level::Warning,
    };
    let sha: String = of("sha").chars().take(12).collect();
    Finding {
        host: None,
        check: "github deployments".to_owned(),
        level,
        summary: format!(
            "{}: {} ({sha}) to {} by {}: {state}",
            of("at"),
            of("ref"),
            of("environment"),
            of("creator")
        ),
        evidence: evidence(deployment["url"].as_str().map(str::to_owned)),
    }
}
