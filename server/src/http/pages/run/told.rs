//! What matters of an event in a few words, from its stored body.

use serde_json::Value;

/// Characters of it.
const CHARS: usize = 160;

/// Step, item and try that an event is about: the step's key, and all of it for people.
pub(super) fn about(body: &Value) -> (String, String) {
    let Some(step) = body.get("step").and_then(Value::as_str) else {
        return Default::default();
    };
    let number = |name: &str| body.get(name).and_then(Value::as_u64);
    let index = number("index").map(|n| format!("[{n}]")).unwrap_or_default();
    let attempt = number("attempt").map(|n| format!(" try {n}")).unwrap_or_default();
    (step.to_owned(), format!("{step}{index}{attempt}"))
}

/// The outcome and why, where, what was wanted: whatever of it an event has.
pub(super) fn told(body: &Value) -> String {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let reasons = || {
        let list = body.get("reasons")?.as_array()?;
        let texts = list
            .iter()
            .filter_map(|one| one.as_str().or_else(|| one.get("message")?.as_str()));
        Some(texts.collect::<Vec<_>>().join("; ")).filter(|joined| !joined.is_empty())
    };
    let items = || {
        body.get("items")?
            .as_array()
            .map(|items| format!("{} items", items.len()))
    };
    let parts = [
        text("/outcome"),
        text("/report/verdict"),
        text("/placement/agent_name").map(|agent| format!("to {agent}")),
        text("/trigger/by").map(|by| format!("by {by}")),
        text("/by").map(|by| format!("by {by}")),
        text("/resolution"),
        text("/report/failure/message"),
        text("/failure/message"),
        text("/because").map(|because| format!("because of {because}")),
        text("/reason"),
        text("/why"),
        reasons(),
        items(),
    ];
    let told = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" · ");
    if told.chars().count() <= CHARS {
        return told;
    }
    told.chars().take(CHARS - 1).chain(['…']).collect()
}
