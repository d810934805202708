//! Datadog's API for reading, with monitors, logs and events in memory: <https://docs.datadoghq.com/api/latest/>.
//!
//! Its limits are a number of calls for each endpoint until the test gives new ones, told by the documented headers.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::stage::{Asked, Reply, Rules};

/// The most items of one page.
const PAGE: usize = 1_000;

/// An organisation.
#[derive(Debug)]
pub struct Datadog {
    /// The API key.
    pub api_key: String,
    /// The application key.
    pub app_key: String,
    /// The permissions of the application key.
    pub scopes: Vec<&'static str>,
    /// Monitors by id.
    pub monitors: BTreeMap<i64, Value>,
    /// Log events, newest first.
    pub logs: Vec<Value>,
    /// Events, newest first.
    pub events: Vec<Value>,
    /// Calls that are left, by path; any number where nothing is said.
    pub left: BTreeMap<&'static str, u64>,
    /// Seconds until a limit is new.
    pub reset: u64,
    /// Whether searches run out of time, with what they have.
    pub timeout: bool,
}

impl Default for Datadog {
    fn default() -> Self {
        Self {
            api_key: "api-1".to_owned(),
            app_key: "app-1".to_owned(),
            scopes: vec!["logs_read_data", "events_read", "monitors_read"],
            monitors: BTreeMap::new(),
            logs: Vec::new(),
            events: Vec::new(),
            left: BTreeMap::new(),
            reset: 1,
            timeout: false,
        }
    }
}

fn errors(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({"errors": [text]}))
}

/// As API v2 says it.
fn invalid(detail: &str) -> Reply {
    let error = json!({"status": "400", "title": "Bad Request", "detail": detail});
    Reply::json(400, &json!({"errors": [error]}))
}

impl Rules for Datadog {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let limit = self.left.iter_mut().find(|(path, _)| **path == asked.path);
        let left = match limit {
            Some((_, 0)) => {
                return errors(429, "Rate limit of this endpoint exceeded")
                    .with("x-ratelimit-limit", 10)
                    .with("x-ratelimit-period", 10)
                    .with("x-ratelimit-remaining", 0)
                    .with("x-ratelimit-reset", self.reset);
            }
            Some((_, left)) => {
                *left -= 1;
                Some(*left)
            }
            None => None,
        };
        let reply = self.judged(asked).unwrap_or_else(|refusal| refusal);
        match left {
            Some(left) => reply
                .with("x-ratelimit-remaining", left)
                .with("x-ratelimit-reset", self.reset),
            None => reply,
        }
    }
}

impl Datadog {
    fn judged(&self, asked: &Asked) -> Result<Reply, Reply> {
        let keys = (asked.header("dd-api-key"), asked.header("dd-application-key"));
        if keys.0 != self.api_key {
            return Err(errors(401, "Unauthorized"));
        }
        let may = |scope: &str| match keys.1 == self.app_key && self.scopes.contains(&scope) {
            true => Ok(()),
            false => Err(errors(403, "Forbidden")),
        };
        match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/api/v2/logs/events/search") => {
                may("logs_read_data")?;
                self.search(asked, &self.logs)
            }
            ("POST", "/api/v2/events/search") => {
                may("events_read")?;
                self.search(asked, &self.events)
            }
            ("GET", path) => {
                let id = path
                    .strip_prefix("/api/v1/monitor/")
                    .ok_or_else(|| errors(404, "Not Found"))?;
                may("monitors_read")?;
                let id: i64 = id
                    .parse()
                    .map_err(|_| errors(400, "The value provided for parameter 'monitor_id' is invalid"))?;
                let mut monitor = self
                    .monitors
                    .get(&id)
                    .cloned()
                    .ok_or_else(|| errors(404, "Monitor not found"))?;
                // Without the parameter there are no groups in it.
                if asked.get("group_states") != Some("all") {
                    monitor["state"] = json!({});
                }
                Ok(Reply::json(200, &monitor))
            }
            _ => Err(errors(404, "Not Found")),
        }
    }

    fn search(&self, asked: &Asked, items: &[Value]) -> Result<Reply, Reply> {
        let body: Value = serde_json::from_slice(&asked.body).map_err(|_| invalid("invalid JSON"))?;
        let text = |path: &str| body.pointer(path).and_then(Value::as_str);
        for bound in ["/filter/from", "/filter/to"] {
            // Milliseconds as a text, or date math.
            if text(bound).is_none_or(|text| text.parse::<i64>().is_err() && !text.starts_with("now")) {
                return Err(invalid(&format!("{bound}: not a valid date")));
            }
        }
        let query = text("/filter/query").ok_or_else(|| invalid("filter.query: missing"))?;
        if query.matches('"').count() - query.matches("\\\"").count() % 2 == 1 {
            return Err(invalid("filter.query: unbalanced quotes"));
        }
        if !matches!(text("/sort"), None | Some("timestamp" | "-timestamp")) {
            return Err(invalid("sort: unknown"));
        }
        let limit = body.pointer("/page/limit").map_or(Some(10), Value::as_u64);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit
            .filter(|limit| (1..=PAGE).contains(limit))
            .ok_or_else(|| invalid("page.limit: 1 to 1000"))?;
        let from = match text("/page/cursor") {
            None => 0,
            Some(cursor) => place(cursor)
                .filter(|at| *at <= items.len())
                .ok_or_else(|| invalid("page.cursor: invalid"))?,
        };
        let until = items.len().min(from + limit);
        let mut meta = json!({"status": if self.timeout { "timeout" } else { "done" }, "elapsed": 3});
        if until < items.len() {
            meta["page"] = json!({"after": BASE64URL_NOPAD.encode(format!("at:{until}").as_bytes())});
        }
        Ok(Reply::json(
            200,
            &json!({"data": items[from..until], "meta": meta}),
        ))
    }
}

fn place(cursor: &str) -> Option<usize> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    String::from_utf8(bytes).ok()?.strip_prefix("at:")?.parse().ok()
}
