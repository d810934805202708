//! The action `datadog/query`. API: <https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points>.

mod client;
mod judge;
mod metric_query;
mod query;

pub(crate) use query::Query;

/// US1.
pub(crate) const DEFAULT_SITE: &str = "datadoghq.com";

/// Where people of a site look: <https://docs.datadoghq.com/getting_started/site/>.
pub(crate) fn ui_of(site: &str) -> String {
    match site {
        "datadoghq.com" | "datadoghq.eu" | "ddog-gov.com" => format!("https://app.{site}"),
        other => format!("https://{other}"),
    }
}
