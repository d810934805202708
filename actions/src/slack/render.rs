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

/// An investigation's findings: what is not normal in full, what is normal in one line a host.
pub(crate) fn digest(findings: &[Finding]) -> Vec<String> {
    let (normal, other): (Vec<&Finding>, Vec<&Finding>) = findings
        .iter()
        .partition(|finding| finding.level == Level::Normal && finding.host.is_some());
    let mut lines: Vec<String> = other.into_iter().map(finding).collect();
    let mut hosts: Vec<(&str, Vec<String>)> = Vec::new();
    for finding in normal {
        let (host, check) = (
            finding.host.as_deref().unwrap_or_default(),
            flat(&finding.check, 120),
        );
        match hosts.iter_mut().find(|(known, _)| *known == host) {
            Some((_, checks)) => checks.push(check),
            None => hosts.push((host, vec![check])),
        }
    }
    let word = Level::Normal.as_str();
    let line = |(host, checks): &(&str, Vec<String>)| {
        format!(
            "{} {word} · {} · {}",
            sign(Level::Normal),
            flat(host, 120),
            flat(&checks.join(", "), 500)
        )
    };
    lines.extend(hosts.iter().map(line));
    lines
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
