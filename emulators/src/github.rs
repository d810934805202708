//! GitHub's REST API with repositories in memory: <https://docs.github.com/en/rest>.
//!
//! What a token may not see does not exist for it (404). Pages are linked by `Link`, answers have tags, and there are
//! limits of two kinds, told as GitHub tells them.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use serde_json::{Value, json};

use crate::stage::{Asked, Reply, Rules};

/// The most items of one page, and how many there are when nobody says.
const PAGE: usize = 100;
const PAGE_DEFAULT: usize = 30;

/// A repository.
#[derive(Debug, Default)]
pub struct Repository {
    /// Whether the token may see it.
    pub visible: bool,
    /// Commits, newest first, as the API has them.
    pub commits: Vec<Value>,
    /// Deployments, newest first, as the API has them.
    pub deployments: Vec<Value>,
    /// Statuses by deployment, newest first.
    pub statuses: BTreeMap<i64, Vec<Value>>,
}

/// The API.
#[derive(Debug)]
pub struct Github {
    /// The token.
    pub token: String,
    /// Repositories by `owner/name`.
    pub repositories: BTreeMap<String, Repository>,
    /// Calls that are left in this hour, and the Unix second at which it ends. Those that have not changed cost nothing.
    pub left: u64,
    /// See there.
    pub reset: i64,
    /// Where it stands, for links; set by the test, for the emulator does not know its port.
    pub base: String,
}

impl Default for Github {
    fn default() -> Self {
        Self {
            token: "ghp-1".to_owned(),
            repositories: BTreeMap::new(),
            left: 5_000,
            reset: 0,
            base: String::new(),
        }
    }
}

fn message(status: u16, text: &str) -> Reply {
    let page = "https://docs.github.com/rest";
    Reply::json(
        status,
        &json!({"message": text, "documentation_url": page, "status": status.to_string()}),
    )
}

impl Rules for Github {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let reply = self.judged(asked).unwrap_or_else(|refusal| refusal);
        reply
            .with("x-ratelimit-limit", 5_000)
            .with("x-ratelimit-remaining", self.left)
            .with("x-ratelimit-reset", self.reset)
    }
}

impl Github {
    fn judged(&mut self, asked: &Asked) -> Result<Reply, Reply> {
        if asked.header("user-agent").is_empty() {
            return Err(Reply::text(
                403,
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
            ));
        }
        if asked.header("authorization") != format!("Bearer {}", self.token) {
            return Err(message(401, "Bad credentials"));
        }
        if self.left == 0 {
            return Err(message(403, "API rate limit exceeded for user ID 1."));
        }
        let items = self.items(asked).ok_or_else(|| message(404, "Not Found"))?;
        let reply = page(&self.base, asked, &items)?;
        let tag = asked.header("if-none-match");
        if !tag.is_empty() && tag == reply.0 {
            return Ok(Reply::text(304, "").with("etag", reply.0));
        }
        self.left -= 1;
        Ok(reply.1)
    }

    fn items(&self, asked: &Asked) -> Option<Vec<Value>> {
        let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
        let ["repos", owner, name, rest @ ..] = parts.as_slice() else {
            return None;
        };
        let repository = self
            .repositories
            .get(&format!("{owner}/{name}"))
            .filter(|one| one.visible)?;
        match rest {
            ["commits"] => {
                let since = asked.get("since").unwrap_or_default();
                let recent = |commit: &&Value| {
                    let at = commit.pointer("/commit/committer/date").and_then(Value::as_str);
                    at.is_some_and(|at| at >= since)
                };
                Some(repository.commits.iter().filter(recent).cloned().collect())
            }
            ["deployments"] => {
                let to = asked.get("environment");
                let fits = |one: &&Value| to.is_none_or(|to| one["environment"] == to);
                Some(repository.deployments.iter().filter(fits).cloned().collect())
            }
            ["deployments", id, "statuses"] => {
                let id: i64 = id.parse().ok()?;
                repository.deployments.iter().find(|one| one["id"] == id)?;
                Some(repository.statuses.get(&id).cloned().unwrap_or_default())
            }
            _ => None,
        }
    }
}

fn page(base: &str, asked: &Asked, items: &[Value]) -> Result<(String, Reply), Reply> {
    let number = |name: &str, default: usize| match asked.get(name) {
        None => Ok(default),
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| message(422, "Validation Failed")),
    };
    let size = number("per_page", PAGE_DEFAULT)?.clamp(1, PAGE);
    let page = number("page", 1)?.max(1);
    let from = items.len().min((page - 1) * size);
    let until = items.len().min(from + size);
    let body = json!(items[from..until]);
    let mut hasher = DefaultHasher::new();
    body.to_string().hash(&mut hasher);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let mut reply = Reply::json(200, &body).with("etag", &tag);
    if until < items.len() {
        let others = asked.pairs.iter().filter(|(name, _)| name != "page");
        let others: String = others.map(|(name, value)| format!("{name}={value}&")).collect();
        let link =
            |page: usize, rel: &str| format!("<{base}{}?{others}page={page}>; rel=\"{rel}\"", asked.path);
        let last = items.len().div_ceil(size);
        reply = reply.with(
            "link",
            format!("{}, {}", link(page + 1, "next"), link(last, "last")),
        );
    }
    Ok((tag, reply))
}
