use proptest::prelude::*;
use serde_json::{Value, json};
use types::{AlertState, Severity};

use crate::{LIST_ITEMS, Normalised, RefusalKind, Shape, Source, datadog_template, normalise};

fn read(source: Source, body: &Value) -> Normalised {
    normalise(
        source,
        Some("application/json; charset=utf-8"),
        body.to_string().as_bytes(),
    )
    .unwrap()
}

fn refused(source: Source, body: &[u8]) -> (RefusalKind, String) {
    let refused = normalise(source, Some("application/json"), body).unwrap_err();
    (refused.kind, refused.reason)
}

fn filled() -> Value {
    json!({
        "id": "7719253366", "alert_id": "4210", "cycle_key": "5f1c", "aggreg_key": "ag1", "transition": "Triggered",
        "alert_type": "error", "alert_status": "$ALERT_STATUS", "priority": "P2", "title": "Queue depth on worker-7",
        "event_title": "[Triggered] Queue depth", "text": "line one\nline two", "query": "avg(last_5m):avg:q.depth{*} by {host} > 100",
        "metric": "q.depth", "scope": "host:worker-7,env:staging", "tags": "team:payments,env:staging,host:worker-8",
        "service": "$TAGS[service]", "env": "staging", "team": "payments", "host": "worker-7", "link": "https://dd.example/event/1",
        "snapshot": "$SNAPSHOT", "date": "1763923500000", "last_updated": "1763923501000", "org_id": "99", "org_name": "Example", "event_type": "metric_alert_monitor"
    })
}

#[test]
fn our_datadog_template_is_read() {
    let Normalised {
        alert,
        shape,
        delivery,
        unread,
        unfilled,
    } = read(Source::Datadog, &filled());
    assert_eq!(shape, Shape::DatadogTemplate);
    assert_eq!(
        (alert.id.as_str(), alert.title.as_str()),
        ("7719253366", "Queue depth on worker-7")
    );
    assert_eq!(
        (alert.severity, alert.state),
        (Severity::High, AlertState::Firing)
    );
    assert_eq!(alert.hosts, ["worker-7", "worker-8"]);
    assert_eq!(
        alert.tags,
        ["team:payments", "env:staging", "host:worker-8", "host:worker-7"]
    );
    assert_eq!(alert.dedupe_key.as_deref(), Some("datadog:99:5f1c"));
    assert_eq!(delivery.identity(), "datadog:99:5f1c|firing");
    let monitor = alert.monitor.unwrap();
    assert_eq!(monitor.id.as_deref(), Some("4210"));
    assert_eq!(
        monitor.query.as_deref(),
        Some("avg(last_5m):avg:q.depth{*} by {host} > 100")
    );
    assert_eq!(alert.links.len(), 1, "the unset snapshot is absent");
    assert_eq!(alert.fired_at.unwrap().unix_ms(), 1_763_923_500_000);
    assert!(!alert.metrics.contains_key("alert_status"));
    assert_eq!(unfilled, ["alert_status", "service", "snapshot"]);
    // The title and the priority were there: what stands in for them was not asked.
    assert_eq!(
        unread,
        [
            "aggreg_key",
            "alert_type",
            "event_title",
            "event_type",
            "last_updated",
            "org_name"
        ]
    );
}

#[test]
fn the_template_itself_is_json_and_unset_variables_are_absent() {
    let template: Value = serde_json::from_str(datadog_template()).unwrap();
    let refused = normalise(Source::Datadog, None, datadog_template().as_bytes()).unwrap_err();
    assert!(refused.reason.contains("did not fill in"), "{refused}");
    let mut only_title = template;
    only_title["title"] = json!("$HOME is full");
    let alert = read(Source::Datadog, &only_title).alert;
    assert_eq!(alert.title, "$HOME is full");
    assert_eq!(
        (alert.severity, alert.state),
        (Severity::Unknown, AlertState::Unknown)
    );
    assert!(alert.id.starts_with("body-"), "{}", alert.id);
    assert!(alert.hosts.is_empty() && alert.tags.is_empty() && alert.links.is_empty());
    assert!(alert.monitor.is_none() && alert.description.is_none() && alert.fired_at.is_none());
    assert!(alert.notes.iter().any(|note| note.contains("no severity")));
}

#[test]
fn every_transition_has_its_state() {
    use AlertState::{Firing, NoData, Resolved, Unknown};
    for (word, state) in [
        ("Triggered", Firing),
        ("Re-Triggered", Firing),
        ("Renotify", Firing),
        ("Warn", Firing),
        ("Re-Warn", Firing),
        ("No Data", NoData),
        ("Re-No Data", NoData),
        ("Recovered", Resolved),
        ("Null", Unknown),
        ("Muted?", Unknown),
    ] {
        let mut body = filled();
        body["transition"] = json!(word);
        let alert = read(Source::Datadog, &body).alert;
        assert_eq!(alert.state, state, "{word}");
        assert!(
            alert.notes.iter().any(|note| note.contains(word)),
            "{word} is kept: {:?}",
            alert.notes
        );
        let severity = if word.contains("Warn") {
            Severity::Medium
        } else {
            Severity::High
        };
        assert_eq!(alert.severity, severity, "{word}");
    }
}

#[test]
fn priorities_tags_and_types_give_the_severity() {
    use Severity::{Critical, High, Info, Low, Medium, Unknown};
    for (priority, severity) in [
        ("P1", Critical),
        ("P2", High),
        ("P3", Medium),
        ("P4", Low),
        ("P5", Low),
    ] {
        let mut body = filled();
        body["priority"] = json!(priority);
        assert_eq!(read(Source::Datadog, &body).alert.severity, severity);
    }
    for (tags, kind, severity) in [
        ("severity:critical", "info", Critical),
        ("", "error", High),
        ("", "warning", Medium),
        ("", "info", Info),
        ("", "success", Unknown),
        ("severity:purple", "$ALERT_TYPE", Unknown),
    ] {
        let mut body = filled();
        body["priority"] = json!("$ALERT_PRIORITY");
        body["tags"] = json!(tags);
        body["alert_type"] = json!(kind);
        assert_eq!(
            read(Source::Datadog, &body).alert.severity,
            severity,
            "{tags} {kind}"
        );
    }
}

#[test]
fn keys_fall_back_from_cycle_to_monitor_to_event_to_body() {
    let mut body = filled();
    body["cycle_key"] = json!("$ALERT_CYCLE_KEY");
    assert_eq!(
        read(Source::Datadog, &body).alert.dedupe_key.as_deref(),
        Some("datadog:99:monitor:4210:env:staging,host:worker-7")
    );
    body["alert_id"] = json!("");
    assert_eq!(
        read(Source::Datadog, &body).alert.dedupe_key.as_deref(),
        Some("datadog:99:event:7719253366")
    );
    body["id"] = Value::Null;
    let by_body = read(Source::Datadog, &body);
    assert!(by_body.alert.dedupe_key.unwrap().starts_with("datadog:body:"));
    assert_eq!(by_body.delivery.window_ms, types::limits::BODY_DEDUPE_MS);
    body["cycle_key"] = json!("k".repeat(10_000));
    assert!(read(Source::Datadog, &body).delivery.key.starts_with("sha256:"));
}

#[test]
fn the_default_template_is_read_and_its_lacks_are_said() {
    let body = json!({
        "body": "%%%\n@webhook-x disk\n%%%", "last_updated": "1763923501000", "event_type": "query_alert_monitor",
        "title": "[Triggered on {host:db-3}] Disk", "date": "1763923500000", "org": {"id": "7", "name": "Example"}, "id": "123"
    });
    let Normalised { alert, shape, .. } = read(Source::Datadog, &body);
    assert_eq!(shape, Shape::DatadogDefault);
    assert_eq!(alert.title, "[Triggered on {host:db-3}] Disk");
    assert_eq!(
        (alert.severity, alert.state),
        (Severity::Unknown, AlertState::Unknown)
    );
    assert!(alert.hosts.is_empty(), "no host is guessed from a title");
    assert_eq!(alert.dedupe_key.as_deref(), Some("datadog:7:event:123"));
    assert!(alert.notes[0].contains("neither deduplicated nor resolved"));
}

fn older() -> Value {
    json!({
        "id": "DD-77", "title": "Checkout latency", "severity": "critical", "description": "p99 is up", "source": "datadog",
        "monitor": {"id": 9007199254740993_u64, "name": "Checkout p99", "query": "avg:x{*} < 0.1", "threshold": 0.1, "current_value": 0.05},
        "alerts": [
            {"host": "shop-1.example.org", "memory_usage": "95%", "status": "ALERT"},
            {"host": "shop-2.example.org", "memory_usage": "89%", "status": "WARN"},
            {"host": "shop-1.example.org", "memory_usage": "96%", "status": "ALERT"}
        ],
        "metrics": {"error_rate": "12.3%", "rps": 1247, "ratio": 0.5},
        "tags": ["env:production", "team:shop"], "dashboard_url": "https://dash.example/d/1",
        "triggered_at": "2025-06-30T11:39:48+00:00", "escalation_policy": "oncall-shop"
    })
}

#[test]
fn the_older_incident_payload_is_read_on_both_paths_and_as_a_string() {
    for source in Source::ALL {
        let Normalised { alert, shape, .. } = read(source, &older());
        assert_eq!(shape, Shape::Original);
        assert_eq!(
            (alert.id.as_str(), alert.title.as_str()),
            ("DD-77", "Checkout latency")
        );
        assert_eq!(
            (alert.severity, alert.state),
            (Severity::Critical, AlertState::Firing)
        );
        assert_eq!(alert.hosts, ["shop-1.example.org", "shop-2.example.org"]);
        assert_eq!(alert.tag_values("team").collect::<Vec<_>>(), ["shop"]);
        assert_eq!(alert.metrics["rps"], "1247");
        assert_eq!(alert.metrics["memory_usage@shop-2.example.org"], "89%");
        let monitor = alert.monitor.as_ref().unwrap();
        assert_eq!(
            monitor.id.as_deref(),
            Some("9007199254740993"),
            "no digit is lost"
        );
        assert_eq!(
            (monitor.threshold.as_deref(), monitor.value.as_deref()),
            (Some("0.1"), Some("0.05"))
        );
        assert_eq!(alert.links[0].url, "https://dash.example/d/1");
        assert_eq!(alert.fired_at.unwrap().unix_ms(), 1_751_283_588_000);
        let nested = Value::String(older().to_string());
        assert_eq!(read(source, &nested).alert, alert, "JSON in a JSON string");
    }
}

#[test]
fn the_generic_shape_needs_a_title_only() {
    let alert = read(Source::Generic, &json!({"title": " spaced "})).alert;
    assert_eq!(alert.title, " spaced ");
    assert_eq!(
        (alert.severity, alert.state),
        (Severity::Unknown, AlertState::Firing)
    );
    assert!(alert.id.starts_with("body-"));
    let alert = read(Source::Generic, &json!({
        "id": 42, "title": "t", "severity": "P1", "hosts": ["b", "a", "b", {"name": "c"}], "tags": {"env": "prod"}, "state": "ok",
        "links": ["http://a/", {"title": "x", "url": "HTTPS://b/"}, {"url": "javascript:alert(1)"}, "https:///nohost", "https://a b"]
    }))
    .alert;
    assert_eq!(alert.id, "42");
    assert_eq!(alert.state, AlertState::Resolved);
    assert_eq!(alert.hosts, ["b", "a", "c"]);
    assert_eq!(alert.tags, ["env:prod"]);
    assert_eq!(
        alert.links.iter().map(|l| l.url.as_str()).collect::<Vec<_>>(),
        ["http://a/", "HTTPS://b/"]
    );
    assert_eq!(
        alert
            .notes
            .iter()
            .filter(|note| note.contains("left out"))
            .count(),
        3
    );
}

#[test]
fn what_can_never_be_understood_is_refused_with_its_place() {
    let generic = |body: &str| refused(Source::Generic, body.as_bytes());
    assert_eq!(generic("").0, RefusalKind::Empty);
    assert_eq!(generic(" \n ").0, RefusalKind::Empty);
    assert_eq!(refused(Source::Generic, b"\xff{").0, RefusalKind::NotUtf8);
    let (kind, reason) = generic("{\"title\": \"x\",}");
    assert_eq!(kind, RefusalKind::NotJson);
    assert!(reason.contains("line 1, column"), "{reason}");
    assert_eq!(generic("{\"title\": \"x\"").0, RefusalKind::NotJson);
    assert_eq!(generic(&"[".repeat(100_000)).0, RefusalKind::TooDeep);
    for (body, reason) in [
        ("[]", "the body: expected a JSON object, found a list"),
        ("7", "the body: expected a JSON object, found a number"),
        ("\"7\"", "the body: expected a JSON object, found a number"),
        ("{}", "title: expected text, found nothing"),
        ("{\"title\":\"\"}", "title: expected text, found empty text"),
        ("{\"title\":5}", "title: expected text, found a number"),
        (
            "{\"title\":\"x\",\"hosts\":5}",
            "hosts: expected a list, found a number",
        ),
        (
            "{\"title\":\"x\",\"hosts\":[[]]}",
            "hosts[0]: expected text, found a list",
        ),
        (
            "{\"title\":\"x\",\"links\":[{}]}",
            "links[0].url: expected text, found nothing",
        ),
        (
            "{\"title\":\"x\",\"metrics\":[]}",
            "metrics: expected an object of names and values, found a list",
        ),
    ] {
        assert_eq!(generic(body), (RefusalKind::WrongShape, reason.to_owned()));
    }
    let wrong = normalise(Source::Datadog, Some("application/x-www-form-urlencoded"), b"{}").unwrap_err();
    assert_eq!(
        (wrong.kind, wrong.kind.http_status()),
        (RefusalKind::ContentType, 415)
    );
    assert!(wrong.reason.contains("Encode as form"), "{wrong}");
    assert!(normalise(Source::Generic, Some("text/plain"), b"{\"title\":\"x\"}").is_err());
    assert!(normalise(Source::Generic, None, b"\xef\xbb\xbf{\"title\":\"x\"}").is_ok());
}

#[test]
fn cuts_are_noted() {
    let hosts: Vec<String> = (0..LIST_ITEMS + 5).map(|i| format!("h{i}")).collect();
    let alert = read(Source::Generic, &json!({"title": "t", "hosts": hosts})).alert;
    assert_eq!(alert.hosts.len(), LIST_ITEMS);
    assert!(
        alert.notes.iter().any(|note| note.contains("of 1005")),
        "{:?}",
        alert.notes
    );
}

#[test]
fn hostile_titles_stay_as_they_are() {
    let long = "A".repeat(10_000);
    for title in [
        "$(reboot) `id` ; rm -rf / \"'",
        "a\nb\r\nc\0d",
        "\u{1b}[31mred\u{1b}[0m",
        "<!channel> <@U1> <https://x|y> &amp;",
        "<script>alert(1)</script>",
        "\u{202e}evil\u{2066}",
        "🚒🔥 مرحبا",
        "::set-output name=x::y",
        "${{ secrets.X }}",
        &long,
    ] {
        for source in Source::ALL {
            assert_eq!(
                read(source, &json!({"title": title, "id": "1"})).alert.title,
                title
            );
        }
        let mut body = filled();
        body["title"] = json!(title);
        assert_eq!(read(Source::Datadog, &body).alert.title, title);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        any::<String>().prop_map(Value::from),
        Just(json!("$ALERT_TITLE")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const FIELDS: [&str; 22] = [
    "id",
    "severity",
    "hosts",
    "tags",
    "links",
    "description",
    "state",
    "status",
    "metrics",
    "monitor",
    "alerts",
    "transition",
    "priority",
    "scope",
    "cycle_key",
    "date",
    "org",
    "body",
    "event_type",
    "triggered_at",
    "dashboard_url",
    "alert_id",
];

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..512), content in prop::option::of(any::<String>())) {
        for source in Source::ALL {
            let _ = normalise(source, content.as_deref(), &body);
        }
    }

    #[test]
    fn no_field_panics_and_the_title_is_identical(
        title in "\\PC{1,60}|[\\x00-\\x7f]{1,40}",
        fields in prop::collection::vec((prop::sample::select(FIELDS.to_vec()), any_json()), 0..6),
    ) {
        let mut object = serde_json::Map::new();
        object.insert("title".to_owned(), json!(title));
        object.extend(fields.into_iter().map(|(k, v)| (k.to_owned(), v)));
        let body = Value::Object(object).to_string();
        for source in Source::ALL {
            if let Ok(read) = normalise(source, None, body.as_bytes()) {
                prop_assert_eq!(&read.alert.title, &title);
                let value = serde_json::to_value(&read.alert).unwrap();
                types::Alert::ty().check(&value).unwrap();
                prop_assert_eq!(normalise(source, None, body.as_bytes()).unwrap(), read);
            }
        }
    }
}

#[test]
fn what_nothing_was_taken_from_is_named_and_so_is_what_was_not_filled_in() {
    let body = json!({"title": "t", "severity": null, "color": "red", "hosts": ["a"], "Hosts": ["b"]});
    let generic = read(Source::Generic, &body);
    assert_eq!(generic.unread, ["Hosts", "color"]);
    assert_eq!(generic.unfilled, [""; 0]);
    let body = json!({"title": "t", "cycle_key": "$ALERT_CYCLE_KEY", "transition": "Triggered", "priority": "P1",
        "alert_type": "error", "user": "x"});
    let datadog = read(Source::Datadog, &body);
    // The priority said how bad it is: the type was not asked for it.
    assert_eq!(datadog.unread, ["alert_type", "user"]);
    assert_eq!(datadog.unfilled, ["cycle_key"]);
    // Whatever is not named can be left out without changing the alert.
    let mut body = body;
    for field in &datadog.unread {
        body.as_object_mut().unwrap().remove(field);
    }
    let mut again = read(Source::Datadog, &body).alert;
    // Without an id of its own the alert's is the body's hash.
    (again.id, again.dedupe_key) = (datadog.alert.id.clone(), datadog.alert.dedupe_key.clone());
    assert_eq!(again, datadog.alert);
}

#[test]
fn a_body_does_not_grow_in_what_is_made_of_it() {
    // A long name stands behind none of its metrics, and of too many only the first are held.
    let mut entry = serde_json::Map::new();
    entry.insert("host".to_owned(), json!("h".repeat(300_000)));
    entry.extend((0..20_000).map(|n| (format!("m{n:05}"), json!(n))));
    let alert = read(Source::Generic, &json!({"title": "t", "alerts": [entry]})).alert;
    assert_eq!(alert.metrics.len(), LIST_ITEMS);
    assert_eq!(alert.metrics.keys().next().map(String::as_str), Some("m00000@0"));
    let cut = format!("metrics: the first {LIST_ITEMS} of 20000 are kept");
    assert!(alert.notes.contains(&cut), "{:?}", alert.notes);

    let links = vec!["x"; 5_000];
    let alert = read(Source::Generic, &json!({"title": "t", "links": links})).alert;
    let cut = format!("notes: the first {LIST_ITEMS} of 5001 are kept");
    assert!(alert.notes.contains(&cut), "{:?}", alert.notes.last());
    assert_eq!(alert.notes.len(), LIST_ITEMS + 2);

    let tags: Vec<String> = (0..900).map(|n| format!("host:{n:0>1000}")).collect();
    let body = json!({"title": "t", "tags": tags}).to_string();
    let refused = normalise(Source::Generic, None, body.as_bytes()).unwrap_err();
    assert_eq!(refused.kind, RefusalKind::TooLarge);
}

#[test]
fn a_body_without_its_path_is_taken_for_what_it_looks_like() {
    let likely = |body: &Value| crate::likely_source(body.to_string().as_bytes()).unwrap();
    assert_eq!(likely(&json!({"alert_id": 1})), Source::Datadog);
    assert_eq!(
        likely(&json!({"event_type": "x", "org": {"id": 1}})),
        Source::Datadog
    );
    assert_eq!(
        likely(&json!({"title": "t", "source": "Datadog"})),
        Source::Datadog
    );
    assert_eq!(likely(&json!({"title": "t", "alerts": []})), Source::Generic);
    assert!(crate::likely_source(b"[]").is_err());
}
