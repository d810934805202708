//! An example of each action: the smallest workflow that uses it. A test of the command line compiles each.

const EXAMPLES: &[(&str, &str)] = &[
    ("datadog/events", include_str!("examples/datadog-events.yaml")),
    ("datadog/logs", include_str!("examples/datadog-logs.yaml")),
    ("datadog/monitor", include_str!("examples/datadog-monitor.yaml")),
    ("datadog/query", include_str!("examples/datadog-query.yaml")),
    ("github/commits", include_str!("examples/github-commits.yaml")),
    (
        "github/deployments",
        include_str!("examples/github-deployments.yaml"),
    ),
    ("http/request", include_str!("examples/http-request.yaml")),
    (
        "incident/findings",
        include_str!("examples/incident-findings.yaml"),
    ),
    ("incident/parse", include_str!("examples/incident-parse.yaml")),
    ("incident/summary", include_str!("examples/incident-summary.yaml")),
    (
        "kubernetes/events",
        include_str!("examples/kubernetes-events.yaml"),
    ),
    (
        "kubernetes/rollout-status",
        include_str!("examples/kubernetes-rollout-status.yaml"),
    ),
    ("llm/analyze", include_str!("examples/llm-analyze.yaml")),
    ("loki/query", include_str!("examples/loki-query.yaml")),
    (
        "pagerduty/incident",
        include_str!("examples/pagerduty-incident.yaml"),
    ),
    ("pagerduty/note", include_str!("examples/pagerduty-note.yaml")),
    ("pagerduty/oncall", include_str!("examples/pagerduty-oncall.yaml")),
    ("prometheus/query", include_str!("examples/prometheus-query.yaml")),
    ("slack/archive", include_str!("examples/slack-archive.yaml")),
    ("slack/bookmark", include_str!("examples/slack-bookmark.yaml")),
    ("slack/connect", include_str!("examples/slack-connect.yaml")),
    ("slack/post", include_str!("examples/slack-post.yaml")),
    (
        "slack/resolve-users",
        include_str!("examples/slack-resolve-users.yaml"),
    ),
    (
        "slack/update-message",
        include_str!("examples/slack-update-message.yaml"),
    ),
    ("slack/upload", include_str!("examples/slack-upload.yaml")),
    ("slack/war-room", include_str!("examples/slack-war-room.yaml")),
];

/// The smallest workflow that uses a built-in action, in YAML.
#[must_use]
pub fn example(action: &str) -> Option<&'static str> {
    EXAMPLES
        .iter()
        .find(|(name, _)| *name == action)
        .map(|(_, text)| *text)
}
