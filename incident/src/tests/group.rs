use serde_json::json;
use types::{AlertId, AlertState, IncidentId, RunId, Timestamp, limits};

use crate::{
    Command, DecideError, FoldError, IncidentEvent, IncidentState, LoadError, Normalised, RunRef, Source,
    Stored, What, decide, fold, normalise, timeline, wants_runs,
};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_763_923_500_000 + ms)
}

fn alert_id(n: u8) -> AlertId {
    AlertId::new(at(0), [n; 10])
}

fn receive(n: u8, transition: &str) -> Command {
    let body =
        json!({"title": "t", "cycle_key": "c", "org_id": "1", "transition": transition, "id": n.to_string()});
    from(
        n,
        normalise(Source::Datadog, None, body.to_string().as_bytes()).unwrap(),
    )
}

fn from(n: u8, Normalised { alert, delivery, .. }: Normalised) -> Command {
    Command::Receive {
        incident: IncidentId::new(at(0), [n; 10]),
        alert_id: alert_id(n),
        delivery,
        alert,
    }
}

struct Desk(Vec<IncidentEvent>);

impl Desk {
    fn state(&self) -> Option<IncidentState> {
        fold(&self.0).unwrap()
    }

    fn send(&mut self, command: &Command, ms: i64) -> Vec<IncidentEvent> {
        let events = decide(self.state().as_ref(), command, at(ms)).unwrap();
        self.0.extend(events.clone());
        events
    }
}

fn kinds(desk: &Desk) -> Vec<&'static str> {
    desk.0.iter().map(|event| event.what.kind()).collect()
}

#[test]
fn firing_repeat_recovery_and_refiring_are_one_incident() {
    let mut desk = Desk(Vec::new());
    assert!(wants_runs(&desk.send(&receive(1, "Triggered"), 0)));
    let run = RunRef {
        run: RunId::new(at(0), [9; 10]),
        workflow: "incident-response".to_owned(),
    };
    desk.send(
        &Command::RunStarted {
            alert_id: alert_id(1),
            run: run.clone(),
        },
        0,
    );
    assert!(
        !wants_runs(&desk.send(&receive(2, "Renotify"), 10)),
        "the same state again starts nothing"
    );
    let state = desk.state().unwrap();
    let first = state.repeated_by(&state.alerts[0].delivery).unwrap();
    assert_eq!(
        (first.id.clone(), first.repeats, first.runs.as_slice()),
        (alert_id(1), 1, [run].as_slice())
    );
    assert!(!wants_runs(&desk.send(&receive(3, "No Data"), 20)));
    assert!(!wants_runs(&desk.send(&receive(4, "Recovered"), 30)));
    let state = desk.state().unwrap();
    assert_eq!((state.open, state.recovered_at), (false, Some(at(30))));
    desk.send(&receive(5, "Recovered"), 40);
    assert!(wants_runs(&desk.send(&receive(6, "Triggered"), 50)));
    assert_eq!(
        kinds(&desk),
        [
            "opened",
            "run_started",
            "alert_repeated",
            "alert_joined",
            "recovered",
            "alert_repeated",
            "reopened"
        ]
    );
    let state = desk.state().unwrap();
    assert_eq!((state.id, state.open), (IncidentId::new(at(0), [1; 10]), true));
    assert_eq!(timeline(&desk.0).len(), desk.0.len());
}

#[test]
fn a_recovery_of_the_unknown_opens_something_that_is_over() {
    let mut desk = Desk(Vec::new());
    assert!(!wants_runs(&desk.send(&receive(1, "Recovered"), 0)));
    let state = desk.state().unwrap();
    assert_eq!((state.open, state.alert.state), (false, AlertState::Resolved));
    assert!(wants_runs(&desk.send(&receive(2, "Triggered"), 1)));
}

#[test]
fn what_is_long_ago_takes_no_new_alert() {
    let mut desk = Desk(Vec::new());
    let body = |n: u8| from(n, normalise(Source::Generic, None, b"{\"title\":\"t\"}").unwrap());
    desk.send(&body(1), 0);
    let window = i64::try_from(limits::BODY_DEDUPE_MS).unwrap();
    desk.send(&body(2), window);
    assert_eq!(
        desk.0[1].what,
        What::AlertRepeated {
            alert_id: alert_id(1)
        }
    );
    let late = decide(desk.state().as_ref(), &body(3), at(2 * window + 1));
    assert_eq!(late, Err(DecideError::NotThisIncident));
    assert_eq!(
        decide(desk.state().as_ref(), &receive(3, "Triggered"), at(1)),
        Err(DecideError::NotThisIncident)
    );
}

#[test]
fn damaged_streams_are_errors() {
    let repeated = IncidentEvent {
        at: at(0),
        what: What::AlertRepeated {
            alert_id: alert_id(1),
        },
    };
    assert_eq!(
        fold([&repeated]),
        Err(FoldError::NotOpened {
            found: "alert_repeated"
        })
    );
    let opened = decide(None, &receive(1, "Triggered"), at(0)).unwrap().remove(0);
    assert_eq!(fold([&opened, &opened]), Err(FoldError::OpenedTwice));
    let stray = IncidentEvent {
        at: at(0),
        what: What::AlertRepeated {
            alert_id: alert_id(7),
        },
    };
    assert_eq!(fold([&opened, &stray]), Err(FoldError::UnknownAlert(alert_id(7))));
    let run = RunRef {
        run: RunId::new(at(0), [0; 10]),
        workflow: "w".to_owned(),
    };
    let started = Command::RunStarted {
        alert_id: alert_id(1),
        run,
    };
    assert_eq!(decide(None, &started, at(0)), Err(DecideError::NoIncident));
}

#[test]
fn the_stored_form_is_read_back_and_newer_ones_are_refused() {
    let mut desk = Desk(Vec::new());
    for (n, word) in [
        (1, "Triggered"),
        (2, "Renotify"),
        (3, "No Data"),
        (4, "Recovered"),
        (5, "Triggered"),
    ] {
        desk.send(&receive(n, word), i64::from(n));
    }
    let run = RunRef {
        run: RunId::new(at(0), [9; 10]),
        workflow: "w".to_owned(),
    };
    desk.send(
        &Command::RunStarted {
            alert_id: alert_id(5),
            run,
        },
        9,
    );
    for event in &desk.0 {
        let stored = event.store().unwrap();
        assert_eq!(stored.kind, event.what.kind());
        assert_eq!(IncidentEvent::load(&stored).unwrap(), *event);
    }
    let stored = desk.0[1].store().unwrap();
    let golden = json!({"alert_id": alert_id(1).as_str(), "at": at(2).unix_ms()});
    assert_eq!(
        (stored.kind.as_str(), stored.version, &stored.body),
        ("alert_repeated", 1, &golden)
    );
    let newer = Stored {
        version: 2,
        ..stored.clone()
    };
    assert!(matches!(
        IncidentEvent::load(&newer),
        Err(LoadError::NewerVersion { version: 2, .. })
    ));
    let unknown = Stored {
        kind: "merged".to_owned(),
        ..stored.clone()
    };
    assert!(matches!(
        IncidentEvent::load(&unknown),
        Err(LoadError::UnknownKind(_))
    ));
    let damaged = Stored {
        body: json!({"at": 1}),
        ..stored
    };
    assert!(matches!(
        IncidentEvent::load(&damaged),
        Err(LoadError::Malformed { .. })
    ));
}
