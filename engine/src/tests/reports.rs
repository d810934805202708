//! Reports that are late, doubled, foreign or wrong.

use protocol::{Report, server::Why};
use types::{FailureKind, RunOutcome as R, StepOutcome as S};

use super::bench::{Bench, Shape, failed, step, succeeded, token};
use crate::ReportBody;

#[test]
fn one_result_is_accepted() {
    let mut bench = Bench::new(vec![
        step("a", |_| {}),
        step("b", |s| {
            s.need(&["a"]);
        }),
    ]);
    let held = bench.begin("a");
    bench.report("a", &held, succeeded());
    let again = bench.report("a", &held, failed(FailureKind::Exit));
    assert!(again.events.is_empty());
    assert_eq!(again.sends.len(), 1);
    assert_eq!(bench.outcome("a"), Some(S::Succeeded));
    assert_eq!(bench.count("attempt.finished"), 1);
}

#[test]
fn a_foreign_or_superseded_report_is_recorded_once() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    let held = bench.begin("a");
    for _ in 0..3 {
        bench.report_from("a", &held, 2, succeeded());
    }
    assert_eq!(bench.last_ignored(), Some((Report::Finished, Why::Foreign)));
    for _ in 0..3 {
        bench.report("a", &token(77), succeeded());
    }
    assert_eq!(bench.last_ignored(), Some((Report::Finished, Why::NotCurrent)));
    assert_eq!(bench.count("report.ignored"), 2);
    assert_eq!(bench.outcome("a"), None);
    let progress = bench.report("a", &token(78), ReportBody::Started);
    assert!(progress.events.is_empty());
    assert!(matches!(progress.sends[0].send, protocol::server::Send::Stop(_)));
}

#[test]
fn a_liar_cannot_fill_the_history() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    for n in 0..1_000 {
        let told = bench.report_from("a", &token(10_000 + n), 5, succeeded());
        assert_eq!(told.sends.len(), 1, "each is acknowledged");
    }
    assert_eq!(bench.count("report.ignored"), 256);
    bench.does("a", succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}

#[test]
fn a_report_of_nothing_we_know_is_answered_and_leaves_no_trace() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    for name in ["nope", "a#2", "a#0", "a[0]"] {
        let told = bench.report(name, &token(5), succeeded());
        assert!(told.events.is_empty(), "{name}");
        assert!(
            matches!(told.sends[0].send, protocol::server::Send::Ack(_)),
            "{name}"
        );
        let told = bench.report(name, &token(5), ReportBody::Started);
        assert!(
            matches!(told.sends[0].send, protocol::server::Send::Stop(_)),
            "{name}"
        );
    }
}

#[test]
fn an_index_where_none_belongs_reaches_nothing() {
    let mut bench = Bench::new(vec![
        step("a", |_| {}),
        step("b", |s| {
            s.each("[1, 2]", None);
        }),
    ]);
    let a = bench.begin("a");
    bench.report("a[0]", &a, succeeded());
    assert_eq!(bench.outcome("a"), None);
    let b = bench.begin("b[0]");
    bench.report("b", &b, succeeded());
    assert_eq!(bench.outcome("b"), None, "the second item is not over");
    bench.report("a", &a, succeeded());
    bench.report("b[0]", &b, succeeded());
    bench.does("b[1]", succeeded());
    assert_eq!(bench.ended(), Some(R::Succeeded));
}

#[test]
fn a_finish_without_a_start_implies_it() {
    let mut bench = Bench::new(vec![step("a", |_| {})]);
    let held = bench.offer("a");
    bench.report("a", &held, succeeded());
    bench.report("a", &held, ReportBody::Started);
    assert_eq!(bench.ended(), Some(R::Succeeded));
}
