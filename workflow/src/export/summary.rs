//! What a picture says of a step, line by line.

use serde_json::Value;
use types::Network;

use super::text::{line, short};
use crate::{Body, FanOut, PlanStep, Template};

/// Characters of one line; a box must not be wider than a page.
const WIDTH: usize = 60;

/// The step's key, its name, what it does, when, how often, where, and whether it may fail.
pub(super) fn lines(step: &PlanStep) -> Vec<String> {
    let title = match &step.name {
        Some(name) => format!("{}: {}", step.key, short(name, WIDTH)),
        None => step.key.clone(),
    };
    let mut lines = vec![title, does(&step.body)];
    if let Some(when) = &step.when {
        lines.push(format!("when {}", short(&when.0, WIDTH)));
    }
    match &step.fan_out {
        Some(FanOut::Each { items, max_parallel }) => {
            let most = max_parallel.map_or_else(String::new, |most| format!(", {most} at once"));
            lines.push(format!("for each of {}{most}", line(items, WIDTH)));
        }
        Some(FanOut::Follow { steps, .. }) => {
            let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
            lines.push(short(
                &format!("follows the items of {}", steps.join(", ")),
                WIDTH,
            ));
        }
        None => {}
    }
    if !step.runs_on.is_empty() {
        let labels = step.runs_on.iter();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={}", line(value, WIDTH)))
            .collect();
        lines.push(short(&format!("on {}", labels.join(", ")), WIDTH));
    }
    if step.retry.limit > 0 {
        lines.push(format!("up to {} more tries", step.retry.limit));
    }
    if step.allow_failure {
        lines.push("may fail: then the run is degraded".to_owned());
    }
    lines
}

fn does(body: &Body) -> String {
    match body {
        Body::Action { action, .. } => format!("uses {action}"),
        Body::Container {
            action: Some(action), ..
        } => format!("uses {}", short(&action.uses, WIDTH)),
        Body::Container {
            image, argv, network, ..
        } => {
            let network = match network {
                Network::None => "",
                Network::Egress => " (network: egress)",
                Network::Host => " (network: host)",
            };
            format!("{} in {}{network}", program(argv), line(image, WIDTH))
        }
    }
}

/// A script of one line, how long another is, or the command line.
fn program(argv: &[Template]) -> String {
    if let Some(script) = script(argv) {
        return match script.trim().lines().count() {
            0 | 1 => format!("runs {}", short(script, WIDTH)),
            lines => format!("runs a script of {lines} lines"),
        };
    }
    let words: Vec<String> = argv.iter().map(|word| line(word, WIDTH)).collect();
    format!("runs {}", short(&words.join(" "), WIDTH))
}

/// The text of a `run`.
pub(super) fn script(argv: &[Template]) -> Option<&str> {
    let [shell, exit, command, Template::Literal(Value::String(script))] = argv else {
        return None;
    };
    let words = [shell, exit, command].into_iter().zip(["/bin/sh", "-e", "-c"]);
    let is = |(template, word): (&Template, &str)| matches!(template, Template::Literal(Value::String(text)) if text == word);
    words.into_iter().all(is).then_some(script)
}
