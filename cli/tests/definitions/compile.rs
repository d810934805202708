//! `firehall compile`.

use serde_json::Value;

use super::{WRONG, answer, folder};

/// Each kind of step, with texts that mean something to Graphviz, Mermaid, Markdown and HTML.
const HOSTILE: &str = r##"
name: end
description: 'a "quoted" \N & <b>bold</b> #35; %%{init: {}}%%'
inputs: { hosts: { type: list<string>, default: [] }, go: { type: bool, default: true } }
steps:
  end:
    name: '1. "]]-->x & \" <img src=x onerror=alert(1)> `md` style:#35;'
    image: host
    run: "echo '}}\"' \\ #"
  subgraph:
    foreach: ${{ inputs.hosts }}
    max-parallel: 2
    image: host
    command: [echo, "${{ slug(each.value) }}"]
    allow-failure: true
  graph:
    follow: subgraph
    needs: end
    image: host
    run: |
      echo one
      echo two
  class:
    needs: [subgraph, end]
    when: inputs.go && "a" != "b]"
    image: host
    run: "true"
    retry: 2
"##;

#[test]
fn json_is_the_graph_with_dependencies_in_order() {
    let folder = folder(&[("w.yaml", HOSTILE.as_bytes())]);
    let (code, out, err) = answer(folder.path(), &["compile", "w.yaml"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let dag: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(dag["name"], "end");
    let steps: Vec<(&str, Vec<&str>)> = dag["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            let depends = step["depends"].as_array().unwrap();
            (
                step["name"].as_str().unwrap(),
                depends.iter().map(|one| one.as_str().unwrap()).collect(),
            )
        })
        .collect();
    let expected = [
        ("end", vec![]),
        ("subgraph", vec![]),
        ("graph", vec!["end", "subgraph"]),
        ("class", vec!["end", "subgraph"]),
    ];
    assert_eq!(steps, expected);
    let step = |index: usize| &dag["steps"][index];
    assert_eq!(step(0)["executor"]["type"], "container");
    assert_eq!(step(0)["executor"]["config"]["content"], "echo '}}\"' \\ #");
    assert_eq!(step(1)["foreach"], "${{ inputs.hosts }}");
    assert_eq!(
        step(1)["executor"]["config"]["command"][1],
        "${{ slug(each.value) }}"
    );
    assert_eq!(step(2)["follows"][0], "subgraph");
    assert_eq!(step(3)["when"], "inputs.go && \"a\" != \"b]\"");
    assert_eq!(step(3)["retry"]["limit"], 2);
}

#[test]
fn the_pictures_are_as_reviewed() {
    let folder = folder(&[("w.yaml", HOSTILE.as_bytes())]);
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/definitions");
    for format in ["dot", "mermaid"] {
        let (code, out, err) = answer(folder.path(), &["compile", "w.yaml", "-o", format]);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        let golden = fixtures.join(format!("hostile.{format}"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs_err::write(&golden, &out).unwrap();
        }
        assert_eq!(out, fs_err::read_to_string(golden).unwrap());
    }
}

#[test]
fn what_is_wrong_gives_no_graph() {
    let folder = folder(&[("wrong.yaml", WRONG.as_bytes())]);
    for format in ["json", "dot", "mermaid"] {
        let (code, out, err) = answer(folder.path(), &["compile", "wrong.yaml", "-o", format]);
        assert_eq!((code, out.as_str()), (Some(2), ""));
        assert!(err.contains("wrong.yaml:6:5") && err.contains("1 error"), "{err}");
    }
    let (code, out, err) = answer(folder.path(), &["compile", "wrng.yaml"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("FH0111") && err.contains("`wrong.yaml`"), "{err}");
}

#[test]
fn a_graph_that_mermaid_would_not_draw_says_so() {
    let mut text = String::from("name: t\nsteps:\n  s0: { image: host, run: x }\n");
    for n in 1..600 {
        text.push_str(&format!("  s{n}: {{ image: host, run: x, needs: s{} }}\n", n - 1));
    }
    let folder = folder(&[("w.yaml", text.as_bytes())]);
    let (code, out, err) = answer(folder.path(), &["compile", "w.yaml", "-o", "mermaid"]);
    assert_eq!((code, out.matches("-->").count()), (Some(0), 599));
    assert!(err.contains("599 edges") && err.contains("maxEdges"), "{err}");
    let (code, out, err) = answer(folder.path(), &["compile", "w.yaml", "-o", "dot"]);
    assert_eq!(
        (code, out.matches("->").count(), err.as_str()),
        (Some(0), 599, "")
    );
}
