//! INTERIM: Spec → Plan without checks, so that the rooms behind can be tried. To be deleted by whoever lands the real
//! `compile`, `Compiled` and `render_text`.
use std::collections::{BTreeMap, BTreeSet};

use types::{Catalogue, IfLost, OutputDecl, limits};

use crate::{
    Body, Diagnostic, Expr, FanOut, Input, OnAlert, Plan, PlanStep, SourceFile, Template,
    diagnostic::Sink,
    expr::Node,
    spec::{self, BodySpec, FanSpec, StepSpec},
    template::{ExprSpec, Part, Tpl, TplKind},
    yaml,
};

/// What became of a definition.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The plan, without errors.
    pub plan: Option<Plan>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// As text.
#[must_use]
pub fn render_text(diagnostics: &[Diagnostic], _source: &SourceFile, _color: bool) -> String {
    diagnostics.iter().map(|d| format!("{}:{}:{}: {}\n", d.span.file, d.span.line, d.span.column, d.message)).collect()
}

/// Compiles.
#[must_use]
pub fn compile(source: &SourceFile, catalogue: &Catalogue) -> Compiled {
    let mut sink = Sink::default();
    let Some(node) = yaml::read(source, &mut sink) else { return Compiled { plan: None, diagnostics: sink.finish(source) } };
    let spec = spec::lower(&node, source, &mut sink);
    if !sink.is_empty() {
        return Compiled { plan: None, diagnostics: sink.finish(source) };
    }
    let steps = spec.steps.iter().map(|s| step(s, &spec.steps, catalogue)).collect();
    let plan = Plan {
        format: Plan::FORMAT,
        name: spec.name,
        description: spec.description,
        source_digest: String::new(),
        on_alert: spec.on_alert.map(|when| OnAlert { when: when.map(|w| Expr(w.source)) }),
        inputs: spec
            .inputs
            .into_iter()
            .map(|i| (i.name.value, Input { ty: i.ty.unwrap_or(types::Type::Json), default: i.default, one_of: i.one_of, description: i.description }))
            .collect(),
        steps,
    };
    Compiled { plan: Some(plan), diagnostics: Vec::new() }
}

fn names(node: &Node, found: &mut BTreeSet<String>, status: &mut bool) {
    if let Some(path) = node.path()
        && path.len() >= 2
        && path[0] == "steps"
    {
        found.insert(path[1].to_owned());
    }
    for child in node.children() {
        names(child, found, status);
    }
}

fn step(s: &StepSpec, all: &[StepSpec], catalogue: &Catalogue) -> PlanStep {
    let mut read = BTreeSet::new();
    let mut status = false;
    let mut each = |e: &ExprSpec| {
        if let Some(node) = &e.node {
            names(node, &mut read, &mut status);
        }
    };
    s.each_expr(&mut each);
    if let Some(when) = &s.when {
        each(when);
    }
    let key_of = |u: &str| all.iter().map(|x| x.key.value.clone()).find(|k| k.replace('-', "_") == u);
    let mut needs: BTreeSet<String> = read.iter().filter_map(|u| key_of(u)).collect();
    needs.extend(s.needs.iter().map(|n| n.value.clone()));
    let when_text = s.when.as_ref().map(|w| w.source.clone());
    let status = when_text.as_ref().is_some_and(|t| ["succeeded()", "degraded()", "failed()", "always()", "cancelled()"].iter().any(|f| t.contains(f)));
    let fan_out = s.fan.as_ref().map(|f| match f {
        FanSpec::Each { items, max_parallel } => FanOut::Each { items: tpl(items), max_parallel: *max_parallel },
        FanSpec::Follow { steps, gather } => FanOut::Follow { steps: steps.iter().map(|k| k.value.clone()).collect(), gather_ms: gather.unwrap_or(100) },
    });
    if let Some(FanOut::Follow { steps, .. }) = &fan_out {
        needs.retain(|n| !steps.contains(n));
    }
    let mut outputs: BTreeMap<String, OutputDecl> =
        s.outputs.iter().map(|o| (o.name.value.clone(), OutputDecl { ty: o.ty.clone().unwrap_or(types::Type::Json), optional: o.optional })).collect();
    let mut timeout_ms = s.timeout.unwrap_or(limits::TIMEOUT_MS);
    let mut if_lost = IfLost::Fail;
    let body = match &s.body {
        BodySpec::Action { uses, with } => {
            let sig = catalogue.get(&uses.value);
            let mut given: BTreeMap<String, Template> = with.iter().map(|(k, _, t)| (k.clone(), tpl(t))).collect();
            if let Some(sig) = sig {
                timeout_ms = s.timeout.unwrap_or(sig.timeout_ms);
                if_lost = sig.if_lost;
                outputs = sig.outputs.iter().map(|(k, o)| (k.clone(), OutputDecl { ty: o.ty.clone(), optional: o.optional })).collect();
                for (k, p) in &sig.params {
                    if let Some(d) = &p.default {
                        given.entry(k.clone()).or_insert(Template::Literal(d.clone()));
                    }
                }
            }
            Body::Action {
                action: uses.value.clone(),
                major: sig.map_or(0, |x| x.major),
                digest: sig.map(types::Signature::digest).unwrap_or_default(),
                connection: sig.and_then(|x| x.connection.clone()),
                with: given,
            }
        }
        BodySpec::Container(c) => Body::Container {
            image: tpl(&c.image),
            argv: c.argv.iter().map(tpl).collect(),
            env: c.env.iter().map(|(k, _, t)| (k.clone(), tpl(t))).collect(),
            secrets: c.secrets.iter().cloned().collect(),
            resources: c.resources,
            network: c.network,
            host_view: c.host_view.clone(),
            workdir: c.workdir.clone(),
            user: c.user,
            output_from: c.output_from,
        },
        BodySpec::Wrong => Body::Action { action: String::new(), major: 0, digest: String::new(), connection: None, with: BTreeMap::new() },
    };
    if let Some((l, _)) = s.if_lost {
        if_lost = l;
    }
    let budget = if if_lost == IfLost::Rerun { limits::DISCONNECT_RERUN_MS } else { timeout_ms.min(limits::DISCONNECT_MAX_MS) };
    PlanStep {
        key: s.key.value.clone(),
        name: s.name.clone(),
        needs,
        when: when_text.map(Expr),
        when_replaces_edge: status,
        fan_out,
        runs_on: s.runs_on.iter().map(|(k, _, t)| (k.clone(), tpl(t))).collect(),
        pickup_ms: s.pickup.unwrap_or(limits::PICKUP_MS),
        timeout_ms,
        grace_ms: s.grace.unwrap_or(limits::GRACE_MS),
        disconnect_ms: s.disconnect.unwrap_or(budget),
        retry: s.retry.clone(),
        allow_failure: s.allow_failure.is_some(),
        if_lost,
        ask_ms: s.if_lost.and_then(|x| x.1).unwrap_or(3_600_000),
        outputs,
        body,
    }
}

fn tpl(t: &Tpl) -> Template {
    match &t.kind {
        TplKind::Literal(v) => Template::Literal(v.clone()),
        TplKind::Expr(e) => Template::Expr(Expr(e.source.clone())),
        TplKind::Concat(parts) => Template::Concat(
            parts
                .iter()
                .map(|p| match p {
                    Part::Text(t) => Template::Literal(t.clone().into()),
                    Part::Expr(e) => Template::Expr(Expr(e.source.clone())),
                })
                .collect(),
        ),
        TplKind::List(items) => Template::List(items.iter().map(tpl).collect()),
        TplKind::Map(entries) => Template::Map(entries.iter().map(|(k, _, t)| (k.clone(), tpl(t))).collect()),
        TplKind::Wrong => Template::Literal(types::Value::Null),
    }
}
