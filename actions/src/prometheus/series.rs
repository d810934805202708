//! Series of Prometheus' form, as Loki has it too: reading and judging. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use types::Level;

/// Labels that name a host, the first one that is there.
const HOSTS: [&str; 4] = ["host", "hostname", "node", "instance"];

/// One series: labels, and points as Unix milliseconds and values, with NaN and infinities among them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) points: Vec<(i64, f64)>,
}

/// A result, or a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Series(Vec<Series>),
    Text(String),
}

/// `data` of an answer; none when it has not the documented form.
pub(crate) fn read(data: &Value) -> Option<Data> {
    let result = data.get("result")?;
    let list = || result.as_array();
    Some(match data.get("resultType")?.as_str()? {
        "matrix" => {
            let series = |one: &Value| {
                let points = one.get("values")?.as_array()?;
                let points = points.iter().map(point).collect::<Option<_>>()?;
                Some(Series {
                    labels: labels(one)?,
                    points,
                })
            };
            Data::Series(list()?.iter().map(series).collect::<Option<_>>()?)
        }
        "vector" => {
            let series = |one: &Value| {
                let points = vec![point(one.get("value")?)?];
                Some(Series {
                    labels: labels(one)?,
                    points,
                })
            };
            Data::Series(list()?.iter().map(series).collect::<Option<_>>()?)
        }
        "scalar" => Data::Series(vec![Series {
            labels: BTreeMap::new(),
            points: vec![point(result)?],
        }]),
        "string" => Data::Text(result.get(1)?.as_str()?.to_owned()),
        _ => return None,
    })
}

fn labels(one: &Value) -> Option<BTreeMap<String, String>> {
    let pair = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    one.get("metric")?.as_object()?.iter().map(pair).collect()
}

/// `[1435781451.781, "1"]`: seconds, and a value as a text.
fn point(value: &Value) -> Option<(i64, f64)> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "Unix milliseconds, written as seconds with a fraction"
    )]
    let at = (value.get(0)?.as_f64()? * 1_000.0).round() as i64;
    let number = match value.get(1)?.as_str()? {
        "+Inf" | "Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        text => text.parse().ok()?,
    };
    Some((at, number))
}

impl Series {
    /// `{app="api", host="web-1"}`; empty without labels.
    pub(crate) fn name(&self) -> String {
        let parts = self.labels.iter().filter(|(key, _)| *key != "__name__");
        let parts: Vec<String> = parts.map(|(key, value)| format!("{key}={value:?}")).collect();
        let metric = self
            .labels
            .get("__name__")
            .map(String::as_str)
            .unwrap_or_default();
        match parts.is_empty() {
            true => metric.to_owned(),
            false => format!("{metric}{{{}}}", parts.join(", ")),
        }
    }

    /// The host that it is about, without a port.
    pub(crate) fn host(&self) -> Option<String> {
        let text = HOSTS.iter().find_map(|key| self.labels.get(*key))?;
        let host = match text.rsplit_once(':') {
            Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => host,
            _ => text,
        };
        Some(host.to_owned())
    }

    /// For the output: values as the vendor writes them, for JSON has no NaN.
    pub(crate) fn json(&self, points: usize) -> Value {
        let skip = self.points.len().saturating_sub(points);
        let points: Vec<Value> = self.points[skip..]
            .iter()
            .map(|(at, value)| json!([at, number(*value)]))
            .collect();
        json!({"labels": self.labels, "points": points})
    }
}

/// Worst first, so that a cut never hides the worst. What could not be measured comes behind what is beyond a bound.
pub(crate) const fn rank(level: Level) -> u8 {
    match level {
        Level::Critical => 0,
        Level::Warning => 1,
        Level::Unknown => 2,
        Level::Normal => 3,
    }
}

/// The author's bounds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    pub(crate) above: Option<f64>,
    pub(crate) below: Option<f64>,
    pub(crate) warn_above: Option<f64>,
    pub(crate) warn_below: Option<f64>,
}

impl Bounds {
    /// How a value stands, and the bound that says so.
    pub(crate) fn judge(&self, value: f64) -> (Level, String) {
        let beyond = |bound: Option<f64>, above: bool| {
            bound.filter(|bound| if above { value > *bound } else { value < *bound })
        };
        let said = |word: &str, bound: f64| format!(", which is {word} {}", number(bound));
        if value.is_nan() {
            return (Level::Unknown, ", which is no number".to_owned());
        }
        for (level, above, below) in [
            (Level::Critical, self.above, self.below),
            (Level::Warning, self.warn_above, self.warn_below),
        ] {
            if let Some(bound) = beyond(above, true) {
                return (level, said("above", bound));
            }
            if let Some(bound) = beyond(below, false) {
                return (level, said("below", bound));
            }
        }
        let given = [self.above, self.below, self.warn_above, self.warn_below];
        if given.iter().all(Option::is_none) {
            // Without a bound nobody can say whether it is usual.
            return (Level::Unknown, "; no bound was given to judge it by".to_owned());
        }
        (Level::Normal, ", which is within its bounds".to_owned())
    }
}

/// Which of a range's values is judged.
pub(crate) fn over(points: &[(i64, f64)], which: &str) -> Option<f64> {
    let values = || {
        points
            .iter()
            .map(|(_, value)| *value)
            .filter(|value| !value.is_nan())
    };
    let last = points.last().map(|(_, value)| *value);
    match which {
        "max" => values().reduce(f64::max).or(last),
        "min" => values().reduce(f64::min).or(last),
        "avg" => {
            let count = values().count();
            #[expect(clippy::cast_precision_loss, reason = "at most 11,000 points")]
            let avg = values().sum::<f64>() / count as f64;
            if count == 0 { last } else { Some(avg) }
        }
        _ => last,
    }
}

/// As Prometheus writes it, with at most six decimals where they say enough.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value != 0.0 && (value.abs() < 0.000_1 || value.abs() >= 1e15) {
        return format!("{value:e}");
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_documented_result_is_read_and_nothing_else() {
        let of = |text: &str| read(&serde_json::from_str(text).unwrap());
        let Some(Data::Series(series)) = of(
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","instance":"web-1:9100"},"values":[[1.5,"1"],[2,"+Inf"],[3,"NaN"],[4,"-1e-7"]]}]}"#,
        ) else {
            panic!("a matrix");
        };
        assert_eq!(series[0].name(), "up{instance=\"web-1:9100\"}");
        assert_eq!(series[0].host().as_deref(), Some("web-1"));
        assert_eq!(
            series[0].json(10)["points"],
            json!([[1_500, "1"], [2_000, "+Inf"], [3_000, "NaN"], [4_000, "-1e-7"]])
        );
        assert_eq!(series[0].json(1)["points"].as_array().unwrap().len(), 1);
        assert_eq!(
            of(r#"{"resultType":"string","result":[1,"a"]}"#),
            Some(Data::Text("a".to_owned()))
        );
        assert!(matches!(
            of(r#"{"resultType":"scalar","result":[1,"2"]}"#),
            Some(Data::Series(_))
        ));
        for wrong in [
            r#"{"resultType":"vector","result":[{"metric":{},"value":[1,2]}]}"#,
            r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}"#,
            r#"{"resultType":"tensor","result":[]}"#,
            r#"{"result":[]}"#,
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_value_is_judged_by_its_bounds() {
        let bounds = Bounds {
            above: Some(10.0),
            warn_above: Some(5.0),
            ..Bounds::default()
        };
        assert_eq!(bounds.judge(f64::INFINITY).0, Level::Critical);
        assert_eq!(
            bounds.judge(10.0),
            (Level::Warning, ", which is above 5".to_owned())
        );
        assert_eq!(bounds.judge(5.0).0, Level::Normal);
        assert_eq!(bounds.judge(f64::NAN).0, Level::Unknown);
        assert_eq!(Bounds::default().judge(1.0).0, Level::Unknown);
        let low = Bounds {
            below: Some(0.1),
            ..Bounds::default()
        };
        assert_eq!(low.judge(f64::NEG_INFINITY).0, Level::Critical);
        let points = [(0, 1.0), (1, 9.0), (2, f64::NAN), (3, 2.0)];
        let of = |which| over(&points, which).unwrap();
        assert_eq!(
            (of("last"), of("max"), of("min"), of("avg")),
            (2.0, 9.0, 1.0, 4.0)
        );
        assert!(over(&[(0, f64::NAN)], "avg").unwrap().is_nan());
    }
}
