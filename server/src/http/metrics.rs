//! `GET /metrics`: the OpenMetrics text format, for Prometheus.

use std::fmt::Error;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use incident::Source;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use proto::v1::AgentStats;

use crate::{Core, agents::Listed};

/// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(State(core): State<Core>) -> Response {
    let mut text = String::new();
    // As of now: agents are counted when somebody asks.
    let mut now = Registry::with_prefix("firehall");
    now.register_collector(Box::new(Now(core.clone())));
    // The first without the end mark, which the second writes.
    let written = prometheus_client::encoding::text::encode_registry(&mut text, core.meter.registry())
        .and_then(|()| encode(&mut text, &now));
    match written {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => super::answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unreadable",
            &error.to_string(),
        ),
    }
}

/// What is counted when it is asked for.
struct Now(Core);

impl std::fmt::Debug for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Now")
    }
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let agents = self.0.agents.list();
        self.build(&mut encoder)?;
        if let Some(bytes) = node::memory::resident_bytes() {
            let help = "Memory of this server's process";
            let encoder =
                encoder.encode_descriptor("server_resident_bytes", help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX)).encode(encoder)?;
        }
        self.webhooks(&mut encoder)?;
        states(&mut encoder, &agents)?;
        for (name, help, of) in LISTED {
            let values = agents.iter().map(|agent| (agent, Some(of(agent))));
            gauges(&mut encoder, name, help, values)?;
        }
        for (name, help, of) in STATS {
            let values = agents
                .iter()
                .map(|agent| (agent, agent.stats.as_ref().and_then(of)));
            gauges(&mut encoder, name, help, values)?;
        }
        Ok(())
    }
}

/// Of each agent, as the server knows it.
const LISTED: [(&str, &str, fn(&Listed) -> u64); 2] = [
    ("agent_running", "Attempts that are out at the agent", |agent| {
        u64::from(agent.running)
    }),
    ("agent_capacity", "Attempts that it takes at once", |agent| {
        u64::from(agent.facts.capacity)
    }),
];

/// Of each agent, as its last heartbeat said.
const STATS: [(&str, &str, fn(&AgentStats) -> Option<u64>); 9] = [
    (
        "agent_starting",
        "Attempts that are taken and do not run yet",
        |stats| Some(u64::from(stats.starting)),
    ),
    ("agent_executing", "Attempts that run", |stats| {
        Some(u64::from(stats.running))
    }),
    (
        "agent_reports_waiting",
        "Ends of attempts that the server has not acknowledged",
        |stats| Some(u64::from(stats.reports_waiting)),
    ),
    (
        "agent_spool_bytes",
        "Bytes of its journal of leases and reports",
        |stats| Some(stats.spool_bytes),
    ),
    (
        "agent_sessions",
        "Sessions that it opened since it was started: reconnects and one",
        |stats| Some(stats.sessions),
    ),
    (
        "agent_leftovers_removed",
        "Containers and directories of attempts that were over, found left behind and removed since it was started",
        |stats| Some(stats.leftovers_removed),
    ),
    (
        "agent_log_bytes_waiting",
        "Bytes that logs of acknowledged attempts take of its disk while the server does not have them all",
        |stats| Some(stats.log_bytes_waiting),
    ),
    (
        "agent_log_bytes_given_up",
        "Bytes of such logs that it gave up since it was started; each log counts its own as lost",
        |stats| Some(stats.log_bytes_given_up),
    ),
    ("agent_resident_bytes", "Memory of its process", |stats| {
        stats.resident_bytes
    }),
];

impl Now {
    fn build(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        encoder
            .encode_descriptor("build", "This server's program", None, MetricType::Info)?
            .encode_info(&labels)
    }

    fn webhooks(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut family = encoder.encode_descriptor(
            "webhooks",
            "Bodies posted to a webhook since the process began, by what became of them",
            None,
            MetricType::Counter,
        )?;
        for source in Source::ALL {
            let count = self.0.intake.counts.of(source.as_str());
            for (answer, value) in [("accepted", count.accepted), ("refused", count.refused)] {
                let labels = [("source", source.as_str()), ("answer", answer)];
                ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn states(encoder: &mut DescriptorEncoder<'_>, agents: &[Listed]) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(
        "agents",
        "Agents that have ever connected, by state",
        None,
        MetricType::Gauge,
    )?;
    let count = |so: fn(&Listed) -> bool| i64::try_from(agents.iter().filter(|agent| so(agent)).count());
    for (state, count) in [
        ("connected", count(|agent| agent.connected && !agent.draining)),
        (
            "draining",
            count(|agent| agent.connected && agent.draining && !agent.is_drained()),
        ),
        ("drained", count(|agent| agent.connected && agent.is_drained())),
        ("disconnected", count(|agent| !agent.connected)),
    ] {
        let gauge = ConstGauge::new(count.unwrap_or(i64::MAX));
        gauge.encode(family.encode_family(&[("state", state)])?)?;
    }
    Ok(())
}

fn gauges<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a Listed, Option<u64>)>,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (agent, value) in values {
        let Some(value) = value else { continue };
        // Names are not unique, and people look for them.
        let labels = [("agent", agent.id.as_str()), ("name", agent.name.as_str())];
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
