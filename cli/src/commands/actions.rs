//! `firehall actions`

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use types::{Effect, Field, IfLost, Output, Param, Signature, Trust, Type, Value};

use crate::{
    args::Form,
    exit::{Done, Exit, Fault},
    local, out, table, text,
};

/// List the built-in actions and those of ./actions, or describe one in full.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  firehall actions
  firehall actions slack/war-room
  firehall actions ./actions/disk
  firehall actions slack/war-room -o json | jq -r .example > room.yaml

With -o json, an array of {name, major, doc, effect, connection, scopes, optional_scopes, timeout_ms, if_lost, params,
outputs, types, example}; with a name one of them. `effect` is none, reads or writes. `params` are [{name, type, required,
default, trust, doc}], where trust says whether untrusted values are taken; `outputs` are [{name, type, optional, trust,
doc}], where it says whether outsiders wrote them; `types` has the fields of the records that they name.")]
pub(crate) struct ActionsArgs {
    #[command(flatten)]
    form: Form,
    /// One action's name, or the folder of one of your own
    name: Option<String>,
    /// Describe each in full
    #[arg(long, conflicts_with = "name")]
    full: bool,
}

/// An action; these names stay.
#[derive(Debug, Serialize)]
struct View<'a> {
    name: &'a str,
    major: u32,
    doc: &'a str,
    effect: Effect,
    connection: Option<&'a str>,
    scopes: &'a [String],
    optional_scopes: &'a [String],
    timeout_ms: u64,
    if_lost: IfLost,
    params: Vec<ParamView<'a>>,
    outputs: Vec<OutputView<'a>>,
    /// The fields of the records that its parameters and outputs name, by the record's name.
    types: BTreeMap<&'a str, BTreeMap<&'a str, FieldView>>,
    /// The smallest workflow that uses it.
    example: String,
}

#[derive(Debug, Serialize)]
struct FieldView {
    #[serde(rename = "type")]
    ty: String,
    optional: bool,
}

#[derive(Debug, Serialize)]
struct ParamView<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ty: String,
    required: bool,
    default: Option<&'a Value>,
    /// Whether it takes untrusted values.
    trust: Trust,
    doc: &'a str,
}

#[derive(Debug, Serialize)]
struct OutputView<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ty: String,
    /// Whether it may be absent though the action succeeded.
    optional: bool,
    /// Whether what it says comes from outsiders.
    trust: Trust,
    doc: &'a str,
}

/// Where a team keeps its own.
const OWN: &str = "./actions";

pub(crate) fn main(args: &ActionsArgs) -> Done {
    let mut catalogue = ::actions::Registry::builtin().catalogue();
    let json = args.form.output == out::Format::Json;
    if let Some(name) = &args.name {
        if workflow::is_local(name) {
            let uses = name.trim_end_matches('/');
            let signature = local::signature(uses).map_err(|why| Fault::usage(format!("{uses}: {why}")))?;
            catalogue.0.insert(name.clone(), signature);
        }
        let Some(one) = catalogue.get(name) else {
            let near = workflow::nearest(name, catalogue.0.keys().map(String::as_str));
            let hint = near.map_or("`firehall actions` lists them".to_owned(), |near| {
                format!("did you mean {near}?")
            });
            return Err(Fault::usage(format!("no action {name:?}")).hint(hint));
        };
        if json {
            out::json(&view(one))?;
        } else {
            out::bytes(page(one).as_bytes())?;
        }
        return Ok(Exit::Succeeded);
    }
    for (uses, signature) in local::below(OWN) {
        match signature {
            Ok(signature) => drop(catalogue.0.insert(uses, signature)),
            Err(why) => out::note(&format!("firehall: {uses}: {why}")),
        }
    }
    let all = catalogue.0.values();
    if json {
        out::json(&all.map(view).collect::<Vec<_>>())?;
    } else if args.full {
        let pages: Vec<String> = all.map(page).collect();
        out::bytes(pages.join("\n").as_bytes())?;
    } else {
        let row = |one: &Signature| vec![one.name.clone(), effect(one), one.doc.clone()];
        let rows: Vec<Vec<String>> = all.map(row).collect();
        table::layout(&["ACTION", "EFFECT", "WHAT IT DOES"], &rows)
            .iter()
            .try_for_each(|line| out::line(line))?;
    }
    Ok(Exit::Succeeded)
}

fn view(signature: &Signature) -> View<'_> {
    let params = signature
        .params
        .iter()
        .map(|(name, param)| param_view(name, param));
    let outputs = signature
        .outputs
        .iter()
        .map(|(name, output)| output_view(name, output));
    View {
        name: &signature.name,
        major: signature.major,
        doc: &signature.doc,
        effect: signature.effect,
        connection: signature.connection.as_deref(),
        scopes: &signature.scopes,
        optional_scopes: &signature.optional_scopes,
        timeout_ms: signature.timeout_ms,
        if_lost: signature.if_lost,
        params: params.collect(),
        outputs: outputs.collect(),
        types: records(signature),
        example: example(signature),
    }
}

/// Every record that a parameter or an output is made of.
fn records(signature: &Signature) -> BTreeMap<&str, BTreeMap<&str, FieldView>> {
    let params = signature.params.values().map(|param| &param.ty);
    let mut open: Vec<&Type> = params
        .chain(signature.outputs.values().map(|output| &output.ty))
        .collect();
    let mut records = BTreeMap::new();
    while let Some(ty) = open.pop() {
        match ty {
            Type::List(of) | Type::Map(of) => open.push(of),
            Type::Record { name, fields } => {
                let view = |field: &Field| FieldView {
                    ty: field.ty.to_string(),
                    optional: field.optional,
                };
                let views = fields.iter().map(|(name, field)| (name.as_str(), view(field)));
                if records.insert(name.as_str(), views.collect()).is_none() {
                    open.extend(fields.values().map(|field| &field.ty));
                }
            }
            Type::Bool | Type::Int | Type::Float | Type::String | Type::Json => {}
        }
    }
    records
}

/// A built-in one's, or one made of the signature of a team's own.
fn example(signature: &Signature) -> String {
    if let Some(text) = ::actions::example(&signature.name) {
        return text.to_owned();
    }
    let mut text = format!("name: example\nsteps:\n  step:\n    uses: {}\n", signature.name);
    let needed = signature.params.iter().filter(|(_, param)| param.required);
    for (n, (name, param)) in needed.enumerate() {
        if n == 0 {
            text.push_str("    with:\n");
        }
        text.push_str(&format!("      {name}: {}\n", sample(&param.ty)));
    }
    text
}

/// A value of the type.
fn sample(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "true",
        Type::Int => "7",
        Type::Float => "0.5",
        Type::String | Type::Json => "text",
        Type::List(_) => "[]",
        Type::Map(_) | Type::Record { .. } => "{}",
    }
}

fn effect(signature: &Signature) -> String {
    if workflow::is_local(&signature.name) {
        return match signature.effect {
            Effect::None => "a program without a network".to_owned(),
            Effect::Reads | Effect::Writes => "a program with a network".to_owned(),
        };
    }
    let vendor = signature.name.split('/').next().unwrap_or_default();
    match signature.effect {
        Effect::None => "computes only".to_owned(),
        Effect::Reads => format!("reads {vendor}"),
        Effect::Writes => format!("writes {vendor}"),
    }
}

fn page(signature: &Signature) -> String {
    let mut page = format!("{}  {}\n", signature.name, signature.doc);
    let mut say = |label: &str, words: &str| page.push_str(format!("  {label:<11}  {words}\n").as_str());
    say("effect", &effect(signature));
    if let Some(connection) = &signature.connection {
        say("connection", &format!("{connection}, held by the agent"));
    }
    if !signature.scopes.is_empty() {
        say("scopes", &signature.scopes.join(" ").replace('|', " or "));
    }
    if !signature.optional_scopes.is_empty() {
        say("better with", &signature.optional_scopes.join(" "));
    }
    say(
        "timeout",
        &format!(
            "{} unless the step says otherwise",
            text::duration(signature.timeout_ms)
        ),
    );
    say(
        "if lost",
        match signature.if_lost {
            IfLost::Rerun => "runs again, at most twice: doing it twice does no harm",
            IfLost::Fail => "fails: it may have run",
            IfLost::Ask => "a person decides",
        },
    );
    page.push_str("\n  with\n");
    for (name, param) in &signature.params {
        param_lines(&mut page, name, param);
    }
    if signature.params.is_empty() {
        page.push_str("    nothing\n");
    }
    page.push_str("\n  gives\n");
    for (name, output) in &signature.outputs {
        let maybe = if output.optional { ", may be absent" } else { "" };
        let trust = if output.gives == Trust::Untrusted {
            ", untrusted"
        } else {
            ""
        };
        page.push_str(&format!(
            "    {name}: {}{maybe}{trust}\n      {}\n",
            output.ty, output.doc
        ));
    }
    let records = records(signature);
    if !records.is_empty() {
        page.push_str("\n  types\n");
    }
    for (name, fields) in records {
        let field = |(name, field): (&str, FieldView)| {
            let maybe = if field.optional { "?" } else { "" };
            format!("{name}{maybe}: {}", field.ty)
        };
        let fields: Vec<String> = fields.into_iter().map(field).collect();
        page.push_str(&format!("    {name}: {{ {} }}\n", fields.join(", ")));
    }
    page.push_str("\n  example\n");
    for line in example(signature).lines() {
        page.push_str(format!("    {line}").trim_end());
        page.push('\n');
    }
    page
}

fn param_lines(page: &mut String, name: &str, param: &Param) {
    let must = match (&param.default, param.required) {
        (Some(default), _) => format!("default {default}"),
        (None, true) => "required".to_owned(),
        (None, false) => "optional".to_owned(),
    };
    let trust = if param.takes == Trust::Trusted {
        ", trusted values only"
    } else {
        ""
    };
    page.push_str(&format!(
        "    {name}: {} ({must}{trust})\n      {}\n",
        param.ty, param.doc
    ));
}

fn param_view<'a>(name: &'a str, param: &'a Param) -> ParamView<'a> {
    ParamView {
        name,
        ty: param.ty.to_string(),
        required: param.required,
        default: param.default.as_ref(),
        trust: param.takes,
        doc: &param.doc,
    }
}

fn output_view<'a>(name: &'a str, output: &'a Output) -> OutputView<'a> {
    OutputView {
        name,
        ty: output.ty.to_string(),
        optional: output.optional,
        trust: output.gives,
        doc: &output.doc,
    }
}

#[cfg(test)]
mod tests {
    use workflow::{Body, SourceFile};

    /// An action's example must be one that works: it compiles, and it uses that action.
    #[test]
    fn each_action_has_an_example_that_compiles_and_uses_it() {
        let catalogue = actions::Registry::builtin().catalogue();
        for name in catalogue.0.keys() {
            let text = actions::example(name).unwrap_or_else(|| panic!("{name} has no example"));
            let source = SourceFile::new(name, text);
            let compiled = workflow::compile(&source, &catalogue);
            let shown = workflow::render_text(&compiled.diagnostics, &source, false);
            let plan = compiled.plan.unwrap_or_else(|| panic!("{name}\n{shown}"));
            assert!(compiled.diagnostics.is_empty(), "{name}\n{shown}");
            let uses = |body: &Body| matches!(body, Body::Action { action, .. } if action == name);
            assert!(plan.steps.iter().any(|step| uses(&step.body)), "{name}");
        }
    }

    #[test]
    fn a_page_says_all_of_a_signature() {
        for signature in actions::Registry::builtin().catalogue().0.values() {
            let page = super::page(signature);
            let params = signature
                .params
                .iter()
                .flat_map(|(name, param)| [name, &param.doc]);
            let outputs = signature
                .outputs
                .iter()
                .flat_map(|(name, output)| [name, &output.doc]);
            let scopes = signature.scopes.iter().flat_map(|scope| scope.split('|'));
            for word in params.chain(outputs).map(String::as_str).chain(scopes) {
                assert!(page.contains(word), "{} says nothing of {word}", signature.name);
            }
        }
    }
}
