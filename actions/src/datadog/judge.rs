//! A series of points against a monitor's bound. Pure.

use types::Level;

use super::metric_query::MetricQuery;

/// One series of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// `host:api-1`.
    pub(crate) scope: String,
    /// Unix milliseconds and values, gaps left out.
    pub(crate) points: Vec<(i64, f64)>,
}

/// How a series stands and the line that says so.
pub(crate) fn judge(query: &MetricQuery, series: &Series) -> (Level, String) {
    let Some((last_at, _)) = series.points.last() else {
        return (Level::Unknown, "no point in the window".to_owned());
    };
    let value = match query.window {
        Some((aggregate, seconds)) => {
            let from = last_at - i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
            let values: Vec<f64> = series
                .points
                .iter()
                .filter(|(at, _)| *at > from)
                .map(|(_, value)| *value)
                .collect();
            aggregate.over(&values)
        }
        None => series.points.last().map(|(_, value)| *value),
    };
    let Some(value) = value else {
        return (Level::Unknown, "no point in the window".to_owned());
    };
    let shown = match query.window {
        Some((aggregate, seconds)) => format!(
            "{} of the last {} min is {}",
            aggregate.as_str(),
            seconds / 60,
            number(value)
        ),
        None => format!("the last value is {}", number(value)),
    };
    match query.bound {
        Some((compare, bound)) => {
            let (level, is) = if compare.holds(value, bound) {
                (Level::Critical, "is")
            } else {
                (Level::Normal, "is not")
            };
            (
                level,
                format!("{shown}, which {is} {} {}", compare.as_str(), number(bound)),
            )
        }
        // Without a bound nobody can say whether it is usual.
        None => (
            Level::Unknown,
            format!("{shown}; the query has no bound to judge it by"),
        ),
    }
}

/// Up to six significant digits.
fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    if value != 0.0 && (value.abs() < 0.000_1 || value.abs() >= 1e15) {
        format!("{value:e}")
    } else {
        trimmed(&text).to_owned()
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_end_matches('0').trim_end_matches('.')
}

/// The host in a scope, where it has one.
pub(crate) fn host_of(scope: &str) -> Option<String> {
    scope
        .split(',')
        .find_map(|part| part.trim().strip_prefix("host:"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_series_is_judged_by_the_monitors_own_rule() {
        let query = MetricQuery::parse("avg(last_5m):avg:m{*} by {host} < 0.1").unwrap();
        let of = |values: &[f64]| {
            let points = values
                .iter()
                .zip(0..)
                .map(|(value, i)| (i * 60_000, *value))
                .collect();
            judge(
                &query,
                &Series {
                    scope: "host:a".to_owned(),
                    points,
                },
            )
        };
        assert_eq!(
            of(&[0.05; 5]),
            (
                Level::Critical,
                "avg of the last 5 min is 0.05, which is < 0.1".to_owned()
            )
        );
        assert_eq!(
            of(&[0.0, 0.0, 0.0, 9.0, 9.0, 9.0, 9.0, 9.0]).0,
            Level::Normal,
            "older points do not count"
        );
        assert_eq!(of(&[]).0, Level::Unknown);
        let free = MetricQuery::parse("avg:m{*}").unwrap();
        assert_eq!(
            judge(
                &free,
                &Series {
                    scope: String::new(),
                    points: vec![(0, 1.5)]
                }
            )
            .0,
            Level::Unknown
        );
        assert_eq!(
            (number(12.0), number(0.05), number(1e-7)),
            ("12".to_owned(), "0.05".to_owned(), "1e-7".to_owned())
        );
        assert_eq!(host_of("env:prod,host:api-1").as_deref(), Some("api-1"));
    }
}
