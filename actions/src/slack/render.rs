//! Findings as lines for people: where they can be seen, then sign and word, check and value.

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

/// Findings under the evidence that they share: one heading names host, run, step, try and agent (or the query), then
/// a line a finding, worst first, each with its place in that evidence. Plain text: for a plain text object.
pub(crate) fn grouped(findings: &[Finding]) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        let heading = heading(finding);
        match groups.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, group)) => group.push(finding),
            None => groups.push((heading, vec![finding])),
        }
    }
    let mut lines = Vec::new();
    for (heading, mut group) in groups {
        // Stable: what is equally bad stays in the order in which it was measured.
        group.sort_by_key(|finding| match finding.level {
            Level::Critical => 0,
            Level::Warning => 1,
            Level::Unknown => 2,
            Level::Normal => 3,
        });
        lines.push(heading);
        lines.extend(group.into_iter().map(line));
    }
    lines
}

/// `🟡 warning · load 4.05 over 1 min … (checks[0])`; the check's name in front where the summary does not begin with it.
fn line(finding: &Finding) -> String {
    let (check, summary) = (flat(&finding.check, 120), flat(&finding.summary, 300));
    let named = summary.to_lowercase().starts_with(&check.to_lowercase());
    let check = if named {
        String::new()
    } else {
        format!("{check}: ")
    };
    let place = match &finding.evidence {
        Evidence::Step { output, .. } => format!(" ({})", flat(output, 40)),
        Evidence::Query { .. } => String::new(),
    };
    format!(
        "{} {} · {check}{summary}{place}",
        sign(finding.level),
        finding.level.as_str()
    )
}

fn heading(finding: &Finding) -> String {
    let host = finding
        .host
        .as_deref()
        .map(|host| format!("{} ↳ ", flat(host, 120)))
        .unwrap_or_default();
    format!("{host}{}", evidence(&finding.evidence))
}

/// An investigation's findings: what is not normal in full, what is normal in one line a host.
pub(crate) fn digest(findings: &[Finding]) -> Vec<String> {
    let (normal, other): (Vec<&Finding>, Vec<&Finding>) = findings
        .iter()
        .partition(|finding| finding.level == Level::Normal && finding.host.is_some());
    let mut lines = grouped(&other.into_iter().cloned().collect::<Vec<_>>());
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
            ..
        } => {
            let index = index.map(|index| format!("[{index}]")).unwrap_or_default();
            let (step, agent) = (flat(step, 80), flat(agent_name, 80));
            format!("{run} · {step}{index} try {attempt} on {agent}")
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
