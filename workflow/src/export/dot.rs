//! Graphviz's language: <https://graphviz.org/doc/info/lang.html>.

use super::{Index, depends, summary};
use crate::Plan;

/// The graph as a directed graph of boxes: an arrow goes from a step to those that wait for it, dotted where it is
/// followed item by item. Steps with a condition have a dashed border, those that may fail a grey one, fan-outs a
/// double one.
#[must_use]
pub fn dot(plan: &Plan) -> String {
    let index = Index::new(plan);
    let mut text = format!("digraph {} {{\n", quoted(&plan.name));
    let title = match &plan.description {
        Some(description) => format!("{}: {}", plan.name, types::text::line(description.trim())),
        None => plan.name.clone(),
    };
    text.push_str(&format!("  label={};\n", label(&[title])));
    text.push_str("  labelloc=t;\n  fontname=\"sans-serif\";\n");
    text.push_str("  node [shape=box, fontname=\"sans-serif\", fontsize=11];\n\n");
    for step in &plan.steps {
        let mut style = Vec::new();
        if step.when.is_some() {
            style.push("style=dashed");
        }
        if step.fan_out.is_some() {
            style.push("peripheries=2");
        }
        if step.allow_failure {
            style.push("color=gray50");
        }
        let style: String = style.iter().map(|style| format!(", {style}")).collect();
        let (key, label) = (quoted(&step.key), label(&summary::lines(step)));
        text.push_str(&format!("  {key} [label={label}{style}];\n"));
    }
    text.push('\n');
    for step in &plan.steps {
        for (need, follows) in depends(&index, step) {
            let style = if follows { " [style=dotted]" } else { "" };
            text.push_str(&format!("  {} -> {}{style};\n", quoted(need), quoted(&step.key)));
        }
    }
    text.push_str("}\n");
    text
}

/// A quoted name: only the quote itself has a meaning in it, and a backslash before it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A quoted label, in which backslashes and entities have a meaning too.
fn label(lines: &[String]) -> String {
    let mut text = String::from("\"");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            text.push_str("\\n");
        }
        for c in line.chars() {
            match c {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '&' => text.push_str("&amp;"),
                '<' => text.push_str("&lt;"),
                '>' => text.push_str("&gt;"),
                c if types::text::is_unsafe(c) => text.push('\u{fffd}'),
                c => text.push(c),
            }
        }
    }
    text.push('"');
    text
}
