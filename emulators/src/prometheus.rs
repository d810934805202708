//! Prometheus' query API with series in memory: <https://prometheus.io/docs/prometheus/latest/querying/api/>.
//!
//! It evaluates no PromQL: what a query gives is set by the test. It keeps the rules around it: parameters that must be
//! there, the envelope, statuses and types of errors, values as texts, and the most points of a range.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stage::{Asked, Reply, Rules};

/// The most points of one series, as in Prometheus' own code.
const POINTS: f64 = 11_000.0;

/// What a query gives.
#[derive(Debug, Clone)]
pub enum Gives {
    /// Series with labels, and the value that all their points have.
    Series(Vec<(Vec<(&'static str, &'static str)>, &'static str)>),
    /// A number.
    Scalar(&'static str),
    /// A text.
    Text(&'static str),
    /// An error of a type, with its text.
    Error(&'static str, &'static str),
}

/// The server.
#[derive(Debug, Default)]
pub struct Prometheus {
    /// What must be sent as `Authorization`; nothing when empty.
    pub authorization: String,
    /// The tenant that must be sent; none when empty.
    pub tenant: String,
    /// Answers by query.
    pub queries: BTreeMap<String, Gives>,
    /// Warnings and infos that go with every answer.
    pub warnings: Vec<&'static str>,
    /// See there.
    pub infos: Vec<&'static str>,
}

fn error(kind: &str, text: &str) -> Reply {
    let status = match kind {
        "bad_data" => 400,
        "execution" => 422,
        "timeout" | "canceled" | "unavailable" => 503,
        "not_found" => 404,
        _ => 500,
    };
    Reply::json(
        status,
        &json!({"status": "error", "errorType": kind, "error": text}),
    )
}

fn number(asked: &Asked, name: &str) -> Result<f64, Reply> {
    let text = asked.get(name).unwrap_or_default();
    text.parse().map_err(|_| {
        let text = format!("invalid parameter \"{name}\": cannot parse \"{text}\" to a valid timestamp");
        error("bad_data", &text)
    })
}

impl Rules for Prometheus {
    fn answer(&mut self, asked: &Asked) -> Reply {
        self.judged(asked).unwrap_or_else(|refusal| refusal)
    }
}

impl Prometheus {
    fn judged(&self, asked: &Asked) -> Result<Reply, Reply> {
        if asked.header("authorization") != self.authorization {
            return Err(Reply::text(401, "Unauthorized\n"));
        }
        if asked.header("x-scope-orgid") != self.tenant {
            return Err(Reply::text(401, "no org id\n"));
        }
        if !matches!(asked.method.as_str(), "GET" | "POST") {
            return Err(Reply::text(405, "Method Not Allowed\n"));
        }
        let times = match asked.path.as_str() {
            "/api/v1/query" => vec![number(asked, "time")?],
            "/api/v1/query_range" => range(asked)?,
            _ => return Err(Reply::text(404, "404 page not found\n")),
        };
        let query = asked.get("query").unwrap_or_default();
        let Some(gives) = self.queries.get(query) else {
            let text = "invalid parameter \"query\": 1:1: parse error: unknown query in this emulator";
            return Err(error("bad_data", text));
        };
        let data = data(gives, &times, asked.path.ends_with("_range"))?;
        let mut body = json!({"status": "success", "data": data});
        for (name, list) in [("warnings", &self.warnings), ("infos", &self.infos)] {
            if !list.is_empty() {
                body[name] = json!(list);
            }
        }
        Ok(Reply::json(200, &body))
    }
}

fn range(asked: &Asked) -> Result<Vec<f64>, Reply> {
    let (start, end, step) = (
        number(asked, "start")?,
        number(asked, "end")?,
        number(asked, "step")?,
    );
    if end < start {
        return Err(error(
            "bad_data",
            "invalid parameter \"end\": end timestamp must not be before start time",
        ));
    }
    if step <= 0.0 {
        return Err(error(
            "bad_data",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (end - start) / step > POINTS {
        return Err(error(
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let mut times = Vec::new();
    let mut at = start;
    while at <= end {
        times.push(at);
        at += step;
    }
    Ok(times)
}

fn data(gives: &Gives, times: &[f64], range: bool) -> Result<Value, Reply> {
    let last = times.last().copied().unwrap_or_default();
    let metric = |labels: &[(&str, &str)]| {
        labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), json!(v)))
            .collect::<Value>()
    };
    Ok(match gives {
        Gives::Error(kind, text) => return Err(error(kind, text)),
        Gives::Scalar(value) if !range => json!({"resultType": "scalar", "result": [last, value]}),
        Gives::Text(value) if !range => json!({"resultType": "string", "result": [last, value]}),
        Gives::Text(_) => {
            return Err(error(
                "bad_data",
                "invalid expression type \"string\" for range query, must be Scalar or instant Vector",
            ));
        }
        Gives::Scalar(value) => {
            json!({"resultType": "matrix", "result": [{"metric": {}, "values": points(times, value)}]})
        }
        Gives::Series(list) if range => {
            let series = |(labels, value): &(Vec<_>, &str)| json!({"metric": metric(labels), "values": points(times, value)});
            json!({"resultType": "matrix", "result": list.iter().map(series).collect::<Vec<_>>()})
        }
        Gives::Series(list) => {
            let series =
                |(labels, value): &(Vec<_>, &str)| json!({"metric": metric(labels), "value": [last, value]});
            json!({"resultType": "vector", "result": list.iter().map(series).collect::<Vec<_>>()})
        }
    })
}

fn points(times: &[f64], value: &str) -> Vec<Value> {
    times.iter().map(|at| json!([at, value])).collect()
}
