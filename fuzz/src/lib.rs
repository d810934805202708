//! What must hold for any input, whoever sent it: no panic, and the properties that each module names. A property that does
//! not hold is a panic, which libFuzzer and the replaying test both see.

pub mod definition;
pub mod expression;
pub mod history;
pub mod message;
pub mod webhook;

use std::sync::LazyLock;

use types::{Catalogue, Signature};

/// A target: its name and its check.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("definition", definition::check),
    ("expression", expression::check),
    ("history", history::check),
    ("message", message::check),
    ("webhook", webhook::check),
];

/// The built-in actions, as `firehall actions -o json` printed them.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let all: std::collections::BTreeMap<String, Signature> =
        serde_json::from_str(include_str!("../catalogue.json")).expect("the catalogue as it was printed");
    Catalogue::new(all.into_values())
});
