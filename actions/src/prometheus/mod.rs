//! The action `prometheus/query`. API: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

mod client;
mod query;
pub(crate) mod series;

pub(crate) use query::Query;

use crate::upstream::Variables;

pub(crate) const VARIABLES: Variables = Variables {
    url: "PROMETHEUS_URL",
    example: "http://prometheus:9090",
    bearer: "PROMETHEUS_BEARER_TOKEN",
    username: "PROMETHEUS_USERNAME",
    password: "PROMETHEUS_PASSWORD",
    tenant: "PROMETHEUS_ORG_ID",
};
