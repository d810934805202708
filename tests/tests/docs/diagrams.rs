//! Every diagram is one that Mermaid can draw.

use e2e::{Stack, browser};
use serde_json::json;

use crate::{markdown::Page, pages};

#[test]
fn every_diagram_can_be_drawn() {
    let mut diagrams = Vec::new();
    for name in pages::all() {
        for block in Page::read(&name).blocks {
            if block.fence.language == "mermaid" {
                diagrams.push(json!({ "at": format!("{name}:{}", block.line), "text": block.text }));
            }
        }
    }
    assert!(diagrams.len() > 5, "{} diagrams", diagrams.len());
    browser::passes(&Stack::server(), "mermaid", &json!({ "diagrams": diagrams }));
}
