//! Loki's query API with lines in memory: <https://grafana.com/docs/loki/latest/reference/loki-http-api/>.
//!
//! Of LogQL it knows stream selectors of `=` and line filters of `|=` and `|~`, which it reads strictly: what is not
//! well quoted is a parse error, in plain text, as Loki's is.

use serde_json::{Value, json};

use crate::stage::{Asked, Reply, Rules};

/// The most lines of one answer, `max_entries_limit`.
const LIMIT: usize = 5_000;

/// The server.
#[derive(Debug, Default)]
pub struct Loki {
    /// The tenant that must be sent; none when empty.
    pub tenant: String,
    /// Streams: their labels and lines with Unix nanoseconds, oldest first.
    pub streams: Vec<(Vec<(&'static str, String)>, Vec<(i64, String)>)>,
    /// What a metric query gives: its text, and the value of its one series.
    pub metric: Option<(String, &'static str)>,
    /// Warnings that go with every answer.
    pub warnings: Vec<&'static str>,
}

impl Rules for Loki {
    fn answer(&mut self, asked: &Asked) -> Reply {
        self.judged(asked)
            .unwrap_or_else(|(status, text)| Reply::text(status, &text))
    }
}

type Refusal = (u16, String);

impl Loki {
    fn judged(&self, asked: &Asked) -> Result<Reply, Refusal> {
        if asked.header("x-scope-orgid") != self.tenant {
            return Err((401, "no org id\n".to_owned()));
        }
        if asked.path != "/loki/api/v1/query_range" {
            return Err((404, "404 page not found\n".to_owned()));
        }
        let number = |name: &str| {
            let text = asked.get(name).unwrap_or_default();
            text.parse::<i64>()
                .map_err(|error| (400, format!("could not parse {name} {text:?}: {error}")))
        };
        let (start, end, limit) = (number("start")?, number("end")?, number("limit")?);
        if end < start {
            return Err((
                400,
                "end timestamp must not be before or equal to start time".to_owned(),
            ));
        }
        let limit = usize::try_from(limit).map_err(|_| (400, "limit must be a positive value".to_owned()))?;
        if limit > LIMIT {
            return Err((
                400,
                format!(
                    "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {LIMIT})"
                ),
            ));
        }
        let query = asked.get("query").unwrap_or_default();
        let mut body = match &self.metric {
            Some((known, value)) if known == query => matrix(start, end, value),
            _ => self.lines(query, start, end, limit)?,
        };
        if !self.warnings.is_empty() {
            body["warnings"] = json!(self.warnings);
        }
        Ok(Reply::json(200, &body))
    }

    fn lines(&self, query: &str, start: i64, end: i64, limit: usize) -> Result<Value, Refusal> {
        let parsed = Parsed::of(query).map_err(|why| (400, format!("parse error : {why}")))?;
        if parsed.labels.is_empty() {
            let text = "queries require at least one regexp or equality matcher that does not have an empty-compatible value";
            return Err((400, format!("parse error : {text}")));
        }
        let mut found: Vec<(i64, usize, &str)> = Vec::new();
        for (n, (labels, lines)) in self.streams.iter().enumerate() {
            let is = |(name, value): &(String, String)| labels.iter().any(|(k, v)| k == name && v == value);
            if parsed.labels.iter().all(is) {
                let within = lines
                    .iter()
                    .filter(|(at, line)| (start..end).contains(at) && parsed.takes(line));
                found.extend(within.map(|(at, line)| (*at, n, line.as_str())));
            }
        }
        // Newest first, as `direction=backward` has it.
        found.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        found.truncate(limit);
        let streams = self.streams.iter().enumerate().filter_map(|(n, (labels, _))| {
            let of = found.iter().filter(|(_, stream, _)| *stream == n);
            let values: Vec<Value> = of.map(|(at, _, line)| json!([at.to_string(), line])).collect();
            let labels = labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), json!(v)))
                .collect::<Value>();
            (!values.is_empty()).then(|| json!({"stream": labels, "values": values}))
        });
        let result: Vec<Value> = streams.collect();
        Ok(json!({"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}))
    }
}

fn matrix(start: i64, end: i64, value: &str) -> Value {
    let points: Vec<Value> = [start, end]
        .iter()
        .map(|at| json!([at / 1_000_000_000, value]))
        .collect();
    json!({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"app": "api"}, "values": points}], "stats": {}}})
}

/// A query, read.
struct Parsed {
    labels: Vec<(String, String)>,
    filters: Vec<String>,
}

impl Parsed {
    fn of(query: &str) -> Result<Self, String> {
        let mut rest = query
            .trim()
            .strip_prefix('{')
            .ok_or("syntax error: unexpected start")?;
        let mut labels = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (name, after) = rest.split_once('=').ok_or("syntax error: expecting =")?;
            let (value, after) = quoted(after)?;
            labels.push((name.trim().to_owned(), value));
            rest = after.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        let mut filters = Vec::new();
        while !rest.trim().is_empty() {
            let after = rest.trim_start();
            let after = after.strip_prefix("|=").or_else(|| after.strip_prefix("|~"));
            let (value, after) = quoted(after.ok_or("syntax error: unexpected IDENTIFIER")?)?;
            filters.push(value);
            rest = after;
        }
        Ok(Self { labels, filters })
    }

    fn takes(&self, line: &str) -> bool {
        self.filters.iter().all(|filter| line.contains(filter.as_str()))
    }
}

/// A text in double quotes, with JSON's escapes, and what is behind it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let text = text.trim_start();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    match values.next() {
        Some(Ok(value)) => Ok((value, &text[values.byte_offset()..])),
        _ => Err("literal not terminated".to_owned()),
    }
}
