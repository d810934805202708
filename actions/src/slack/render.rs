//! Findings as lines for people: sign and word, host, check, value, and where it can be seen.

use types::{Evidence, Finding, Level};

use super::escape;

/// A sign beside the word, never instead of it.
fn sign(level: Level) -> &'static str {
    match level {
        Level::Normal => "🟢",
        Level::Warning => "🟡",
        Level::Critical => "🔴",
        Level::Unknown => "❔",
    }
}

/// Two lines: the finding, and its evidence. Untrusted text in plain form: for a plain text object.
pub(crate) fn finding(finding: &Finding) -> String {
    let host = finding
        .host
        .as_deref()
        .map(|host| format!("{} · ", flat(host, 120)))
        .unwrap_or_default();
    format!(
        "{} {} · {host}{}: {}\n     ↳ {}",
        sign(finding.level),
        finding.level.as_str(),
        flat(&finding.check, 120),
        flat(&finding.summary, 300),
        evidence(&finding.evidence)
    )
}

fn evidence(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Step {
            run,
            step,
            index,
            attempt,
            agent_name,
            output,
            ..
        } => {
            let index = index.map(|index| format!("[{index}]")).unwrap_or_default();
            let (step, agent) = (flat(step, 80), flat(agent_name, 80));
            format!(
                "{run} · {step}{index} try {attempt} on {agent} · {}",
                flat(output, 40)
            )
        }
        Evidence::Query {
            source,
            query,
            from_ms,
            to_ms,
            link,
        } => {
            let link = link
                .as_deref()
                .map(|link| format!(" · {}", flat(link, 500)))
                .unwrap_or_default();
            let minutes = (to_ms - from_ms) / 60_000;
            format!(
                "{} · {} · last {minutes} min{link}",
                flat(source, 40),
                flat(query, 500)
            )
        }
    }
}

fn flat(text: &str, limit: usize) -> String {
    escape::cut(&escape::line(text), limit)
}

/// The notification's words: the worst first, by counts.
pub(crate) fn headline(findings: &[Finding]) -> String {
    let counted: Vec<String> = [Level::Critical, Level::Warning, Level::Unknown, Level::Normal]
        .into_iter()
        .filter_map(|level| {
            let count = findings.iter().filter(|finding| finding.level == level).count();
            (count > 0).then(|| format!("{} {count} {}", sign(level), level.as_str()))
        })
        .collect();
    counted.join(", ")
}
