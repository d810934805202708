//! Webhook bodies: any bytes give an alert that keeps what was said, or a refusal that tells a sender not to come again.

use incident::{Normalised, Refused, Source, normalise};
use types::{Alert, limits};

/// # Panics
/// When a property does not hold.
pub fn check(data: &[u8]) {
    if data.len() > limits::WEBHOOK_BODY_BYTES {
        return;
    }
    for source in Source::ALL {
        for content_type in [None, Some("application/json"), Some("text/plain; charset=utf-8")] {
            let read = normalise(source, content_type, data);
            assert_eq!(
                read,
                normalise(source, content_type, data),
                "the same body, the same alert"
            );
            match read {
                Ok(read) => alert(&read),
                Err(refused) => refusal(&refused),
            }
        }
    }
}

fn alert(read: &Normalised) {
    let text = serde_json::to_string(&read.alert).expect("an alert has a JSON form");
    let back: Alert = serde_json::from_str(&text).expect("an alert is read as it was written");
    assert_eq!(read.alert, back);
    assert!(!read.delivery.key.is_empty(), "a delivery has a key");
    assert!(read.delivery.window_ms <= limits::IDEMPOTENCY_MS);
    let lists = [
        read.alert.hosts.len(),
        read.alert.tags.len(),
        read.alert.links.len(),
    ];
    assert!(lists.iter().all(|len| *len <= incident::LIST_ITEMS), "{lists:?}");
    // What the server does next with it.
    let entropy = |n: u8| [n; 10];
    let now = types::Timestamp::from_unix_ms(1_800_000_000_000);
    let ids = (
        types::IncidentId::new(now, entropy(1)),
        types::AlertId::new(now, entropy(2)),
    );
    let opened = incident::IncidentEvent {
        at: now,
        what: incident::What::Opened {
            incident: ids.0,
            alert_id: ids.1,
            delivery: read.delivery.clone(),
            alert: read.alert.clone(),
        },
    };
    let stored = opened.store().expect("an event has a stored form");
    assert_eq!(
        incident::IncidentEvent::load(&stored).as_ref(),
        Ok(&opened),
        "an incident survives a restart"
    );
    incident::fold([&opened]).expect("an incident that opens is one");
}

fn refusal(refused: &Refused) {
    assert!(
        (400..500).contains(&refused.kind.http_status()),
        "no sender tries again"
    );
    let said = refused.to_string();
    assert!(!said.is_empty() && said.len() < 2_000, "{} bytes", said.len());
}
