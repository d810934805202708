//! Actions of a team's own: read from their folder, checked like built-in ones, pinned in the plan, sent in one text.
#![allow(clippy::unwrap_used, reason = "tests")]

use types::{Catalogue, Trust, Type};
use workflow::{
    ActionFiles, Body, CompiledAll, LocalAction, SourceFile, Template, bundle, compile, compile_with,
    local_uses, main_of, read_action, render_text,
};

const DISK: &str = r#"name: disk
description: How full a path is.
inputs:
  path: { type: string, default: /usr, description: The path. }
  limit: { type: int }
  note: { type: string, optional: true, trust: any }
outputs:
  used: { type: int, description: Per cent. }
image: host
command: [python3, -c]
main: main.py
timeout: 20s
"#;
const CODE: &str = "import json, os\nprint(json.loads(os.environ['FIREHALL_INPUTS']))\n";
const WORKFLOW: &str = r#"name: w
on:
  alert: {}
steps:
  disk:
    uses: ./actions/disk
    with: { limit: 90, note: "${{ trigger.alert.title }}" }
  say:
    image: host
    env: { USED: "${{ steps.disk.outputs.used }}" }
    run: echo "$USED"
"#;

fn files(definition: &str, main: Option<&str>) -> ActionFiles {
    ActionFiles {
        definition: SourceFile::new("actions/disk/action.yaml", definition),
        main: main.map(str::to_owned),
    }
}

fn local(definition: &str) -> Vec<LocalAction> {
    let main = main_of(&SourceFile::new("a", definition)).map(|_| CODE);
    vec![LocalAction {
        uses: "./actions/disk".to_owned(),
        files: Ok(files(definition, main)),
    }]
}

fn compiled(workflow: &str, definition: &str) -> CompiledAll {
    compile_with(
        &SourceFile::new("w.yaml", workflow),
        &local(definition),
        &Catalogue::default(),
    )
}

/// All that is said, of the definition and of its actions.
fn said(all: &CompiledAll, workflow: &str) -> String {
    let own = render_text(&all.own.diagnostics, &SourceFile::new("w.yaml", workflow), false);
    let actions = all
        .actions
        .iter()
        .map(|(file, found)| render_text(found, file, false));
    std::iter::once(own).chain(actions).collect()
}

#[test]
fn a_step_of_it_is_a_container_with_its_inputs_as_json() {
    let all = compiled(WORKFLOW, DISK);
    let plan = all
        .own
        .plan
        .as_ref()
        .unwrap_or_else(|| panic!("{}", said(&all, WORKFLOW)));
    let step = plan.step("disk").unwrap();
    let Body::Container {
        action, argv, env, ..
    } = &step.body
    else {
        panic!("{:?}", step.body);
    };
    let action = action.as_ref().unwrap();
    assert_eq!(
        (action.uses.as_str(), action.digest.len()),
        ("./actions/disk", 64)
    );
    let argv: Vec<&Template> = argv.iter().collect();
    assert_eq!(
        argv[2],
        &Template::Literal(CODE.into()),
        "the code is the last argument"
    );
    let Template::Map(inputs) = &env["FIREHALL_INPUTS"] else {
        panic!("{env:?}");
    };
    assert_eq!(inputs["path"], Template::Literal("/usr".into()));
    assert_eq!(inputs["limit"], Template::Literal(90.into()));
    assert_eq!(step.timeout_ms, 20_000);
    assert_eq!(step.outputs["used"].ty, Type::Int);
}

#[test]
fn its_signature_is_data_and_its_outputs_are_never_trusted() {
    let (signature, found) = read_action("./actions/disk", &files(DISK, Some(CODE)));
    let signature = signature.unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(signature.doc, "How full a path is.");
    assert!(signature.params["limit"].required && !signature.params["note"].required);
    assert_eq!(signature.params["path"].takes, Trust::Trusted);
    assert_eq!(signature.params["note"].takes, Trust::Untrusted);
    assert_eq!(signature.outputs["used"].gives, Trust::Untrusted);
}

#[test]
fn wrong_uses_are_said_like_those_of_a_built_in_action() {
    for (from, to, expected) in [
        ("limit: 90", "limt: 90", "did you mean `limit`?"),
        ("limit: 90, ", "", "needs the parameter `limit` (int)"),
        ("limit: 90", "limit: much", "int"),
        ("outputs.used", "outputs.usd", "used"),
        // An alert's text does not steer an input that takes trusted values only.
        (
            "limit: 90",
            "limit: 90, path: \"${{ trigger.alert.title }}\"",
            "trusted",
        ),
    ] {
        let workflow = WORKFLOW.replace(from, to);
        let all = compiled(&workflow, DISK);
        assert!(all.own.plan.is_none(), "{to}");
        let said = said(&all, &workflow);
        assert!(said.contains(expected), "{to}:\n{said}");
    }
}

#[test]
fn what_is_wrong_in_its_file_is_shown_there_and_not_again_in_the_workflow() {
    for (from, to, expected) in [
        ("type: int }", "type: integer }", "did you mean `int`?"),
        ("outputs:", "output:", "did you mean `outputs`?"),
        (
            "command: [python3, -c]",
            "command: [\"${{ inputs.x }}\", -c]",
            "takes no expression",
        ),
        (
            "command: [python3, -c]\n",
            "run: echo\n",
            "needs a `command` that takes it",
        ),
        ("image: host\n", "", "does not say what it runs in"),
        ("trust: any", "trust: all", "`trust` does not take `all`"),
        ("default: /usr", "default: 7", "does not fit"),
    ] {
        let definition = DISK.replace(from, to);
        assert_ne!(definition, DISK, "{from}");
        let all = compiled(WORKFLOW, &definition);
        assert!(all.own.plan.is_none(), "{to}");
        assert!(all.own.diagnostics.is_empty(), "{to}: {:?}", all.own.diagnostics);
        let said = said(&all, WORKFLOW);
        assert!(said.contains(expected), "{to}:\n{said}");
        assert!(said.contains("actions/disk/action.yaml:"), "{to}:\n{said}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_said_at_its_use() {
    let absent = vec![LocalAction {
        uses: "./actions/disk".to_owned(),
        files: Err("there is no actions/disk/action.yaml".to_owned()),
    }];
    let source = SourceFile::new("w.yaml", WORKFLOW);
    let all = compile_with(&source, &absent, &Catalogue::default());
    let said = said(&all, WORKFLOW);
    assert!(said.contains("w.yaml:6:11"), "{said}");
    assert!(
        said.contains("cannot be read: there is no actions/disk/action.yaml"),
        "{said}"
    );
    // A server has no folder.
    let alone = compile(&source, &Catalogue::default());
    let said = render_text(&alone.diagnostics, &source, false);
    assert!(said.contains("under `actions`"), "{said}");
}

#[test]
fn a_definition_brings_its_actions_along_and_means_the_same() {
    let json = r#"{"name":"w","steps":{"disk":{"uses":"./actions/disk","with":{"limit":90}}}}"#;
    let indented = "  name: w\n  steps:\n    disk: { uses: ./actions/disk, with: { limit: 90 } }\n";
    let quoted = format!("{WORKFLOW}# the end, without a line break");
    for workflow in [WORKFLOW, json, indented, &quoted] {
        let source = SourceFile::new("w.yaml", workflow);
        assert_eq!(local_uses(&source), ["./actions/disk"]);
        let text = bundle(&source, &local(DISK)).unwrap();
        let bundled = SourceFile::new("w.yaml", text.as_str());
        let alone = compile(&bundled, &Catalogue::default());
        let shown = render_text(&alone.diagnostics, &bundled, false);
        let plan = alone.plan.unwrap_or_else(|| panic!("{text}\n{shown}"));
        let here = compiled(workflow, DISK).own.plan.unwrap();
        assert_eq!(plan.steps, here.steps, "{text}");
        assert!(local_uses(&bundled).is_empty(), "it needs no folder any more");
    }
}

#[test]
fn another_code_is_another_action() {
    let digest = |code: &str| {
        let action = LocalAction {
            uses: "./actions/disk".to_owned(),
            files: Ok(files(DISK, Some(code))),
        };
        let all = compile_with(&SourceFile::new("w", WORKFLOW), &[action], &Catalogue::default());
        let plan = all.own.plan.unwrap();
        let Body::Container { action, .. } = plan.step("disk").unwrap().body.clone() else {
            panic!();
        };
        action.unwrap().digest
    };
    assert_eq!(digest(CODE), digest(CODE));
    assert_ne!(digest(CODE), digest("print(1)"));
}

#[test]
fn an_action_may_stand_in_the_definition_itself() {
    let workflow = r#"
name: w
actions:
  greet:
    inputs: { who: string }
    image: host
    command: [python3, -c]
    code: |
      print("hello")
steps:
  a: { uses: greet, with: { who: you } }
"#;
    let source = SourceFile::new("w.yaml", workflow);
    let own = compile(&source, &Catalogue::default());
    let shown = render_text(&own.diagnostics, &source, false);
    let plan = own.plan.unwrap_or_else(|| panic!("{shown}"));
    assert!(
        matches!(&plan.steps[0].body, Body::Container { action: Some(action), .. } if action.uses == "greet")
    );
    let folder = workflow.replace("code: |\n      print(\"hello\")", "main: main.py");
    let source = SourceFile::new("w.yaml", folder.as_str());
    let said = render_text(
        &compile(&source, &Catalogue::default()).diagnostics,
        &source,
        false,
    );
    assert!(said.contains("there is no folder that has this file"), "{said}");
}
