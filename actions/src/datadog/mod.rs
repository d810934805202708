//! The actions `datadog/query`, `datadog/logs`, `datadog/monitor` and `datadog/events`.
//! API: <https://docs.datadoghq.com/api/latest/>.

mod client;
mod events;
mod judge;
mod logs;
mod metric_query;
mod monitor;
mod query;
mod search;
mod series;

pub(crate) use events::Events;
pub(crate) use logs::Logs;
pub(crate) use monitor::Monitor;
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
