//! What the model gets: findings as numbered data, bounded, without secrets.

use serde_json::{Value, json};
use types::{Finding, Incident};

use crate::Mask;

/// Findings that are sent.
const FINDINGS: usize = 200;
/// Bytes of them, as JSON.
const BYTES: usize = 48 * 1024;
/// Characters of one text.
const TEXT: usize = 1_000;

/// Evidence with its ids: `e1` is the first.
pub(super) struct Evidence {
    pub(super) findings: Vec<Finding>,
    /// How many there were.
    pub(super) total: usize,
    json: Vec<Value>,
}

impl Evidence {
    /// The worst first, so that the bound leaves out what matters least. Secrets are masked here, before a byte of it
    /// goes anywhere.
    pub(super) fn of(mut findings: Vec<Finding>, mask: &Mask) -> Self {
        let total = findings.len();
        findings.sort_by_key(|finding| std::cmp::Reverse(super::verdict::weight(finding.level)));
        findings.truncate(FINDINGS);
        let mut json = Vec::new();
        let mut bytes = 0;
        for (n, finding) in findings.iter().enumerate() {
            let text = |text: &str| cut(&mask.text(text));
            let mut one = json!({
                "id": id(n), "check": text(&finding.check), "level": finding.level.as_str(),
                "summary": text(&finding.summary),
            });
            if let Some(host) = &finding.host {
                one["host"] = text(host).into();
            }
            bytes += one.to_string().len();
            if bytes > BYTES {
                break;
            }
            json.push(one);
        }
        findings.truncate(json.len());
        Self {
            findings,
            total,
            json,
        }
    }

    /// The finding of an id.
    pub(super) fn get(&self, id: &str) -> Option<&Finding> {
        let n: usize = id.strip_prefix('e')?.parse().ok()?;
        let finding = self.findings.get(n.checked_sub(1)?)?;
        // `e01` and `e+1` are no ids of ours.
        (self::id(n - 1) == id).then_some(finding)
    }

    /// All that is asked, as one JSON text: whatever it says, it is data.
    pub(super) fn message(
        &self,
        question: &str,
        incident: Option<&Incident>,
        most: usize,
        mask: &Mask,
    ) -> String {
        let text = |text: &str| cut(&mask.text(text));
        let incident = incident.map(|incident| {
            json!({
                "title": text(&incident.title), "severity": incident.severity.to_string(),
                "description": incident.description.as_deref().map(text),
                "hosts": incident.hosts.iter().take(50).map(|host| text(host)).collect::<Vec<_>>(),
                "tags": incident.tags.iter().take(50).map(|tag| text(tag)).collect::<Vec<_>>(),
            })
        });
        json!({"question": question, "at_most": most, "incident": incident, "evidence": self.json})
            .to_string()
    }
}

fn id(n: usize) -> String {
    format!("e{}", n + 1)
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT).collect()
}
