use askama::Template;
use proptest::prelude::*;

use super::{Graph, Step, fold::fold, layers};

fn draw(steps: &[Step<'_>]) -> String {
    let graph = Graph::new("/runs/run_1", steps, |_| "#steps".to_owned());
    graph.render().unwrap()
}

fn step<'a>(key: &'a str, state: &'a str, needs: &[usize]) -> Step<'a> {
    Step {
        key,
        what: "container host",
        state,
        needs: needs.to_vec(),
        ..Step::default()
    }
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("s{i}")).collect()
}

fn incident() -> Vec<Step<'static>> {
    let mut steps = vec![
        step("parse", "succeeded", &[]),
        step("people", "degraded", &[0]),
        step("room", "running", &[0, 1]),
        step("memory", "running", &[0]),
        step("disk", "failed", &[0]),
        step("update", "waiting", &[2, 3, 4]),
        step("summary", "waiting", &[0, 5]),
    ];
    steps[0].lasted = "12 ms".to_owned();
    steps[3].items = Some((3, 8));
    steps[4].attempts = 3;
    steps[4].what = "<script>alert(1)</script> & a name that is longer than its card";
    steps
}

#[test]
fn an_incident_looks_as_it_did() {
    let drawn = draw(&incident());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/graph/incident.svg");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &drawn).unwrap();
    }
    assert_eq!(
        drawn,
        std::fs::read_to_string(path).unwrap(),
        "UPDATE_SNAPSHOTS=1 accepts what is drawn now"
    );
}

#[test]
fn a_state_is_said_in_words_and_hostile_text_is_escaped() {
    let drawn = draw(&incident());
    for said in [
        "parse: succeeded, 12 ms",
        "memory: running, 3/8 items",
        "disk: failed, try 3",
    ] {
        assert!(drawn.contains(said), "{said}");
    }
    assert!(!drawn.contains("<script"));
    assert!(
        !drawn.contains("style="),
        "the page's policy allows no styles in place"
    );
}

#[test]
fn long_chains_are_windowed_and_what_runs_is_shown() {
    let keys = keys(10_000);
    let mut steps: Vec<Step<'_>> = (0..10_000)
        .map(|i| step(&keys[i], "succeeded", &if i == 0 { vec![] } else { vec![i - 1] }))
        .collect();
    steps[5_000].state = "running";
    let folded = fold(&steps);
    let sizes: Vec<usize> = folded.groups.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 1, 4_996, 1, 1, 1, 1, 1, 4_995, 1, 1]);
    assert!(draw(&steps).contains("node-s5000"));
}

#[test]
fn parallel_steps_are_folded_beside_those_that_failed() {
    let keys = keys(10_000);
    let mut steps: Vec<Step<'_>> = (0..10_000)
        .map(|i| match i {
            0 => step(&keys[i], "succeeded", &[]),
            9_999 => step(&keys[i], "waiting", &(1..9_999).collect::<Vec<_>>()),
            _ => step(&keys[i], if i == 77 { "failed" } else { "succeeded" }, &[0]),
        })
        .collect();
    let graph = Graph::new("/runs/run_1", &steps, |_| "#steps".to_owned());
    assert_eq!((graph.cards(), graph.folded()), (4, 9_997));
    for step in &mut steps {
        step.state = "failed";
    }
    let all = Graph::new("/runs/run_1", &steps, |_| "#steps".to_owned());
    assert!(all.cards() == 9, "{}", all.cards());
    assert!(
        all.render().unwrap().contains("9992 failed"),
        "how many failed is said"
    );
}

#[test]
fn steps_without_any_order_are_one_card() {
    let keys = keys(10_000);
    let steps: Vec<Step<'_>> = keys.iter().map(|key| step(key, "waiting", &[])).collect();
    assert_eq!(Graph::new("", &steps, |_| String::new()).cards(), 1);
}

/// Any plan: each step needs some of those before it.
fn plans() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<usize>)> {
    (1_usize..400).prop_flat_map(|count| {
        let needs: Vec<_> = (0..count)
            .map(|i| {
                prop::collection::btree_set(0..i.max(1), 0..4.min(i + 1))
                    .prop_map(move |set| set.into_iter().filter(|n| *n < i).collect::<Vec<usize>>())
            })
            .collect();
        (needs, prop::collection::vec(0_usize..7, count))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_plan_is_a_small_picture_in_which_time_goes_one_way((needs, states) in plans()) {
        let keys = keys(needs.len());
        let words = ["waiting", "running", "in_doubt", "succeeded", "failed", "skipped", "succeeded"];
        let steps: Vec<Step<'_>> = needs.iter().enumerate()
            .map(|(i, needs)| step(&keys[i], words[states[i]], needs))
            .collect();
        let folded = fold(&steps);
        let mut members: Vec<usize> = folded.groups.iter().flatten().copied().collect();
        members.sort_unstable();
        prop_assert_eq!(members, (0..needs.len()).collect::<Vec<_>>(), "each step has one place");
        for (from, to) in &folded.edges {
            prop_assert!(folded.layers[*from] < folded.layers[*to]);
        }
        prop_assert!(folded.groups.len() <= 300 && folded.edges.len() <= 900);
        let routed = layers::route(&folded.layers, &folded.edges);
        let placed = super::place::place(&routed, folded.groups.len());
        for (i, a) in placed.cards.iter().enumerate() {
            prop_assert!(a.0 >= 0 && a.1 >= 0);
            for b in &placed.cards[i + 1..] {
                let apart = (a.0 - b.0).abs() >= super::place::WIDTH || (a.1 - b.1).abs() >= super::place::HEIGHT;
                prop_assert!(apart, "{a:?} lies on {b:?}");
            }
        }
        prop_assert_eq!(draw(&steps), draw(&steps));
    }
}

#[test]
fn a_queued_step_says_what_it_waits_for() {
    let mut steps = vec![step("asks", "queued", &[])];
    steps[0].lasted = "31.9 s".to_owned();
    steps[0].waits_for = "an agent: no agent fits: no label host=nowhere (3 of 3)".to_owned();
    let svg = draw(&steps);
    for says in [
        "class=\"node waiting\"",
        "queued · 31.9 s",
        "waits for an agent: no agent f…",
        "no label host=nowhere (3 of 3)</title>",
    ] {
        assert!(svg.contains(says), "{says}: {svg}");
    }
}
