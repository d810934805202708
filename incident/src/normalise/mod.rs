//! A body as it came → one alert, or a precise refusal.

mod body;
mod datadog;
mod fields;
mod plain;
mod severity;

use serde_json::{Map, Value};
use types::{Alert, limits};

use self::fields::Fields;
use crate::{Delivery, RefusalKind, Refused, Source};

/// The most hosts, tags, links, metrics or notes that are kept of one alert; a cut is noted in the alert.
pub const LIST_ITEMS: usize = 1_000;

/// Which of the shapes we know the body had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Datadog's own template, which lacks what is needed to deduplicate or to recover.
    DatadogDefault,
    /// The template that [`datadog_template`] gives.
    DatadogTemplate,
    /// An incident with `alerts`, `dashboard_url`, `triggered_at`, as older incident tools post it.
    Original,
    /// The generic shape.
    Generic,
    /// Not posted: a person opened it.
    Manual,
}

impl Shape {
    /// The word that every surface uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DatadogDefault => "datadog_default",
            Self::DatadogTemplate => "datadog_template",
            Self::Original => "original",
            Self::Generic => "generic",
            Self::Manual => "manual",
        }
    }
}

/// What a body became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalised {
    /// The alert.
    pub alert: Alert,
    /// The shape it was read from.
    pub shape: Shape,
    /// What makes this delivery a repeat.
    pub delivery: Delivery,
    /// Fields of the body that nothing was taken from, in their order; the first `LIST_ITEMS`.
    pub unread: Vec<String>,
    /// Fields in which Datadog left a variable's name in place of its value.
    pub unfilled: Vec<String>,
}

/// The webhook payload template to put into Datadog's webhook tile ("Encode as form" off).
#[must_use]
pub fn datadog_template() -> &'static str {
    datadog::TEMPLATE
}

/// Reads a body posted to a source's path. The text in it stays as it is, whatever it says.
///
/// # Errors
/// When the body can never be understood; sending it again does not help.
pub fn normalise(source: Source, content_type: Option<&str>, body: &[u8]) -> Result<Normalised, Refused> {
    body::accept(content_type)?;
    let object = body::object(body)?;
    let shape = sniff(source, &object);
    let fields = Fields::new(&object);
    let mut read = match shape {
        Shape::DatadogDefault => datadog::default_template(&fields)?,
        Shape::DatadogTemplate => datadog::recommended(&fields)?,
        // `sniff` finds no body to be of a person.
        Shape::Original | Shape::Generic | Shape::Manual => plain::read(source, &fields)?,
    };
    let (unread, unfilled) = fields.left();
    if source == Source::Generic && datadog::is_recommended(&object) {
        read.note("this looks like a Datadog template: post it to /webhook/datadog-incident");
    }
    let (alert, by_body) = read.finish(body);
    bounded(&alert)?;
    let delivery = Delivery::of(&alert, by_body);
    Ok(Normalised {
        alert,
        shape,
        delivery,
        unread,
        unfilled,
    })
}

/// An alert is stored, and goes to watchers, in one message.
fn bounded(alert: &Alert) -> Result<(), Refused> {
    let json = serde_json::to_vec(alert).expect("texts and a number: JSON has them all");
    let bytes = json.len();
    if bytes > limits::ALERT_BYTES {
        return Err(Refused::new(
            RefusalKind::TooLarge,
            format!(
                "the alert that it becomes has {bytes} bytes, at most {}",
                limits::ALERT_BYTES
            ),
        ));
    }
    Ok(())
}

/// The source that a body looks like, for a person who has a body and not the path it was posted to. What comes in by a
/// webhook is never guessed: its path decides.
///
/// # Errors
/// When it is no JSON object.
pub fn likely_source(body: &[u8]) -> Result<Source, Refused> {
    let object = body::object(body)?;
    Ok(
        if datadog::is_recommended(&object) || datadog::is_default(&object) || says_datadog(&object) {
            Source::Datadog
        } else {
            Source::Generic
        },
    )
}

/// Older incident tools post the original shape with the name of where it comes from.
fn says_datadog(object: &Map<String, Value>) -> bool {
    let source = object.get("source").and_then(Value::as_str);
    source.is_some_and(|source| source.eq_ignore_ascii_case("datadog"))
}

fn sniff(source: Source, object: &Map<String, Value>) -> Shape {
    if source == Source::Datadog && datadog::is_recommended(object) {
        Shape::DatadogTemplate
    } else if source == Source::Datadog && datadog::is_default(object) {
        Shape::DatadogDefault
    } else if plain::is_original(object) {
        Shape::Original
    } else {
        Shape::Generic
    }
}
