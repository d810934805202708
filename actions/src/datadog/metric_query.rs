//! A typed parser of Datadog metric queries, and their one way into a request: what an alert brings is read into
//! parts of known letters and written anew from these. Whatever else it says is refused.
//!
//! `[avg(last_5m):] agg:metric.name{scope} [by {tags}] [.as_count()|.as_rate()] [op number]`

use std::fmt;

/// The longest query that is read, characters.
const LENGTH: usize = 1_000;
/// Filters in one scope, tags in one grouping.
const PARTS: usize = 20;

/// A query with the bound that a monitor compares it with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricQuery {
    /// `avg` over the last `300` seconds.
    pub(crate) window: Option<(Aggregate, u64)>,
    space: Aggregate,
    metric: String,
    scope: Vec<String>,
    by: Vec<String>,
    modifier: Option<&'static str>,
    pub(crate) bound: Option<(Compare, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Avg,
    Min,
    Max,
    Sum,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Aggregate {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "sum" => Self::Sum,
            _ => return None,
        })
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
        }
    }

    /// Over values; none of none.
    pub(crate) fn over(self, values: &[f64]) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "points of one window")]
        let count = values.len() as f64;
        let sum = || values.iter().sum::<f64>();
        (!values.is_empty()).then(|| match self {
            Self::Avg => sum() / count,
            Self::Sum => sum(),
            Self::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

impl Compare {
    pub(crate) fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Above => value > bound,
            Self::AtLeast => value >= bound,
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }
}

/// What goes into the request: without window and bound.
impl fmt::Display for MetricQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}{{{}}}",
            self.space.as_str(),
            self.metric,
            self.scope.join(",")
        )?;
        if !self.by.is_empty() {
            write!(f, " by {{{}}}", self.by.join(","))?;
        }
        f.write_str(self.modifier.unwrap_or_default())
    }
}

impl MetricQuery {
    /// Reads a query.
    ///
    /// # Errors
    /// What in it is not known; never the text itself.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.chars().count() > LENGTH {
            return Err("it is longer than 1,000 characters");
        }
        let text = text.trim();
        let (window, rest) = match text.split_once("):") {
            Some((head, rest)) => (
                Some(parse_window(head).ok_or("its window is none that we know")?),
                rest.trim(),
            ),
            None => (None, text),
        };
        let (space, rest) = rest.split_once(':').ok_or("it has no aggregator")?;
        let space = Aggregate::parse(space.trim()).ok_or("its aggregator is none of avg, min, max, sum")?;
        let (metric, rest) = rest.split_once('{').ok_or("it has no scope in braces")?;
        let metric = metric.trim();
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if metric.is_empty()
            || metric.len() > 200
            || !metric.starts_with(|c: char| c.is_ascii_alphabetic())
            || !metric.chars().all(name)
        {
            return Err("its metric is no metric name");
        }
        let (scope, rest) = rest.split_once('}').ok_or("its scope does not end")?;
        let scope = parse_scope(scope)?;
        let (by, rest) = parse_by(rest.trim())?;
        let (modifier, rest) = [".as_count()", ".as_rate()"]
            .into_iter()
            .find_map(|modifier| Some((Some(modifier), rest.strip_prefix(modifier)?)))
            .unwrap_or((None, rest));
        let bound = parse_bound(rest.trim())?;
        Ok(Self {
            window,
            space,
            metric: metric.to_owned(),
            scope,
            by,
            modifier,
            bound,
        })
    }
}

/// `avg(last_5m`.
fn parse_window(text: &str) -> Option<(Aggregate, u64)> {
    let (aggregate, span) = text.trim().split_once('(')?;
    let span = span.trim().strip_prefix("last_")?;
    let unit = span.chars().last()?;
    let number: u64 = span.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let seconds = number
        .checked_mul(seconds)
        .filter(|seconds| (60..=2_678_400).contains(seconds))?;
    Some((Aggregate::parse(aggregate.trim())?, seconds))
}

/// `*`, or `key:value,!key:value,tag`.
fn parse_scope(text: &str) -> Result<Vec<String>, &'static str> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.len() > PARTS {
        return Err("its scope has more than 20 parts");
    }
    let value = |c: char| c.is_ascii_alphanumeric() || "_-./*:@".contains(c);
    let fits = |part: &&str| {
        let tag = part.strip_prefix('!').unwrap_or(part);
        *part == "*"
            || (!tag.is_empty()
                && tag.len() <= 200
                && tag.starts_with(|c: char| c.is_ascii_alphabetic())
                && tag.chars().all(value))
    };
    if !parts.iter().all(fits) {
        return Err("its scope has other characters than tags have");
    }
    Ok(parts.into_iter().map(str::to_owned).collect())
}

/// ` by {host,service}`.
fn parse_by(rest: &str) -> Result<(Vec<String>, &str), &'static str> {
    let Some(tail) = rest.strip_prefix("by") else {
        return Ok((Vec::new(), rest));
    };
    let tail = tail
        .trim_start()
        .strip_prefix('{')
        .ok_or("its grouping has no braces")?;
    let (tags, rest) = tail.split_once('}').ok_or("its grouping does not end")?;
    let tags: Vec<String> = tags.split(',').map(|tag| tag.trim().to_owned()).collect();
    let key = |c: char| c.is_ascii_alphanumeric() || "_-./@".contains(c);
    let fits = |tag: &String| !tag.is_empty() && tag.len() <= 200 && tag.chars().all(key);
    if tags.len() > PARTS || !tags.iter().all(fits) {
        return Err("its grouping has other characters than tag keys have");
    }
    Ok((tags, rest))
}

fn parse_bound(rest: &str) -> Result<Option<(Compare, f64)>, &'static str> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (compare, number) = [
        (">=", Compare::AtLeast),
        ("<=", Compare::AtMost),
        (">", Compare::Above),
        ("<", Compare::Below),
    ]
    .into_iter()
    .find_map(|(sign, compare)| Some((compare, rest.strip_prefix(sign)?)))
    .ok_or("behind its scope stands something that we do not know")?;
    let number = number.trim();
    let plain = number.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    let bound = number
        .parse::<f64>()
        .ok()
        .filter(|bound| plain && bound.is_finite())
        .ok_or("its bound is no number")?;
    Ok(Some((compare, bound)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_monitors_query_is_read_and_written_anew() {
        let query = MetricQuery::parse(
            "avg(last_5m):avg:system.mem.pct_usable{env:production, service:api} by {host} < 0.1",
        )
        .unwrap();
        assert_eq!(
            query.to_string(),
            "avg:system.mem.pct_usable{env:production,service:api} by {host}"
        );
        assert_eq!(query.window, Some((Aggregate::Avg, 300)));
        assert_eq!(query.bound, Some((Compare::Below, 0.1)));
        let query = MetricQuery::parse("sum:trace.http.errors{*}.as_count()").unwrap();
        assert_eq!(
            (query.to_string().as_str(), query.bound),
            ("sum:trace.http.errors{*}.as_count()", None)
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "x",
            "avg:m",
            "avg:m{*",
            "avg:m{a b}",
            "avg:m{*} + avg:n{*}",
            "top(avg:m{*}, 5)",
            "avg:m{host:$(id)}",
            "p99:m{*}",
            "avg:m{*} > x",
            "avg:m{*}; drop",
            "avg:m{*}&from=0",
            "avg(last_5y):avg:m{*}",
            "avg:m\n{*}x",
            "avg:m{*} by {a b}",
        ] {
            assert!(MetricQuery::parse(text).is_err(), "{text}");
        }
        assert!(MetricQuery::parse(&"a".repeat(2_000)).is_err());
    }

    proptest! {
        #[test]
        fn what_passes_is_clean(text in "(avg\\(last_5m\\):)?(avg|sum|x):\\PC{0,20}\\{\\PC{0,20}\\}\\PC{0,20}") {
            if let Ok(query) = MetricQuery::parse(&text) {
                let written = query.to_string();
                prop_assert!(written.chars().all(|c| c.is_ascii_alphanumeric() || "_-./*:@{}!,() ".contains(c)), "{}", written);
                prop_assert_eq!(MetricQuery::parse(&written).unwrap().to_string(), written);
            }
        }
    }
}
