//! The outlook as a page for people. Its order is that of the questions: would it start, what would it do, what would
//! be seen of it outside, what must be there, how long can it take.

use engine::outlook::{InputFrom, Outlook, Triggers};

use super::{
    needs, steps,
    words::{self, count, heading, labelled},
};
use crate::text;

pub(super) fn render(outlook: &Outlook, values: bool) -> String {
    let mut page = String::new();
    head(&mut page, outlook);
    page.push_str(&heading(&format!("Steps: {}", outlook.steps.len())));
    steps::render(&mut page, outlook, values);
    needs::effects(&mut page, outlook);
    needs::held(&mut page, outlook);
    needs::time(&mut page, outlook);
    needs::waits(&mut page, outlook);
    needs::unknown(&mut page, outlook);
    page
}

fn head(page: &mut String, outlook: &Outlook) {
    let description = outlook.description.as_deref().unwrap_or_default();
    let title = format!("{}  {description}", outlook.name);
    page.push_str(text::line(&title).trim_end());
    page.push('\n');
    let say = |page: &mut String, label: &str, words: &str| labelled(page, 2, label, 8, words);
    say(
        page,
        "version",
        &outlook.version.chars().take(12).collect::<String>(),
    );
    say(page, "starts", &starts(&outlook.triggers));
    if let Some(alert) = &outlook.triggers.alert {
        let hosts = match alert.hosts.len() {
            0 => "no host".to_owned(),
            _ => words::list(alert.hosts.iter().map(String::as_str), 8),
        };
        let words = format!(
            "{} {}, {}, {}, {hosts}: {}",
            alert.source, alert.id, alert.severity, alert.state, alert.title
        );
        say(page, "alert", &words);
    }
    for input in &outlook.inputs {
        let from = match input.from {
            InputFrom::Given => "given",
            InputFrom::Default => "default",
            InputFrom::Missing => "required, and not given: a run is refused without it",
        };
        let value = input.value.as_ref().map(ToString::to_string).unwrap_or_default();
        let value = text::fit(&value, 200);
        let words = format!("{}: {} = {value}  ({from})", input.name, input.ty);
        say(page, "input", &words.replace("=   (", "("));
    }
}

fn starts(triggers: &Triggers) -> String {
    let by = match (triggers.by_alert, &triggers.when) {
        (false, _) => return "by people and programs: it has no `on: alert`".to_owned(),
        (true, None) => "by each alert that opens an incident".to_owned(),
        (true, Some(when)) => format!("by alerts with {when}"),
    };
    match triggers.starts {
        None => by,
        Some(true) if triggers.when.is_none() => format!("{by}: this alert would start it"),
        Some(true) => format!("{by}: this alert would start it, {}", triggers.why),
        Some(false) => format!("{by}: this alert would NOT start it, {}", triggers.why),
    }
}

/// For steps in other parts of the page.
pub(super) fn some_steps(steps: &[String]) -> String {
    if steps.len() <= 6 {
        words::list(steps.iter().map(String::as_str), 6)
    } else {
        let first = words::list(steps.iter().take(4).map(String::as_str), 4);
        format!("{first} and {} more", count(steps.len() - 4, "step"))
    }
}
