//! The action `loki/query`. API: <https://grafana.com/docs/loki/latest/reference/loki-http-api/>.

mod client;
mod query;

pub(crate) use query::Query;

use crate::upstream::Variables;

/// As `logcli` calls them.
pub(crate) const VARIABLES: Variables = Variables {
    url: "LOKI_ADDR",
    example: "http://loki:3100",
    bearer: "LOKI_BEARER_TOKEN",
    username: "LOKI_USERNAME",
    password: "LOKI_PASSWORD",
    tenant: "LOKI_ORG_ID",
};
