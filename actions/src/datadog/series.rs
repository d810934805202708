//! `GET /api/v1/query`: metric points.

use serde_json::Value;

use super::{client::Datadog, judge::Series};
use crate::ActionError;

/// The series of a query in a window of Unix milliseconds.
pub(crate) async fn query(
    datadog: &Datadog<'_>,
    query: &str,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Series>, ActionError> {
    // This endpoint counts in seconds.
    let (from, to) = ((from_ms / 1_000).to_string(), (to_ms / 1_000).to_string());
    let pairs = [("from", from.as_str()), ("to", to.as_str()), ("query", query)];
    let answer = datadog.get("/api/v1/query", &pairs).await?;
    let list = answer
        .body
        .get("series")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    Ok(list.map(series).collect())
}

fn series(value: &Value) -> Series {
    let point = |point: &Value| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "Unix milliseconds, written as a float"
        )]
        let at = point.get(0)?.as_f64()? as i64;
        Some((at, point.get(1)?.as_f64()?))
    };
    Series {
        scope: value
            .get("scope")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        points: value
            .get("pointlist")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(point)
            .collect(),
    }
}
