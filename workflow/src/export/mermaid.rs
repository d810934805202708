//! Mermaid's flowchart: <https://mermaid.js.org/syntax/flowchart.html>.

use super::{Index, depends, summary};
use crate::Plan;

/// The graph as a flowchart, in the order of the definition: an arrow goes from a step to those that wait for it, dotted
/// where it is followed item by item. Steps with a condition are hexagons, fan-outs have double sides, those that may
/// fail a dashed border. Steps are called `s0`, `s1` and so on there, since a key such as `end` has a meaning.
#[must_use]
pub fn mermaid(plan: &Plan) -> String {
    let index = Index::new(plan);
    let mut text = String::from("flowchart TD\n");
    for (place, step) in plan.steps.iter().enumerate() {
        let (open, close) = match (&step.when, &step.fan_out) {
            (Some(_), _) => ("{{", "}}"),
            (None, Some(_)) => ("[[", "]]"),
            (None, None) => ("[", "]"),
        };
        text.push_str(&format!(
            "  s{place}{open}\"{}\"{close}\n",
            label(&summary::lines(step))
        ));
    }
    for (place, step) in plan.steps.iter().enumerate() {
        for (need, follows) in depends(&index, step) {
            let arrow = if follows { "-.->" } else { "-->" };
            text.push_str(&format!("  s{} {arrow} s{place}\n", index.place(need)));
        }
    }
    let may_fail = plan
        .steps
        .iter()
        .enumerate()
        .filter(|(_, step)| step.allow_failure);
    let may_fail: Vec<String> = may_fail.map(|(place, _)| format!("s{place}")).collect();
    if !may_fail.is_empty() {
        text.push_str("  classDef mayFail stroke-dasharray:4 3\n");
        text.push_str(&format!("  class {} mayFail\n", may_fail.join(",")));
    }
    text
}

/// Every character that could have a meaning to Mermaid, Markdown or HTML as an entity code.
fn label(lines: &[String]) -> String {
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            text.push_str("<br/>");
        }
        for c in line.chars() {
            match c {
                c if types::text::is_unsafe(c) => text.push('\u{fffd}'),
                ' ' | ',' | '.' | '/' | '=' | '-' => text.push(c),
                c if c.is_ascii() && !c.is_ascii_alphanumeric() => {
                    text.push_str(&format!("#{};", u32::from(c)));
                }
                c => text.push(c),
            }
        }
    }
    text
}
