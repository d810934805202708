#![allow(clippy::unwrap_used, reason = "tests")]
//! The pictures of a run, and what is written to bring them up to date.

use sdk::{Event, live::LiveRun};
use serde_json::{Value, json};
use types::Timestamp;

use super::{fit, lines, rows, screen::Screen, tree::Scene, waits::Reasons};

const RUN: &str = "run_01jx0000000000000000000000";

fn events(bodies: &[Value]) -> Vec<Event> {
    let wire = bodies.iter().enumerate().map(|(i, body)| {
        Event::from_wire(proto::v1::Event {
            run_id: RUN.into(),
            seq: i as u64 + 1,
            at_ms: 1_000 + 250 * i as i64,
            kind: body["kind"].as_str().unwrap().into(),
            version: 1,
            body_json: body.to_string(),
            ..Default::default()
        })
        .unwrap()
    });
    wire.collect()
}

fn history() -> Vec<Value> {
    let at = |kind: &str, more: Value| {
        let mut body = json!({"kind": kind, "step": "b", "index": 0, "attempt": 1, "token": "t", "work": {}});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    vec![
        json!({"kind": "run.started", "run": RUN, "plan": {"name": "w\u{1b}[2J", "steps": [
            {"key": "a", "body": {"kind": "action", "action": "slack/post"}},
            {"key": "b", "fan_out": {}, "body": {"kind": "container", "image": {"literal": "host"}}},
        ]}}),
        json!({"kind": "step.skipped", "step": "a"}),
        json!({"kind": "step.fanned_out", "step": "b", "items": ["evil\u{1b}]0;x\u{7}host", "h2"]}),
        at("attempt.queued", json!({})),
        at(
            "attempt.offered",
            json!({"placement": {"agent": "agt_01jx0000000000000000000000",
            "agent_name": "east", "session": "ses_01jx0000000000000000000000",
            "token": "lse_01jx0000000000000000000000"}}),
        ),
        at("attempt.started", json!({})),
        at(
            "attempt.finished",
            json!({"report": {"verdict": "failed", "finished_at": 5, "usage": {"duration_ms": 42},
            "failure": {"kind": "exit", "message": "exit code 7"}}}),
        ),
        json!({"kind": "item.ended", "step": "b", "index": 0, "outcome": "failed", "reasons": ["exit code 7"]}),
        json!({"kind": "step.ended", "step": "b", "outcome": "failed", "reasons": ["1 of 2 items failed"]}),
        json!({"kind": "run.ended", "outcome": "failed", "reasons": [{"step": "b", "message": "1 of 2 items failed"}]}),
    ]
}

fn folded(count: usize) -> LiveRun {
    let mut run = LiveRun::default();
    events(&history()[..count])
        .iter()
        .for_each(|event| run.apply(event));
    run
}

fn at_most(run: &LiveRun, now: Timestamp, height: usize) -> Vec<rows::Row> {
    let waits = Reasons::from([("s7".to_owned(), "no agent has host=x".to_owned())]);
    let scene = Scene {
        run,
        now,
        waits: &waits,
    };
    fit::tree(&scene, height)
}

fn all(run: &LiveRun, now: Timestamp) -> Vec<rows::Row> {
    at_most(run, now, usize::MAX)
}

fn text(rows: &[rows::Row]) -> Vec<String> {
    rows.iter()
        .map(|row| row.render(100, false).0.trim_end().to_owned())
        .collect()
}

#[test]
fn only_what_waits_for_an_agent_says_why() {
    let told = || Reasons::from(["a", "b"].map(|step| (step.to_owned(), "why".to_owned())));
    let (mut queued, mut running) = (told(), told());
    super::waits::only_for_agents(&mut queued, &folded(4));
    super::waits::only_for_agents(&mut running, &folded(6));
    assert_eq!(queued.keys().collect::<Vec<_>>(), ["b"]);
    assert!(running.is_empty(), "{running:?}");
}

#[test]
fn the_tree_has_a_word_beside_each_glyph_and_is_harmless() {
    let shown = text(&all(&folded(6), Timestamp::from_unix_ms(2_500)));
    assert!(
        shown[0].contains("running") && shown[0].contains("1.5 s"),
        "{shown:#?}"
    );
    assert!(
        shown[1].contains("- a") && shown[1].contains("skipped"),
        "{shown:#?}"
    );
    assert!(
        shown[3].contains("▸ evil") && shown[3].contains("running") && shown[3].contains("on east"),
        "{shown:#?}"
    );
    assert!(
        shown.iter().all(|row| !row.chars().any(char::is_control)),
        "{shown:#?}"
    );
}

#[test]
fn the_finished_tree_says_why() {
    let shown = text(&all(&folded(10), Timestamp::from_unix_ms(9_000))).join("\n");
    assert!(
        shown.contains("✗ b") && shown.contains("exit code 7") && shown.contains("b: 1 of 2 items failed"),
        "{shown}"
    );
}

#[test]
fn a_low_terminal_gets_a_counted_tail() {
    let run = folded(6);
    let shown = text(&at_most(&run, Timestamp::from_unix_ms(2_500), 3));
    assert_eq!(shown.len(), 3);
    assert!(shown[1].contains("- a"), "{shown:#?}");
    assert!(
        shown[2].contains("▸ b") && shown[2].contains("0 of 2 items"),
        "{shown:#?}"
    );
    let lower = text(&at_most(&run, Timestamp::from_unix_ms(2_500), 2));
    assert!(
        lower.len() == 2 && lower[1].contains("… 2 steps: 1 running, 1 skipped"),
        "{lower:#?}"
    );
}

/// A run of many steps: the first 4,000 went well, one of them did not, ten run, one waits for an agent.
fn large() -> LiveRun {
    let steps: Vec<Value> = (0..10_000)
        .map(|i| json!({"key": format!("s{i}"), "needs": [], "body": {"kind": "container", "image": {"literal": "host"}}}))
        .collect();
    let mut history =
        vec![json!({"kind": "run.started", "run": RUN, "plan": {"name": "large", "steps": steps}})];
    for i in 10..4_010 {
        let outcome = if i == 2_000 { "failed" } else { "succeeded" };
        history
            .push(json!({"kind": "step.ended", "step": format!("s{i}"), "outcome": outcome, "reasons": []}));
    }
    for i in (4_010..4_020).chain([7]) {
        let of = |kind: &str| json!({"kind": kind, "step": format!("s{i}"), "attempt": 1, "token": "t", "work": {}});
        history.push(of("attempt.queued"));
        if i != 7 {
            history.push(of("attempt.started"));
        }
    }
    let mut run = LiveRun::default();
    events(&history).iter().for_each(|event| run.apply(event));
    run
}

#[test]
fn of_ten_thousand_steps_those_are_shown_that_matter_and_the_others_are_counted() {
    let run = large();
    let now = Timestamp::from_unix_ms(2_000_000);
    for height in 2..60 {
        let shown = text(&at_most(&run, now, height));
        assert!(shown.len() <= height, "{height}: {shown:#?}");
    }
    let shown = text(&at_most(&run, now, 24)).join("\n");
    assert!(shown.contains("4000 of 10000 steps"), "{shown}");
    assert_eq!(shown.matches("▸ s40").count(), 10, "{shown}");
    assert!(shown.contains("✗ s2000") && shown.contains("○ s7 "), "{shown}");
    assert!(shown.contains("no agent has host=x"), "{shown}");
    assert!(
        shown.contains("steps: ") && shown.contains(" succeeded"),
        "{shown}"
    );
    // Every step is either shown or counted.
    let counted: usize = shown
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("… ")?
                .split(' ')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .sum();
    let rows = shown
        .lines()
        .filter(|line| line.starts_with("  ") && !line.contains("… ") && !line.starts_with("      "));
    assert_eq!(counted + rows.count(), 10_000, "{shown}");
}

#[test]
fn plain_lines_tell_the_story_once() {
    let mut run = LiveRun::default();
    let mut told = Vec::new();
    for event in events(&history()) {
        run.apply(&event);
        told.extend(lines::of(&event, &run));
    }
    let told = told.join("\n");
    assert!(told.contains("    1.250  b[0] (evil"), "{told}");
    assert!(
        told.contains("runs on east") && told.contains("failed in 42 ms"),
        "{told}"
    );
    assert_eq!(told.matches("exit code 7").count(), 1, "{told}");
    assert!(told.ends_with("b: 1 of 2 items failed"), "{told}");
    assert!(!told.chars().any(|c| c.is_control() && c != '\n'), "{told:?}");
}

/// A terminal that knows the four sequences that the screen uses.
fn play(bytes: &str, lines: &mut Vec<String>, row: &mut usize) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let sequence = rest.strip_prefix("\u{1b}[").map(|tail| {
            let end = tail.find(|c: char| c.is_ascii_alphabetic()).unwrap();
            (
                tail[..end].parse::<usize>().unwrap_or(0),
                &tail[end..=end],
                &tail[end + 1..],
            )
        });
        rest = match sequence {
            Some((n, "A", tail)) => {
                *row -= n;
                tail
            }
            Some((n, "B", tail)) => {
                *row += n;
                tail
            }
            Some((2, "K", tail)) => {
                lines[*row].clear();
                tail
            }
            Some((0, "J", tail)) => {
                lines.truncate(*row);
                tail
            }
            Some(other) => panic!("{other:?}"),
            None => {
                let c = rest.chars().next().unwrap();
                while lines.len() <= *row {
                    lines.push(String::new())
                }
                match c {
                    '\n' => *row += 1,
                    '\r' => {}
                    c => lines[*row].push(c),
                }
                &rest[c.len_utf8()..]
            }
        };
    }
}

/// What terminals do when they become narrower: lines wrap, and the cursor moves with them.
fn reflow(lines: &mut Vec<String>, row: &mut usize, width: usize) {
    let wrapped = |line: &String| {
        let chars: Vec<char> = line.chars().collect();
        let pieces: Vec<String> = chars.chunks(width).map(|piece| piece.iter().collect()).collect();
        if pieces.is_empty() {
            vec![String::new()]
        } else {
            pieces
        }
    };
    *row = lines.iter().take(*row).map(|line| wrapped(line).len()).sum();
    *lines = lines.iter().flat_map(wrapped).collect();
}

#[test]
fn the_screen_shows_the_newest_rows_however_they_change() {
    let (mut screen, mut lines, mut row) = (Screen::default(), Vec::new(), 0);
    let mut before = 80;
    for (count, width) in [(1, 80), (3, 80), (6, 80), (6, 40), (8, 40), (2, 80), (10, 60)] {
        let rows = all(&folded(count), Timestamp::from_unix_ms(4_000));
        if width < before {
            reflow(&mut lines, &mut row, width);
        }
        before = width;
        play(&screen.draw(&rows, width, false), &mut lines, &mut row);
        let wanted: Vec<String> = rows.iter().map(|one| one.render(width - 1, false).0).collect();
        let shown: Vec<String> = lines.iter().take(row).cloned().collect();
        assert_eq!(shown, wanted, "{count} events");
    }
}

#[test]
fn an_unchanged_row_is_not_written_again() {
    let mut screen = Screen::default();
    let at = Timestamp::from_unix_ms(2_500);
    let first = screen.draw(&all(&folded(6), at), 80, false);
    assert!(first.len() > 100);
    assert_eq!(screen.draw(&all(&folded(6), at), 80, false), "");
    let later = screen.draw(&all(&folded(6), Timestamp::from_unix_ms(2_700)), 80, false);
    assert!(
        !later.contains("slack/post"),
        "the skipped step's row did not change: {later:?}"
    );
}
