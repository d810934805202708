#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use crate::{Alert, Incident, Label, RunId, Secret, Timestamp, Type, is_host_label};

#[test]
fn ids_sort_by_time_and_read_back() {
    let early = RunId::new(Timestamp::from_unix_ms(1_763_923_500_000), [255; 10]);
    let late = RunId::new(Timestamp::from_unix_ms(1_763_923_500_001), [0; 10]);
    assert!(early < late);
    assert_eq!(early.as_str().parse::<RunId>().unwrap(), early);
    assert_eq!(early.as_str().len(), "run_".len() + 26);
    for wrong in ["", "run_", "inc_01", "run-0", "run_0123456789abcdefghijklmnop!"] {
        assert!(wrong.parse::<RunId>().is_err(), "{wrong:?}");
    }
}

#[test]
fn types_read_print_and_check() {
    for text in ["bool", "list<string>", "map<list<int>>", "json"] {
        assert_eq!(text.parse::<Type>().unwrap().to_string(), text);
    }
    for wrong in [
        "",
        "strings",
        "list<>",
        "list<string",
        "list<list<list<list<list<list<list<list<list<int>>>>>>>>>",
    ] {
        assert!(wrong.parse::<Type>().is_err(), "{wrong:?}");
    }
    let hosts: Type = "list<string>".parse().unwrap();
    assert_eq!(
        hosts.check(&json!(["a", 1])).unwrap_err().to_string(),
        "[1]: expected string, found int"
    );
    assert!(Type::Int.check(&json!(1.5)).is_err());
    let again: Type = serde_json::from_value(serde_json::to_value(Alert::ty()).unwrap()).unwrap();
    assert_eq!(again, Alert::ty());
    assert!(
        Alert::ty()
            .check(&json!({"id": "x"}))
            .unwrap_err()
            .to_string()
            .contains("hosts")
    );
    assert!(Incident::ty().accepts(&Incident::ty()));
    assert!(!Incident::ty().accepts(&Alert::ty()));
}

#[test]
fn secrets_are_not_shown() {
    assert_eq!(format!("{:?}", Secret::new("xoxb-1".to_owned())), "Secret(…)");
}

#[test]
fn labels_and_hosts_are_well_formed() {
    assert_eq!(
        "host=api-prod-01.company.com".parse::<Label>().unwrap().value,
        "api-prod-01.company.com"
    );
    for wrong in ["host", "=x", "Host=x", "host=a b", "host=", "host=\u{1b}[31m"] {
        assert!(wrong.parse::<Label>().is_err(), "{wrong:?}");
    }
    assert!(is_host_label("api-prod-01.company.com"));
    for wrong in ["", "-a", "a..b", "a b", "$(x)", "a;b", &"a".repeat(254)] {
        assert!(!is_host_label(wrong), "{wrong:?}");
    }
}

#[test]
fn an_id_tells_when_it_was_made() {
    for ms in [0, 1_763_923_500_123, 281_474_976_710_655] {
        let at = Timestamp::from_unix_ms(ms);
        assert_eq!(RunId::new(at, [255; 10]).at(), at);
    }
}
